"""Pictures of things and no face."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from scripts import load_script

from s3fd.data import wider

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return load_script(ROOT / "tools" / "make_clutter.py")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A round red thing and a square blue one, one among people, one without a ground, and two places."""
    objects, places = tmp_path / "objects", tmp_path / "places"
    (objects / "people").mkdir(parents=True)
    places.mkdir()
    thing = np.zeros((60, 80, 4), np.uint8)
    cv2.circle(thing, (40, 30), 25, (0, 0, 255, 255), -1)
    cv2.imwrite(str(objects / "red.png"), thing)
    cv2.imwrite(str(objects / "people" / "red.png"), thing)
    cv2.imwrite(str(objects / "opaque.png"), thing[..., :3])
    cv2.imwrite(str(objects / "tiny.png"), thing[::4, ::4])
    cv2.imwrite(str(objects / "blue.png"), np.full((50, 50, 4), (255, 0, 0, 255), np.uint8))
    cv2.imwrite(str(places / "grey.jpg"), np.full((700, 2000, 3), 128, np.uint8))
    cv2.imwrite(str(places / "small.jpg"), np.full((500, 900, 3), 128, np.uint8))
    return objects, places


def no_face(picture: np.ndarray) -> float:
    return 0.0


def test_what_cannot_be_used_is_left_out(tool: ModuleType, folders: tuple[Path, Path]) -> None:
    assert [o.shape for o in tool.read_objects(folders[0], no_face)] == [(50, 50, 4), (60, 80, 4)]
    assert [p.shape for p in tool.read_places(folders[1], no_face)] == [(560, 1600, 3)]


def test_what_looks_like_a_face_is_left_out(tool: ModuleType, folders: tuple[Path, Path]) -> None:
    def red(picture: np.ndarray) -> float:
        assert picture.shape[2] == 3
        return float((picture == (0, 0, 255)).all(axis=2).any())

    (left,) = tool.read_objects(folders[0], red)
    assert tuple(left[0, 0]) == (255, 0, 0, 255)


def test_the_set_is_read_without_faces(tool: ModuleType, folders: tuple[Path, Path], tmp_path: Path) -> None:
    objects, places = (
        list(read(folder, no_face))
        for read, folder in zip((tool.read_objects, tool.read_places), folders, strict=True)
    )
    made = []
    for name in ("one", "two"):
        tool.save(objects, places, tmp_path / name, 4, 3)
        found = wider.read(tmp_path / name / "bbx_gt.txt", tmp_path / name / "images")
        assert len(found.samples) == 5 and not found.problems
        assert all(len(sample.boxes) == 0 for sample in found.samples)
        made.append([sample.path.read_bytes() for sample in found.samples])
    assert made[0] == made[1]
    assert len(set(made[0])) == 5
    pictures = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in made[0]]
    assert [p.shape for p in pictures] == [(560, 1600, 3)] + [(640, 640, 3)] * 4
    assert all(p.std() > 5 for p in pictures[1:])


def test_yunet_tells_a_face(tool: ModuleType, yunet: Path) -> None:
    likeliest = tool.yunet(yunet)
    photo = cv2.imread(str(ROOT / "examples" / "astronaut.jpg"))
    assert likeliest(photo) > tool.LOOKS_LIKE_A_FACE > likeliest(photo[300:])
