"""What a detected face is like: gender, mask and other attributes. Training needs PyTorch."""
