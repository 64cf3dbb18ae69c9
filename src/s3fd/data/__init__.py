"""Annotation files in, training samples out."""
