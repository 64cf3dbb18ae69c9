"""The network: a picture tensor in, six detection maps out. Needs PyTorch (``pip install 's3fd[train]'``)."""

from s3fd.network.s3fd import S3FD, Backbone, build

__all__ = ["S3FD", "Backbone", "build"]
