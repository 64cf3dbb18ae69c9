"""The bundled weights, their cards, and weights files."""
