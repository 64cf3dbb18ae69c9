"""A gallery to be served, and pictures of the people in it."""

from __future__ import annotations

from pathlib import Path

import colour_model
import cv2
import numpy as np
from tints import BLUE, PLAIN, RED, save, tinted

from s3fd.identity.onnx_recogniser import open_recogniser
from s3fd.identity.sqlite_store import create_store, open_store
from s3fd.serving.keeper import Gallery

THRESHOLD = 0.97
"""Between the colour model's scores of one person's pictures and those of two."""


class Home:
    """A folder with a recogniser, the place of a gallery, and pictures of three people."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recogniser = colour_model.save(folder / "colours.onnx")
        self.gallery = folder / "g.db"
        self.ada, self.rosa = save(folder / "ada.png"), save(folder / "rosa.png", RED)
        self.ada_again = save(folder / "ada again.png", PLAIN, 6)
        self.stranger = save(folder / "stranger.png", BLUE)
        cv2.imwrite(str(folder / "both.png"), np.hstack([tinted(PLAIN), tinted(RED)]))
        self.both = folder / "both.png"
        self.options = ("--gallery", str(self.gallery), "--recogniser", str(self.recogniser))

    def served(self) -> Gallery:
        """A new gallery for a service in this process."""
        recogniser = open_recogniser(self.recogniser, 1)
        self.gallery.unlink(missing_ok=True)
        create_store(self.gallery, recogniser.model).close()
        return Gallery(lambda: open_store(self.gallery), recogniser)
