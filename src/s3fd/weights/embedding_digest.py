"""The digest that identifies an embedding; galleries are bound to it."""

from __future__ import annotations

import hashlib

from torch import Tensor, nn

from s3fd.network import S3FD


def embedding_digest(network: S3FD) -> str:
    """Return the SHA-256, in hexadecimal, of all weights that determine the vectors of `network`.

    The detector's weights are not among them: after further training, it computes the same vectors, and its
    galleries stay valid.

    Raises:
        ValueError: the network has no embedding.
    """
    if network.embedding_trunk is None:
        raise ValueError("this network has no embedding")
    digest = hashlib.sha256()
    for name, tensor in _tensors(network.embedding_trunk):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Return weights and running statistics by name; the number of batches behind these does not matter."""
    tensors = module.state_dict().items()
    return sorted((name, tensor) for name, tensor in tensors if tensor.is_floating_point())
