from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from s3fd.data.labels import LabelledPicture
from s3fd.training.augmentation import Labelled
from s3fd.training.composer import Composer
from s3fd.training.composition import Composition, LabelledFaces

POLICY = Composition(size=128, face_sizes=(16, 60), distort=False)
BOXES = np.array([[20, 30, 50, 70], [60, 5, 70, 15]], np.float32)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), np.full((90, 80, 3), 200, np.uint8))
    return path


def item(path: Path, kinds: list[int], invalid: str = "00", boxes: np.ndarray = BOXES) -> LabelledPicture:
    lines = list(range(2, 2 + len(kinds)))
    return LabelledPicture(path, boxes, {"kind": np.array(kinds)}, {"invalid": list(invalid)}, lines)


def make(composer: Composer, seed: int = 0) -> tuple[set[int], int, int]:
    """Labels of the faces that are not ignored in ten pictures, how many those are, and how many are."""
    rng = np.random.default_rng(seed)
    labels: set[int] = set()
    faces = ignored = 0
    for _ in range(10):
        made, names = composer(None, rng)
        labels |= set(made.labels["kind"][~made.ignored].tolist())
        faces, ignored = faces + int((~made.ignored).sum()), ignored + int(made.ignored.sum())
        assert names and made.picture.shape == (128, 128, 3)
    return labels, faces, ignored


def test_faces_keep_their_labels_and_those_without_stay_faces(picture: Path) -> None:
    labels, faces, _ = make(Composer([item(picture, [1, -1])], ["kind"], POLICY))
    assert labels == {1, -1} and faces > 10


def test_what_is_invalid_is_ignored(picture: Path) -> None:
    labels, _, ignored = make(Composer([item(picture, [1, -1], "01")], ["kind"], POLICY))
    assert labels == {1} and ignored


class FirstDrawn(Composition):
    """Composes nothing: what it returns is what it is given to draw."""

    def __call__(self, draw: Callable[[], LabelledFaces], *_: object) -> LabelledFaces:
        return draw()


def drawn(labelled: LabelledPicture, *columns: str, largest: float = 400) -> LabelledFaces:
    """What the only picture gives to a composition of faces of at most `largest` pixels."""
    composer = Composer([labelled], columns, FirstDrawn(face_sizes=(16, largest)))
    return composer(None, np.random.default_rng(0))[0]


def test_large_photographs_are_kept_small_and_look_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photograph = cv2.resize(rng.integers(0, 256, (30, 24, 3), dtype=np.uint8), (601, 801))
    cv2.imwrite(str(tmp_path / "large.png"), photograph)
    boxes = np.array([[100, 200, 340, 500], [400, 100, 460, 150]], np.float32)
    labelled = item(tmp_path / "large.png", [1, -1], boxes=boxes)
    assert drawn(labelled, "kind", largest=60).picture.shape == (200, 150, 3)
    assert drawn(item(tmp_path / "large.png", [1, 0], boxes=boxes), "kind").picture.shape == photograph.shape
    whole = LabelledFaces(photograph, boxes, labelled.labels, np.zeros(2, bool))
    composer = Composer([labelled], ["kind"], POLICY)
    for seed in range(8):
        rng, same = (np.random.default_rng(seed) for _ in range(2))
        made, _ = composer(None, rng)
        expected = POLICY(lambda same=same: (same.integers(1), whole)[1], None, same)  # type: ignore[misc]
        np.testing.assert_allclose(
            made.picture.astype(int), expected.picture, atol=3
        )  # the background's blur
        np.testing.assert_allclose(made.boxes, expected.boxes, atol=0.01)


def test_boxes_end_at_the_edges_and_those_outside_are_left_out(picture: Path) -> None:
    boxes = np.array([[500, 500, 520, 520], [10, 10, 11, 11], [70, -5, 90, 95]], np.float32)
    found = drawn(item(picture, [0, 0, 1], "110", boxes), "kind")
    assert found.boxes.tolist() == [[70, 0, 80, 90]]
    assert (found.labels["kind"].tolist(), found.ignored.tolist()) == ([1], [False])


def test_a_label_in_one_column_is_enough(picture: Path) -> None:
    labels = {"kind": np.array([-1, -1]), "mood": np.array([1, -1])}
    found = drawn(LabelledPicture(picture, BOXES, labels, {}, [2, 3]), "kind", "mood")
    assert (found.labels["kind"].tolist(), found.labels["mood"].tolist()) == ([-1, -1], [1, -1])


def test_a_picture_is_read_once(picture: Path) -> None:
    composer = Composer([item(picture, [1, 1])], ["kind"], POLICY)
    make(composer)
    picture.unlink()
    make(composer)
    assert composer.left_out == []


def test_pictures_that_cannot_be_used_are_passed_over(picture: Path, tmp_path: Path) -> None:
    outside = np.array([[500, 500, 520, 520], [600, 600, 610, 610]], np.float32)
    unusable = [item(tmp_path / "missing.png", [0, 0]), item(picture, [0, 0], boxes=outside)]
    unusable.append(item(picture, [0, -1], "10"))
    labels, _, _ = make(Composer([*unusable, item(picture, [1, 1])], ["kind"], POLICY))
    assert labels == {1}


def test_only_pictures_that_cannot_be_used_are_an_error(picture: Path, tmp_path: Path) -> None:
    unusable = [item(tmp_path / "missing.png", [0, 0]), item(picture, [0, 0], "11")]
    with pytest.raises(ValueError, match="no usable picture to compose"):
        make(Composer(unusable, ["kind"], POLICY))


def test_backgrounds_are_drawn_and_their_faces_ignored(picture: Path) -> None:
    grey = Labelled(
        np.full((300, 300, 3), 90, np.uint8), np.array([[5, 5, 295, 295]], np.float32), np.zeros(1, bool)
    )
    composer = Composer([item(picture, [1, 1])], ["kind"], POLICY)
    rng = np.random.default_rng(0)
    seen = [composer(lambda: grey, rng)[0].picture for _ in range(10)]
    shares = [float((pixels == 90).all(axis=2).mean()) for pixels in seen]
    assert any(share > 0.1 for share in shares) and any(share < 0.01 for share in shares)


def test_without_labels_there_is_nothing_to_compose(picture: Path) -> None:
    with pytest.raises(ValueError, match="no face has a label for kind"):
        Composer([item(picture, [-1, -1])], ["kind"], POLICY)
    with pytest.raises(ValueError, match="boxes"):
        whole = LabelledPicture(picture, None, {"kind": np.array([1])}, {}, [2])
        Composer([whole], ["kind"], POLICY)
