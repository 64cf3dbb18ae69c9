"""Extensions of Sphinx for this project's own site."""
