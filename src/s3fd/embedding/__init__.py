"""Teaching a detector to tell people apart: an embedding beside its frozen network."""
