"""How good the results are: test protocols, and the scores that others publish."""
