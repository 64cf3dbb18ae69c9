from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

PEOPLE = ("ann", "bob", "cyd", "")


@pytest.fixture
def portraits(tmp_path: Path) -> Path:
    """Pictures of patterns, one a person, with their boxes, and a teacher's vectors of most of them."""
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    patterns = [rng.integers(0, 256, (4, 4, 3), dtype=np.uint8) for _ in PEOPLE]
    directions = np.eye(8, dtype=np.float32)
    rows, boxes, vectors = ["image,x1,y1,x2,y2,Person"], [], []
    for i in range(24):
        person = i % len(PEOPLE)
        picture = np.full((100, 120, 3), 127, np.uint8)
        face = cv2.resize(patterns[person], (60, 60), interpolation=cv2.INTER_NEAREST)
        picture[20:80, 30:90] = np.clip(face.astype(int) + rng.integers(-20, 20), 0, 255)
        cv2.imwrite(str(tmp_path / "pictures" / f"{i}.png"), picture)
        rows.append(f"{i}.png,30,20,90,80,{PEOPLE[person]}")
        boxes.append([30, 20, 90, 80])
        vectors.append(directions[person])
    (tmp_path / "index.csv").write_text("\n".join(rows), encoding="utf-8")
    names = [f"{i}.png" for i in range(20)]
    np.savez(tmp_path / "teacher.npz", images=names, boxes=boxes[:20], vectors=vectors[:20])
    return tmp_path
