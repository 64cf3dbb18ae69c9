from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s3fd.evaluation.wider import SETTINGS, Curve

plot = pytest.importorskip("s3fd.evaluation.plot", exc_type=ImportError)


def curves(best: float) -> dict[str, Curve]:
    """The same curve in every setting, an area of `best`."""
    curve = Curve(np.array([1.0, 1.0]), np.array([0.0, best]), np.array([0.5, 0.0]))
    return dict.fromkeys(SETTINGS, curve)


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
@pytest.mark.parametrize("count", [1, 9])
def test_draws_any_number_of_result_sets(tmp_path: Path, suffix: str, magic: bytes, count: int) -> None:
    path = tmp_path / f"curves{suffix}"
    plot.plot({f"detector {i}": curves(i / 10) for i in range(count)}, path)
    assert path.read_bytes().startswith(magic)
