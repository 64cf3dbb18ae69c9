"""Evaluation of results: test protocols, and metrics comparable with published ones."""
