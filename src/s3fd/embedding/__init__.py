"""Teaching a detector to tell people apart: an embedding that branches off its frozen features."""
