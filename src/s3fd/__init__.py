"""S³FD: finds every face of a picture, at every scale, in one pass.

``faces = s3fd.load()("photo.jpg")`` gives `Faces`: boxes in pixels and scores.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s3fd.faces import Faces
    from s3fd.inference.detector import Detector, load
    from s3fd.inference.pictures import PictureError
    from s3fd.video.follow import track
    from s3fd.video.frames import VideoError

# Before its import: from 1.29 on, ONNX Runtime would tell its makers of every process and model that it runs.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

__all__ = ["Detector", "Faces", "PictureError", "VideoError", "__version__", "load", "track"]

_HOMES = {
    "Detector": "s3fd.inference.detector",
    "Faces": "s3fd.faces",
    "PictureError": "s3fd.inference.pictures",
    "VideoError": "s3fd.video.frames",
    "load": "s3fd.inference.detector",
    "track": "s3fd.video.follow",
}


if not TYPE_CHECKING:  # a type checker would take every name for a public one

    def __getattr__(name: str) -> Any:
        """Import a public name when first asked for, so that ``import s3fd`` costs nothing (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
