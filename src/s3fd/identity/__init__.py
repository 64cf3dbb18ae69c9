"""Face recognition: embeddings of faces, and galleries of people."""
