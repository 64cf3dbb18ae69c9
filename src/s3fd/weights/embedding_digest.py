"""What an embedding is known by: galleries are bound to it."""

from __future__ import annotations

import hashlib

from torch import Tensor, nn

from s3fd.network import S3FD
from s3fd.network.branch import FIRST_LAYER
from s3fd.network.slim import Slim


def embedding_digest(network: S3FD) -> str:
    """SHA-256, in hexadecimal, of all weights that decide what the vectors of `network` are.

    The rest of the detector is not among them: one that is trained further from the same early stages makes
    the same vectors, and its galleries stay.

    Raises:
        ValueError: the network has no embedding.
    """
    backbone, branch = network.backbone, network.embedding_branch
    if branch is None or not isinstance(backbone, Slim):
        raise ValueError("this network has no embedding")
    parts = {"stem": backbone.stem, "branch": branch}
    parts |= {f"stage {i}": stage for i, stage in enumerate(list(backbone.stages)[:FIRST_LAYER])}
    digest = hashlib.sha256()
    for part, module in sorted(parts.items()):
        for name, tensor in _tensors(module):
            digest.update(f"{part} {name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Weights and running means by name; how many batches these come from does not matter."""
    tensors = module.state_dict().items()
    return sorted((name, tensor) for name, tensor in tensors if tensor.is_floating_point())
