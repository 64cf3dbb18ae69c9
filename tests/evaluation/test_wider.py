from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fd.evaluation import wider
from s3fd.evaluation.wider import AnnotatedPicture, Curve, GroundTruth
from s3fd.faces import Faces

Rows = list[list[float]]

SQUARE = [0, 0, 20, 20]
OTHER = [100, 100, 120, 120]
NOWHERE = [500, 500, 520, 520]


def faces_of(rows: Rows) -> Faces:
    """Faces from rows of left, top, right, bottom, score."""
    array = np.array(rows, np.float32).reshape(-1, 5)
    return Faces(array[:, :4], array[:, 4])


def picture(faces: Rows, required: list[bool]) -> AnnotatedPicture:
    """A picture whose faces (left, top, right, bottom) are required alike in every setting."""
    array = np.array(faces, np.float32).reshape(-1, 4)
    return AnnotatedPicture(array, dict.fromkeys(wider.SETTINGS, np.array(required, bool)))


def slow_average_precision(results: dict[str, Faces], truth: GroundTruth, setting: str) -> float:
    """The protocol, step by step, as its official code goes about it."""

    def overlap(a: list[float], b: list[float]) -> float:
        width = min(a[2], b[2]) - max(a[0], b[0]) + 1
        height = min(a[3], b[3]) - max(a[1], b[1]) + 1
        if width <= 0 or height <= 0:
            return 0.0
        area_a = (a[2] - a[0] + 1) * (a[3] - a[1] + 1)
        area_b = (b[2] - b[0] + 1) * (b[3] - b[1] + 1)
        return width * height / (area_a + area_b - width * height)

    every_score = [s for name in truth.pictures for s in results.get(name, Faces.empty()).scores.tolist()]
    if not every_score:
        return 0.0
    low, span = min(every_score), max(every_score) - min(every_score)
    proposals, recalls = np.zeros(1000), np.zeros(1000)
    for name, annotated in truth.pictures.items():
        found = results.get(name, Faces.empty())
        required = annotated.required[setting].tolist()
        faces = annotated.boxes.tolist()
        if not faces or not len(found):
            continue
        rows = zip(found.scores.tolist(), found.boxes.tolist(), strict=True)
        rows = sorted(((s - low) / span if span else 1.0, b) for s, b in rows)[::-1]
        recalled, state = set(), []
        counted = 0
        for _, box in rows:
            overlaps = [overlap(box, face) for face in faces]
            best = overlaps.index(max(overlaps))
            if overlaps[best] < 0.5:
                counted += 1
            elif required[best]:
                counted += 1
                recalled.add(best)
            state.append((counted, len(recalled)))
        for t in range(1000):
            above = [i for i, (score, _) in enumerate(rows) if score >= 1 - (t + 1) / 1000]
            if above:
                proposals[t] += state[above[-1]][0]
                recalls[t] += state[above[-1]][1]
    total = sum(int(p.required[setting].sum()) for p in truth.pictures.values())
    recall = [0.0, *(r / total if total else 0.0 for r in recalls), 1.0]
    precision = [0.0, *(r / p if p else 0.0 for r, p in zip(recalls, proposals, strict=True)), 0.0]
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return sum((recall[i] - recall[i - 1]) * precision[i] for i in range(1, len(recall)))


@pytest.mark.parametrize(
    ("detections", "faces", "required", "expected"),
    [
        ([], [SQUARE], [True], 0.0),
        ([], [], [], 0.0),
        ([[*SQUARE, 0.9]], [], [], 0.0),
        ([[*SQUARE, 0.9]], [SQUARE], [True], 1.0),
        ([[*SQUARE, 0.9]], [SQUARE], [False], 0.0),
        ([[*SQUARE, 0.9]], [SQUARE, OTHER], [True, True], 0.5),
        # A false alarm over the face halves the precision, one under it does no harm.
        ([[*SQUARE, 0.5], [*NOWHERE, 0.9]], [SQUARE], [True], 0.5),
        ([[*SQUARE, 0.9], [*NOWHERE, 0.5]], [SQUARE], [True], 1.0),
        # A second detection of a face is wrong; here it stands before the second face.
        ([[*SQUARE, 0.9], [*SQUARE, 0.8], [*OTHER, 0.7]], [SQUARE, OTHER], [True, True], 0.5 + 0.5 * 2 / 3),
        # Detections of an ignored face do not count, however many.
        ([[*OTHER, 0.9], [*OTHER, 0.8], [*SQUARE, 0.7]], [SQUARE, OTHER], [True, False], 1.0),
        # Half of a face is enough.
        ([[0, 0, 9, 4, 0.9]], [[0, 0, 9, 9]], [True], 1.0),
        # Scores of any range.
        ([[*SQUARE, 700], [*NOWHERE, -3], [*OTHER, 12]], [SQUARE, OTHER], [True, True], 1.0),
    ],
)
def test_average_precision_by_hand(
    detections: Rows, faces: Rows, required: list[bool], expected: float
) -> None:
    truth = GroundTruth({"e/a": picture(faces, required)})
    curves = wider.evaluate({"e/a": faces_of(detections)}, truth)
    assert list(curves) == ["easy", "medium", "hard"]
    for curve in curves.values():
        assert curve.average_precision == pytest.approx(expected)


def test_boxes_hold_the_pixel_at_their_far_edge() -> None:
    """Two squares of 10 pixels, 3.6 apart: 7.4 / 14.6 is over half, where 6.4 / 13.6 would be under it."""
    truth = GroundTruth({"e/a": picture([[0, 0, 10, 10]], [True])})
    near, far = faces_of([[3.6, 0, 13.6, 10, 1]]), faces_of([[3.8, 0, 13.8, 10, 1]])
    assert wider.evaluate({"e/a": near}, truth)["hard"].average_precision == 1.0
    assert wider.evaluate({"e/a": far}, truth)["hard"].average_precision == 0.0


def test_a_picture_without_result_counts_its_faces() -> None:
    truth = GroundTruth({"e/a": picture([SQUARE], [True]), "e/b": picture([SQUARE], [True])})
    found = {"e/a": faces_of([[*SQUARE, 0.9]])}
    assert wider.evaluate(found, truth)["hard"].average_precision == 0.5
    assert wider.evaluate(found, truth.only(["e/a"]))["hard"].average_precision == 1.0
    with pytest.raises(KeyError):
        truth.only(["e/c"])


def test_scores_are_normalised_over_all_pictures_that_count() -> None:
    """A picture that is not in the ground truth has no say, however high its scores are."""
    truth = GroundTruth({"e/a": picture([SQUARE], [True])})
    found = {"e/a": faces_of([[*SQUARE, 0.6], [*NOWHERE, 0.2]]), "e/x": faces_of([[*SQUARE, 1e6]])}
    curve = wider.evaluate(found, truth)["hard"]
    assert curve.thresholds[0] == pytest.approx(0.999)
    assert curve.thresholds[-1] == 0
    assert curve.recall[0] == 1
    assert curve.precision[[0, -1]].tolist() == [1, 0.5]


def test_equal_scores_are_all_the_highest() -> None:
    truth = GroundTruth({"e/a": picture([SQUARE], [True])})
    curve = wider.evaluate({"e/a": faces_of([[*SQUARE, 0.6], [*NOWHERE, 0.6]])}, truth)["hard"]
    assert (curve.recall[0], curve.precision[0]) == (1, 0.5)


def test_every_detection_is_compared_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wider, "CHUNK", 2)
    squares: Rows = [[left, 0, left + 20, 20] for left in range(0, 150, 30)]
    truth = GroundTruth({"e/a": picture(squares, [True] * 5)})
    found = {"e/a": faces_of([[*square, 0.9] for square in squares])}
    assert wider.evaluate(found, truth)["hard"].average_precision == 1


def test_precision_and_recall_where_nothing_counts() -> None:
    curve = wider.evaluate({}, GroundTruth({}))["easy"]
    assert set(curve.recall) == {0} and set(curve.precision) == {1}
    assert curve.average_precision == 0


def test_average_precision_of_a_curve() -> None:
    """The dip at recall 0.25 is filled from the right."""
    curve = Curve(np.array([1, 0.2, 0.5]), np.array([0, 0.25, 0.5]), np.array([0.9, 0.5, 0]))
    assert curve.average_precision == 0.25


def random_case(seed: int) -> tuple[dict[str, Faces], GroundTruth]:
    """Pictures with jittered, doubled, missed, ignored and made-up faces, empty pictures among them."""
    rng = np.random.default_rng(seed)
    pictures, found = {}, {}
    for i in range(rng.integers(1, 8)):
        count = int(rng.integers(0, 12))
        corner, size = rng.integers(0, 120, (count, 2)), rng.integers(1, 40, (count, 2))
        boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
        keep = {setting: rng.random(count) < 0.7 for setting in wider.SETTINGS}
        pictures[f"e/{i}"] = AnnotatedPicture(boxes, keep)
        guesses = np.repeat(boxes, rng.integers(0, 3, count), axis=0)
        guesses = guesses + rng.normal(0, 3, guesses.shape)
        invented = rng.uniform(0, 150, (int(rng.integers(0, 6)), 4))
        detections = np.concatenate([guesses, invented]).astype(np.float32)
        if rng.random() < 0.9:
            found[f"e/{i}"] = Faces(
                detections, rng.permutation(len(detections)).astype(np.float32) / 7 + i / 99
            )
    return found, GroundTruth(pictures)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_agrees_with_the_protocol_step_by_step(seed: int) -> None:
    found, truth = random_case(seed)
    for setting, curve in wider.evaluate(found, truth).items():
        assert curve.average_precision == pytest.approx(slow_average_precision(found, truth, setting))
        assert 0 <= curve.average_precision <= 1
        assert np.all(np.diff(curve.recall) >= 0)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_order_and_scale_of_the_scores_do_not_matter(seed: int) -> None:
    found, truth = random_case(seed)
    shuffled = {
        name: Faces(faces.boxes[::-1].copy(), faces.scores[::-1] * 8 - 2) for name, faces in found.items()
    }
    for setting, curve in wider.evaluate(found, truth).items():
        again = wider.evaluate(shuffled, truth)[setting]
        assert again.average_precision == pytest.approx(curve.average_precision, abs=0.02)


def test_missing_ground_truth_is_named(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    with pytest.raises(FileNotFoundError, match=r"wider_face_val\.mat: no such file"):
        wider.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a Matlab file" * 20])
def test_damaged_ground_truth_is_named(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("scipy")
    (tmp_path / "wider_face_val.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"wider_face_val\.mat: "):
        wider.load(tmp_path)


def test_ground_truth_that_lacks_a_variable_is_named(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "wider_face_val.mat", {"event_list": np.zeros(1)})
    with pytest.raises(ValueError, match="contains no variable file_list"):
        wider.load(tmp_path)


def column(*items: object) -> np.ndarray:
    """A Matlab cell array of one column."""
    cells = np.empty((len(items), 1), object)
    cells[:, 0] = items
    return cells


@pytest.mark.parametrize("hard", [[[[1], [1]]], [[[1], [3]], [[1]]]])
def test_ground_truth_of_two_sets_of_pictures_is_named(tmp_path: Path, hard: list[list[list[int]]]) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    boxes = np.array([[0, 0, 9, 9], [20, 0, 9, 9]])
    every = {
        "event_list": column("0--Parade", "1--Handshaking"),
        "file_list": column(column("a", "b"), column("c")),
        "face_bbx_list": column(column(boxes, boxes), column(boxes)),
    }
    scipy_io.savemat(tmp_path / "wider_face_val.mat", every)
    lists = {"easy": [[[1], [2]], [[1, 2]]], "medium": [[[1], [2]], [[1]]], "hard": [[[1], [2]], [[1]]]}
    for setting, numbers in lists.items():
        cells = column(*(column(*(np.array(n)[:, None] for n in event)) for event in numbers))
        scipy_io.savemat(tmp_path / f"wider_{setting}_val.mat", {"gt_list": cells})
    truth = wider.load(tmp_path)
    assert [truth.count(setting) for setting in wider.SETTINGS] == [4, 3, 3]
    assert truth.pictures["0--Parade/a"].boxes.tolist() == [[0, 0, 9, 9], [20, 0, 29, 9]]
    cells = column(*(column(*(np.array(n)[:, None] for n in event)) for event in hard))
    scipy_io.savemat(tmp_path / "wider_hard_val.mat", {"gt_list": cells})
    with pytest.raises(ValueError, match="do not match each other"):
        wider.load(tmp_path)


def test_real_ground_truth(wider_val: Path) -> None:
    pytest.importorskip("scipy")
    truth = wider.load(wider_val / "ground_truth")
    assert len(truth.pictures) == 3226
    assert [truth.count(setting) for setting in wider.SETTINGS] == [7211, 13319, 31958]  # as published

    images = wider_val / "WIDER_val" / "images"
    subset = truth.only(f"{path.parent.name}/{path.stem}" for path in sorted(images.glob("*/*.jpg")))
    assert len(subset.pictures) == 306
    perfect = {
        name: Faces(picture.boxes, np.full(len(picture.boxes), 0.9, np.float32))
        for name, picture in subset.pictures.items()
    }
    assert precisions(perfect, subset) == {"easy": 1.0, "medium": 1.0, "hard": 1.0}

    half = dict(list(perfect.items())[::2])
    found = GroundTruth({name: subset.pictures[name] for name in half})
    for setting, precision in precisions(half, subset).items():
        assert precision == pytest.approx(found.count(setting) / subset.count(setting))

    # One false alarm a picture, surer than every face.
    alarmed = {
        name: Faces(
            np.concatenate([[[-99, -99, -50, -50]], faces.boxes]).astype(np.float32),
            np.concatenate([[1.0], faces.scores]).astype(np.float32),
        )
        for name, faces in perfect.items()
    }
    for setting, precision in precisions(alarmed, subset).items():
        count = subset.count(setting)
        assert precision == pytest.approx(count / (count + 306))


def precisions(found: dict[str, Faces], truth: GroundTruth) -> dict[str, float]:
    """Average precision of each setting."""
    return {setting: curve.average_precision for setting, curve in wider.evaluate(found, truth).items()}
