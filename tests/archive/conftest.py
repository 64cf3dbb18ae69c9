from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_model
from PIL import Image

from s3fd.archive.manifest import Archive, Recipe, open_archive
from s3fd.archive.storage import Folder
from s3fd.inference.detector import Detector
from s3fd.inference.runtime import open_runtime


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a model that finds white squares of 16 pixels."""
    return tiny_model.save(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def detector(tiny: Path) -> Detector:
    return Detector(open_runtime(tiny, 1, streams=2), size="original", min_score=0.9)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of seven pictures with 0 to 6 squares, and one file that is none."""
    for count in range(7):
        pixels = np.zeros((32, 128, 3), np.uint8)
        for square in range(count):
            pixels[:16, 16 * square : 16 * square + 16] = 255
        path = tmp_path / "photos" / ("late" if count > 4 else "") / f"{count}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    (tmp_path / "photos" / "2b.jpg").write_bytes(b"no picture")
    return tmp_path / "photos"


@pytest.fixture
def planned(photos: Path, tmp_path: Path) -> Callable[[str], Archive]:
    """From a name or URL to an archive of `photos` whose three partitions are still to be made."""

    def plan(name: str) -> Archive:
        from s3fd.archive.inputs import listed

        url = name if "://" in name else str(tmp_path / name)
        recipe = Recipe((str(photos),), weights="0" * 64, size="original", min_score=0.9, partition=3)
        return open_archive(Folder(url), recipe, listed(recipe.paths))

    return plan
