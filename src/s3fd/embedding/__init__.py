"""Training of an embedding that distinguishes people, on top of a frozen detector."""
