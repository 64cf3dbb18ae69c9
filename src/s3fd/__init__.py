"""S³FD: find every face in a picture, at every scale, in one pass.

``faces = s3fd.load()("photo.jpg")`` returns `Faces`: boxes in pixels and scores.
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

# Set before ONNX Runtime is imported: from 1.29 on, it would report every process and model to its makers.
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


if not TYPE_CHECKING:  # a type checker would take any name as public otherwise

    def __getattr__(name: str) -> Any:
        """Import a public name on first access, so that ``import s3fd`` costs nothing (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
