import numpy as np
import pytest
import torch

from s3fd import boxes as box_ops
from s3fd.data.labels import NOT_KNOWN
from s3fd.training.config import MatchingConfig
from s3fd.training.matching import BACKGROUND, FACE, IGNORED
from s3fd.training.targets import TargetMaker, label_anchors

FACES = np.array([[20, 20, 60, 60], [90, 70, 106, 86]], np.float32)
SURE = np.zeros(2, bool)


def test_matched_anchors_code_the_box_of_their_face() -> None:
    make = TargetMaker(128, MatchingConfig())
    labels, deltas, candidates = make(FACES, SURE)
    face = (labels == FACE).numpy()
    decoded = box_ops.decode(deltas.numpy()[face], make.anchors[face])
    assert {tuple(row) for row in decoded.round().tolist()} == {tuple(row) for row in FACES.tolist()}
    assert not len(candidates.anchors) and not deltas[~torch.from_numpy(face)].any()


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (MatchingConfig(match_iou=1, anchors_per_face=0), 1),
        (MatchingConfig(match_iou=1, anchors_per_face=4), 4),
        (MatchingConfig(match_iou=1, compensation_iou=1), 1),
    ],
)
def test_the_configuration_decides_how_many_anchors_a_face_gets(config: MatchingConfig, count: int) -> None:
    labels, *_ = TargetMaker(128, config)(FACES, SURE)
    assert (labels == FACE).sum() == 2 * count


@pytest.mark.parametrize("method", ["compensation", "aligned"])
def test_layers_before_the_first_are_not_trained(method: str) -> None:
    make = TargetMaker(128, MatchingConfig(method=method, first_layer=1))  # type: ignore[arg-type]
    labels, deltas, candidates = make(FACES, SURE)
    finest = 32 * 32
    assert (labels[:finest] == IGNORED).all() and (labels[finest:] != IGNORED).all()
    assert not deltas[:finest].any()
    assert (candidates.anchors[candidates.anchors >= 0] >= finest).all()


def test_candidates_overlap_as_configured() -> None:
    make = TargetMaker(128, MatchingConfig(method="aligned", compensation_iou=1))
    assert (make(FACES, SURE).candidates.anchors >= 0).sum(dim=1).tolist() == [1, 1]


def test_assigned_while_training_every_face_brings_its_candidates() -> None:
    make = TargetMaker(128, MatchingConfig(method="aligned", candidates=8))
    labels, deltas, candidates = make(FACES, SURE)
    assert (labels == BACKGROUND).all() and not deltas.any()
    assert candidates.anchors.shape == (2, 8) and candidates.deltas.shape == (2, 8, 4)
    for rows, coded, face in zip(candidates.anchors.numpy(), candidates.deltas.numpy(), FACES, strict=True):
        there = rows >= 0
        assert there.any()
        assert np.allclose(box_ops.decode(coded[there], make.anchors[rows[there]]), face, atol=1e-3)


@pytest.mark.parametrize("method", ["compensation", "aligned"])
def test_anchors_near_an_ignored_face_are_not_trained(method: str) -> None:
    make = TargetMaker(128, MatchingConfig(method=method))  # type: ignore[arg-type]
    labels, _, candidates = make(FACES, np.array([True, False]))
    near = box_ops.iou(FACES[:1], make.anchors)[0] > 0.3
    assert near.any() and (labels.numpy()[near] == IGNORED).all()
    assert len(candidates.anchors) == (method == "aligned")


def test_an_anchor_has_the_label_of_its_face_and_no_other() -> None:
    anchors = TargetMaker(128, MatchingConfig()).anchors
    targets = label_anchors(FACES, SURE, np.array([1, NOT_KNOWN]), anchors)
    assert set(targets.tolist()) == {1, NOT_KNOWN}
    assert (box_ops.iou(FACES[:1], anchors[targets == 1]) > 0.1).all()
    assert (label_anchors(FACES, ~SURE, np.array([1, 0]), anchors) == NOT_KNOWN).all()
