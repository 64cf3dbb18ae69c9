"""Training: samples in, weights out. Needs PyTorch (``pip install 's3fd[train]'``)."""
