from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from s3fd.network import build
from s3fd.weights.network_file import save_network


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """A folder of blue and red pictures and the table that says which is which."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rows = ["Image_Name,Colour,Batch"]
    rng = np.random.default_rng(0)
    for i in range(16):
        colour = ("blue", "red")[i % 2]
        picture = rng.integers(0, 60, (90, 70, 3), dtype=np.uint8)
        picture[:, :, 0 if colour == "blue" else 2] += 180
        cv2.imwrite(str(folder / f"{i}.png"), picture)
        rows.append(f"{i},{colour},{i // 4}")
    (tmp_path / "index.csv").write_text("\n".join(rows), encoding="utf-8")
    return tmp_path


@pytest.fixture
def detector_file(tmp_path: Path) -> Path:
    """An untrained detector."""
    torch.manual_seed(1)
    path = tmp_path / "detector.safetensors"
    save_network(build("slim"), "slim", path)
    return path
