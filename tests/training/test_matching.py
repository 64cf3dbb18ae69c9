import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from s3fd import boxes as box_ops
from s3fd.anchors import anchors, map_sizes
from s3fd.boxes import FloatArray
from s3fd.training.matching import BACKGROUND, FACE, IGNORED, candidates, match

MATCH_IOU, COMPENSATION_IOU, ANCHORS_PER_FACE = 0.35, 0.1, 6  # as in the paper
ANCHORS = anchors(map_sizes(128, 128))
NONE = np.zeros(0, bool)


def faces(*boxes: tuple[float, float, float, float]) -> tuple[FloatArray, NDArray[np.bool_]]:
    return np.array(boxes, np.float32).reshape(-1, 4), np.zeros(len(boxes), bool)


def straight_line(boxes: FloatArray) -> tuple[list[list[int]], FloatArray]:
    """Both stages as loops over faces and anchors, for faces that do not compete for an anchor."""
    iou = box_ops.iou(boxes, ANCHORS)
    owned: list[list[int]] = [[] for _ in boxes]
    for anchor in range(len(ANCHORS)):
        best = int(iou[:, anchor].argmax())
        if iou[best, anchor] >= MATCH_IOU:
            owned[best].append(anchor)
    for face in range(len(boxes)):
        if not owned[face]:
            owned[face].append(int(iou[face].argmax()))
    taken = {anchor for own in owned for anchor in own}
    for face, own in enumerate(owned):
        for anchor in np.argsort(-iou[face], kind="stable"):
            if len(own) >= ANCHORS_PER_FACE or iou[face, anchor] <= COMPENSATION_IOU:
                break
            if anchor not in taken:
                own.append(int(anchor))
    return owned, iou


def test_no_faces_is_all_background() -> None:
    targets = match(*faces(), ANCHORS)
    assert (targets.labels == BACKGROUND).all()


@pytest.mark.parametrize(
    "boxes",
    [
        [(10, 10, 26, 26)],
        [(9, 11, 16, 20)],  # 8 px: too small for stage 1
        [(0, 0, 120, 128), (3, 3, 9, 9)],
        [(20, 20, 42, 44), (80, 70, 103, 100), (60, 10, 70, 22)],
    ],
)
def test_agrees_with_the_straight_line(boxes: list[tuple[float, float, float, float]]) -> None:
    array, ignored = faces(*boxes)
    targets = match(array, ignored, ANCHORS)
    owned, iou = straight_line(array)
    for face, own in enumerate(owned):
        ours = np.flatnonzero((targets.labels == FACE) & (targets.matched == face))
        assert len(ours) == len(own)
        np.testing.assert_allclose(np.sort(iou[face, ours]), np.sort(iou[face, own]))


def test_second_stage_fills_each_face_on_its_own() -> None:
    """Two small faces far apart, beside a large one with many anchors, get their share each."""
    array, ignored = faces((8, 8, 17, 17), (90, 90, 99, 99), (30, 30, 90, 90))
    with_it = match(array, ignored, ANCHORS)
    without = match(array, ignored, ANCHORS, anchors_per_face=0)
    counts = [np.bincount(t.matched[t.labels == FACE], minlength=3) for t in (with_it, without)]
    assert counts[0][0] == counts[0][1] == ANCHORS_PER_FACE
    assert counts[1][0] < ANCHORS_PER_FACE and counts[1][1] < ANCHORS_PER_FACE


def test_ignored_faces_are_neither_face_nor_background() -> None:
    array, _ = faces((60, 60, 76, 76), (10, 10, 26, 26))
    targets = match(array, np.array([True, False]), ANCHORS)
    near = box_ops.iou(array[:1], ANCHORS)[0] > 0.05
    face = targets.labels == FACE
    np.testing.assert_array_equal(targets.labels[~face], np.where(near, IGNORED, BACKGROUND)[~face])
    assert set(targets.matched[face]) == {1}


def test_an_ignored_box_on_a_face_leaves_its_anchors() -> None:
    array, alone = faces((10, 10, 26, 26))
    both = match(np.repeat(array, 2, axis=0), np.array([True, False]), ANCHORS)
    np.testing.assert_array_equal(both.labels == FACE, match(array, alone, ANCHORS).labels == FACE)


@pytest.mark.parametrize("shift", [(0, 1), (1, 0)])
def test_of_two_faces_with_one_best_anchor_the_nearer_gets_it(shift: tuple[int, int]) -> None:
    array, ignored = faces(*((10 + x, 10, 26 + x, 26) for x in shift))
    targets = match(array, ignored, np.array([[10, 10, 26, 26], [90, 90, 106, 106]], np.float32))
    assert (targets.labels.tolist(), targets.matched.tolist()) == ([FACE, BACKGROUND], [shift.index(0), 0])


def test_there_may_be_fewer_anchors_than_a_face_is_given() -> None:
    array, ignored = faces((10, 10, 22, 24))
    few = np.array([[90, 90, 106, 106], [10, 10, 26, 26], [14, 10, 30, 26]], np.float32)
    assert match(array, ignored, few).labels.tolist() == [BACKGROUND, FACE, FACE]
    assert candidates(array, few, count=4).tolist() == [[1, 2, -1, -1]]


coordinates = st.floats(0, 100)
sizes = st.floats(3, 100)
boxes_strategy = st.lists(st.tuples(coordinates, coordinates, sizes, sizes), min_size=1, max_size=12)


@given(boxes_strategy)
def test_invariants(raw: list[tuple[float, float, float, float]]) -> None:
    array, ignored = faces(*[(x, y, min(x + w, 128), min(y + h, 128)) for x, y, w, h in raw])
    targets = match(array, ignored, ANCHORS)
    iou = box_ops.iou(array, ANCHORS)
    positive = targets.labels == FACE
    assert positive.any()
    overlap = iou[targets.matched, np.arange(len(ANCHORS))]
    best_anchor = np.zeros(len(ANCHORS), bool)
    best_anchor[iou.argmax(axis=1)] = True
    assert (overlap[positive & ~best_anchor] > COMPENSATION_IOU).all()
    assert positive[iou.max(axis=0) >= MATCH_IOU].all()
    stage_one = (iou >= MATCH_IOU) & (iou == iou.max(axis=0))
    owned = np.bincount(targets.matched[positive], minlength=len(array))
    assert (owned[stage_one.sum(axis=1) < ANCHORS_PER_FACE] <= ANCHORS_PER_FACE).all()


@given(st.lists(st.tuples(*[st.floats(2, 60)] * 4), max_size=5))
def test_candidates_are_the_anchors_of_largest_overlap(corners: list[tuple[float, ...]]) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in corners], np.float32).reshape(-1, 4)
    rows = candidates(boxes, ANCHORS, count=12)
    assert rows.shape == (len(boxes), 12)
    for box, row in zip(boxes, rows, strict=True):
        iou = box_ops.iou(box[None], ANCHORS)[0]
        found = row[row >= 0]
        np.testing.assert_allclose(iou[found], np.sort(iou)[::-1][: len(found)], atol=1e-6)
        assert len(found) == max(1, min(12, int((iou >= COMPENSATION_IOU).sum())))


@given(st.lists(st.tuples(*[st.integers(2, 60)] * 4), min_size=1, max_size=5))
def test_of_equal_overlaps_the_nearest_anchors_are_taken(corners: list[tuple[int, ...]]) -> None:
    """Left to NumPy's selection, equal ones were others on a processor with other vector instructions."""
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in corners], np.float32)
    centres, iou = (ANCHORS[:, :2] + ANCHORS[:, 2:]) / 2, box_ops.iou(boxes, ANCHORS)
    for box, overlaps, row in zip(boxes, iou, candidates(boxes, ANCHORS, count=12), strict=True):
        distance = np.square(centres - (box[:2] + box[2:]) / 2).sum(axis=1)
        wanted = sorted(range(len(ANCHORS)), key=lambda i: (-overlaps[i], distance[i], i))
        found = row[row >= 0].tolist()
        assert found == wanted[: len(found)]


def test_a_small_face_is_given_the_nearest_of_the_anchors_around_it() -> None:
    """A face of 4 pixels lies inside 9 anchors; the first of them is its best one."""
    array, ignored = faces((40, 40, 44, 44))
    chosen = ANCHORS[match(array, ignored, ANCHORS, compensation_iou=0.05).labels == FACE]
    centres = sorted(map(tuple, ((chosen[:, :2] + chosen[:, 2:]) / 2).tolist()))
    around = [(42.0, 42.0), (38.0, 42.0), (42.0, 38.0), (46.0, 42.0), (42.0, 46.0)]
    assert centres == sorted([(38.0, 38.0), *around])
