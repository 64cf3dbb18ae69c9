from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in the WIDER layout: 12 noisy pictures with a bright square each."""
    root = tmp_path_factory.mktemp("squares")
    rng = np.random.default_rng(0)
    lines = []
    for i in range(12):
        picture = rng.integers(0, 60, (128, 128, 3), dtype=np.uint8)
        side = int(rng.integers(16, 50))
        x, y = (int(v) for v in rng.integers(0, 128 - side, 2))
        picture[y : y + side, x : x + side] = 230
        cv2.imwrite(str(root / f"{i}.png"), picture)
        lines += [f"{i}.png", "1", f"{x} {y} {side} {side} 0 0 0 0 0 0"]
    (root / "gt.txt").write_text("\n".join(lines) + "\n")
    return root
