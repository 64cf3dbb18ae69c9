"""Who is it: embeddings of faces, and galleries of people."""
