import numpy as np
import pytest
import torch

from s3fd import boxes as box_ops
from s3fd.anchors import anchors, map_sizes
from s3fd.network.heads import Predictions
from s3fd.training.alignment import Candidates, align
from s3fd.training.matching import candidates

ANCHORS = anchors(map_sizes(128, 128))


def predictions(score: float = 0.5) -> Predictions:
    """Every anchor predicts its own box, all with one score."""
    logits = torch.zeros(1, len(ANCHORS), 2)
    logits[..., 1] = torch.logit(torch.tensor(score))
    return Predictions(logits, torch.zeros(1, len(ANCHORS), 4), [])


def candidates_of(*faces: tuple[float, float, float, float], count: int = 24) -> Candidates:
    boxes = np.array(faces, np.float32).reshape(-1, 4)
    rows = candidates(boxes, ANCHORS, count=count)
    coded = box_ops.encode(np.repeat(boxes, count, axis=0), ANCHORS[rows.clip(min=0).ravel()])
    return Candidates(torch.from_numpy(rows), torch.from_numpy(coded).view(len(boxes), count, 4))


def background() -> torch.Tensor:
    return torch.zeros(1, len(ANCHORS), dtype=torch.int8)


def test_without_a_better_guess_the_best_anchors_answer_and_score_their_overlap() -> None:
    face = (39.3, 41.6, 58.2, 60.9)
    labels = background()
    found = align(predictions(), candidates_of(face), labels, 3)
    chosen = found.labels[0] == 1
    iou = box_ops.iou(np.array([face], np.float32), ANCHORS)[0]
    assert set(np.flatnonzero(chosen)) == set(np.argsort(-iou, kind="stable")[:3])
    expected = np.where(chosen, (iou / iou.max()) ** 6 * iou.max(), 0)
    np.testing.assert_allclose(found.scores[0], expected, atol=1e-5)
    assert not labels.any()
    decoded = box_ops.decode(found.deltas[0][chosen].numpy(), ANCHORS[chosen.numpy()])
    np.testing.assert_allclose(decoded, [face] * 3, atol=1e-3)


def test_an_anchor_that_predicts_the_face_beats_one_that_lies_on_it() -> None:
    face = (40.0, 40.0, 58.0, 60.0)
    wanted = candidates_of(face)
    tenth = int(wanted.anchors[0, 9])
    guess = predictions()
    guess.deltas[0, tenth] = wanted.deltas[0, 9]
    found = align(guess, wanted, background(), 1)
    assert np.flatnonzero(found.labels[0] == 1).tolist() == [tenth]
    assert found.scores[0, tenth].item() > 0.99


def test_of_two_equal_boxes_the_surer_answers() -> None:
    wanted = candidates_of((40.0, 40.0, 58.0, 60.0))
    guess = predictions()
    for k in (3, 7):
        guess.deltas[0, wanted.anchors[0, k]] = wanted.deltas[0, k]
    guess.logits[0, wanted.anchors[0, 7], 1] += 1
    found = align(guess, wanted, background(), 1)
    assert np.flatnonzero(found.labels[0] == 1).tolist() == [int(wanted.anchors[0, 7])]


def test_two_faces_never_share_an_anchor() -> None:
    faces = np.array([[40.3, 41.1, 55.9, 56.6], [43.2, 40.4, 59.1, 56.2]], np.float32)  # no two overlaps tie
    found = align(predictions(), candidates_of(*map(tuple, faces.tolist())), background(), 6)
    overlap = box_ops.iou(faces, ANCHORS)
    best = [set(np.argsort(-row)[:6].tolist()) for row in overlap]
    assert len(best[0] & best[1]) > 2
    wanted = {anchor: int(overlap[:, anchor].argmax()) for anchor in best[0] & best[1]}
    wanted |= {anchor: i for i in (0, 1) for anchor in best[i] - best[1 - i]}
    assert np.flatnonzero(found.labels[0] == 1).tolist() == sorted(wanted)
    decoded = box_ops.decode(found.deltas[0].numpy(), ANCHORS)
    for anchor, owner in wanted.items():
        np.testing.assert_allclose(decoded[anchor], faces[owner], atol=1e-3)
    for i in (0, 1):
        own = [anchor for anchor, owner in wanted.items() if owner == i]
        assert found.scores[0, own].max().item() == pytest.approx(overlap[i, own].max(), abs=1e-5)


def test_a_face_has_no_more_anchors_than_candidates() -> None:
    found = align(predictions(), candidates_of((40.0, 40.0, 58.0, 60.0), count=2), background(), 6)
    assert (found.labels == 1).sum() == 2


def test_where_all_predictions_miss_the_surest_answers() -> None:
    wanted = candidates_of((40.0, 40.0, 58.0, 60.0))
    guess = predictions()
    guess.deltas[:] = 200.0
    surest = int(wanted.anchors[0, 7])
    guess.logits[0, surest, 1] += 1
    found = align(guess, wanted, background(), 1)
    assert np.flatnonzero(found.labels[0] == 1).tolist() == [surest]
    assert found.scores[0, surest].item() == pytest.approx(0.001)


def test_untrained_anchors_stay_untrained_and_no_face_is_all_background() -> None:
    labels = background()
    labels[0, 5] = -1
    found = align(predictions(), candidates_of(), labels, 6)
    assert torch.equal(found.labels, labels) and found.scores.sum() == 0


def test_rows_of_no_anchor_are_never_chosen() -> None:
    tiny = candidates_of((60.0, 60.0, 63.0, 63.0))  # overlaps no anchor by a tenth
    assert (tiny.anchors[0, 1:] == -1).all()
    guess = predictions()
    guess.deltas[0, 0] = tiny.deltas[0, 1]  # anchor 0, which stands in for none, predicts the face
    found = align(guess, tiny, background(), 6)
    assert np.flatnonzero(found.labels[0] == 1).tolist() == [int(tiny.anchors[0, 0])]


def test_the_first_anchor_of_all_is_one_like_any_other() -> None:
    corner = candidates_of((-6.0, -6.0, 10.0, 10.0))
    assert corner.anchors[0, 0] == 0
    found = align(predictions(), corner, background(), 1)
    assert np.flatnonzero(found.labels[0] == 1).tolist() == [0]
    assert found.scores[0, 0].item() == pytest.approx(1)
