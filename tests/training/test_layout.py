import numpy as np
import pytest

from s3fd.training import layout


@pytest.mark.parametrize("face_sizes", [(16, 60), (30, 32)])
@pytest.mark.parametrize("seed", range(20))
def test_cells_cover_the_picture_once_and_faces_keep_to_their_sizes(
    seed: int, face_sizes: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "EMPTY", 0.0)
    covered = np.zeros((128, 128), int)
    for cell in layout.layout(128, face_sizes, np.random.default_rng(seed)):
        covered[cell.top : cell.top + cell.height, cell.left : cell.left + cell.width] += 1
        assert face_sizes[0] - 1e-6 <= cell.face <= face_sizes[1] + 1e-6
    assert (covered == 1).all()


def test_cells_differ_from_an_equal_share_by_up_to_a_third(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "BLOCK", 0.0)
    monkeypatch.setattr(layout, "EMPTY", 0.0)
    rng = np.random.default_rng(0)
    # 20 pixels with half as much around make 4 × 4 cells of 30 pixels.
    cells = [cell for _ in range(50) for cell in layout.layout(120, (20, 20), rng)]
    assert len(cells) == 50 * 16
    for sides in ({cell.width for cell in cells}, {cell.height for cell in cells}):
        assert 19 <= min(sides) <= 22 and 38 <= max(sides) <= 41


def test_sizes_do_not_pile_up_at_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "BLOCK", 0.0)
    rng = np.random.default_rng(0)
    faces = [cell.face for _ in range(200) for cell in layout.layout(128, (16, 60), rng)]
    assert 16 + 1e-6 < min(faces) < 17 and 58 < max(faces) < 60 - 1e-6
