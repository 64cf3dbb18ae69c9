"""What an embedding is known by: galleries are bound to it."""

from __future__ import annotations

import hashlib

from torch import Tensor, nn

from s3fd.network import S3FD


def embedding_digest(network: S3FD) -> str:
    """SHA-256, in hexadecimal, of all weights that decide what the vectors of `network` are.

    The detector's are not among them: one that is trained further makes the same vectors, and its galleries
    stay.

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
    """Weights and running means by name; how many batches these come from does not matter."""
    tensors = module.state_dict().items()
    return sorted((name, tensor) for name, tensor in tensors if tensor.is_floating_point())
