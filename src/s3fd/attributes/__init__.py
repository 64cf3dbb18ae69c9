"""Attributes of detected faces, such as gender or a mask. Training needs PyTorch."""
