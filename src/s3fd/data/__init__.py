"""Readers of annotation files, which return training samples."""
