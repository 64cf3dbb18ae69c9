"""Import of the public S³FD weights: the state dict that most PyTorch ports share.

Its quirks are kept exactly, since the weights were trained with them. fc6 has a padding of 3 instead of 1, so
that the stride-32 map and the two coarser maps are larger than input / stride; cell i is nevertheless decoded
at (i + 0.5) · stride. Class 0 is background, and class 1 (channel 3 of the finest layer) is face.
"""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from s3fd.network import S3FD, build
from s3fd.weights.network_file import WeightsError

BACKBONE = "vgg16_public"

HEAD_LAYERS = ("conv3_3_norm", "conv4_3_norm", "conv5_3_norm", "fc7", "conv6_2", "conv7_2")
"""The six detection layers, finest first; the public names add ``_mbox_conf`` and ``_mbox_loc``."""

MAX_ARCHIVE_BYTES = 512 * 2**20
"""Maximum unpacked size of an archive; the public weights are 90 MB."""


def public_name(name: str) -> str:
    """Return the public name of a tensor of `S3FD`: ``heads.loc.3.bias`` is ``fc7_mbox_loc.bias``."""
    part, rest = name.split(".", 1)
    if part == "backbone":
        return rest
    kind, level, tensor = rest.split(".")
    return f"{HEAD_LAYERS[int(level)]}_mbox_{kind}.{tensor}"


def import_public(path: Path) -> S3FD:
    """Build the network from a ``.pth`` state dict, or from a ``.7z`` archive that holds one.

    No code from the file is run.

    Raises:
        WeightsError: the file cannot be read, or a tensor is missing, unknown, of the wrong shape or not
            finite; the message names the first tensor that does not fit, in the order of the layers.
    """
    if path.suffix.lower() == ".7z":
        with tempfile.TemporaryDirectory() as folder:
            state = _load(_extract(path, Path(folder)))
    else:
        state = _load(path)
    network = build(BACKBONE)
    expected = network.state_dict()
    for name, tensor in expected.items():
        public = public_name(name)
        if public not in state:
            raise WeightsError(f"{path}: tensor {public} is missing")
        found = state.pop(public)
        if not isinstance(found, Tensor) or found.shape != tensor.shape:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise WeightsError(f"{path}: tensor {public} is {shape} instead of {tuple(tensor.shape)}")
        if not found.is_floating_point() or not bool(found.isfinite().all()):
            raise WeightsError(f"{path}: tensor {public} contains values that are not finite numbers")
        tensor.copy_(found)
    if state:
        raise WeightsError(f"{path}: unexpected tensor {next(iter(state))}")
    return network.eval()


def _load(path: Path) -> dict[str, object]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} contains code or is not a PyTorch file; only plain tensors are loaded"
        ) from error
    except Exception as error:  # torch raises half a dozen unrelated types for a damaged file
        raise WeightsError(f"cannot read {path}: {error}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} contains a {type(state).__name__} instead of a state dict")
    return {str(name): value for name, value in state.items()}


def _extract(path: Path, folder: Path) -> Path:
    """Unpack the one ``.pth`` file of an archive into `folder`."""
    import py7zr

    try:
        with py7zr.SevenZipFile(path) as archive:
            members = [item for item in archive.list() if item.filename.endswith((".pth", ".pt"))]
            if len(members) != 1:
                raise WeightsError(f"{path} contains {len(members)} .pth files instead of one")
            if members[0].uncompressed > MAX_ARCHIVE_BYTES:
                raise WeightsError(f"{path} unpacks to {members[0].uncompressed} bytes: too large for S³FD")
            archive.extract(folder, targets=[members[0].filename])
    except WeightsError:
        raise
    except Exception as error:  # py7zr, its codecs and struct raise different types for damaged data
        raise WeightsError(f"cannot read archive {path}: {error}") from error
    return folder / str(members[0].filename)


def card(source: Path, source_sha256: str, weights: Path, weights_sha256: str) -> str:
    """Return a Markdown card that describes an imported file and its origin."""
    return f"""# {weights.stem}

S³FD (Zhang et al., ICCV 2017) with the VGG-16 backbone, 22.5 M parameters, imported from public weights.

| | |
|---|---|
| source | `{source.name}`, sha256 `{source_sha256}` |
| file | `{weights.name}`, sha256 `{weights_sha256}` |
| input | BGR minus (104, 117, 123), any size |
| quirks kept | fc6 has padding 3 (the paper: 1), so the three coarsest maps exceed input / stride |
| accuracy | WIDER FACE val 93.1 / 91.8 / 84.4 (easy / medium / hard) as reported; not measured here |
| training data | WIDER FACE train, as the weights' authors report |
| licence | that of the weights' authors: check it where you obtained the file |

Use: `s3fd export onnx {weights.name}`, then `s3fd detect --weights {weights.stem}.onnx PHOTO`.
"""
