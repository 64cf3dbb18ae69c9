"""The WIDER FACE protocol: average precision on the easy, medium and hard faces of the validation set.

A setting (easy, medium, hard) lists the faces of each picture that must be found. The other faces are
ignored: detecting one is neither right nor wrong. The details follow the official evaluation code of WIDER
FACE (Yang et al., CVPR 2016; ``eval_tools`` on its site), so that results are comparable with published ones:
scores normalised over all pictures, 1,000 thresholds, overlaps that count the pixel at the far edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray
from s3fd.faces import Faces

Flags = NDArray[np.bool_]
Doubles = NDArray[np.float64]

SETTINGS = ("easy", "medium", "hard")
"""Faces over roughly 50, 30 and 10 pixels high; each setting includes the ones before it."""

MIN_IOU = 0.5
"""Minimum IoU for a detection to match a face (official evaluation)."""

THRESHOLDS = 1 - np.arange(1, 1001) / 1000
"""Normalised scores at which precision and recall are taken: 0.999 down to 0 (official evaluation)."""

CHUNK = 1024
"""Number of detections compared with a picture's faces at a time, to bound memory."""


@dataclass(frozen=True, eq=False)
class AnnotatedPicture:
    """The faces of one picture.

    Attributes:
        boxes: (N, 4) float32 xyxy in pixels.
        required: for each setting, (N,) bool: True for faces that must be found, False for ignored ones.
    """

    boxes: FloatArray
    required: Mapping[str, Flags]


@dataclass(frozen=True)
class GroundTruth:
    """The annotated pictures by name, ``EVENT/NAME`` without suffix."""

    pictures: Mapping[str, AnnotatedPicture]

    def only(self, names: Iterable[str]) -> GroundTruth:
        """Return the ground truth of the pictures `names` alone.

        Raises:
            KeyError: a name is not in the ground truth.
        """
        return GroundTruth({name: self.pictures[name] for name in names})

    def count(self, setting: str) -> int:
        """Return the number of faces that must be found in a setting."""
        return sum(int(picture.required[setting].sum()) for picture in self.pictures.values())


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall at falling thresholds.

    Attributes:
        precision: (T,) correct detections over all that are not ignored; 1 if there are none.
        recall: (T,) found faces over all that must be found; 0 if there are none.
        thresholds: (T,) normalised scores: 1 is the highest of the result set and 0 the lowest.
    """

    precision: Doubles
    recall: Doubles
    thresholds: Doubles

    @property
    def average_precision(self) -> float:
        """Area under the curve, 0–1; precision is the best at equal or higher recall (PASCAL VOC)."""
        raised = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(self.recall, prepend=0.0) * raised))


def load(folder: Path) -> GroundTruth:
    """Read the official ``wider_face_val.mat`` and ``wider_{easy,medium,hard}_val.mat`` from `folder`.

    Raises:
        ImportError: SciPy is not installed.
        FileNotFoundError: one of the files is missing.
        ValueError: a file has another content than its name says, or the files do not fit each other.
    """
    every = _load_mat(folder / "wider_face_val.mat", "event_list", "file_list", "face_bbx_list")
    required = {
        setting: _load_mat(folder / f"wider_{setting}_val.mat", "gt_list")["gt_list"] for setting in SETTINGS
    }
    try:
        return GroundTruth(_annotated_pictures(every, required))
    except (IndexError, ValueError) as error:
        raise ValueError(f"{folder}: its four .mat files do not match each other: {error}") from error


def _annotated_pictures(
    every: Mapping[str, Any], required: Mapping[str, NDArray[Any]]
) -> dict[str, AnnotatedPicture]:
    """Collect the pictures by name, from the variables of the file of all faces and each setting's lists.

    Raises:
        IndexError: a list lacks a picture or names a face that does not exist.
        ValueError: the shapes are not the official ones.
    """
    pictures = {}
    for e, (event, files) in enumerate(zip(every["event_list"][:, 0], every["file_list"][:, 0], strict=True)):
        for f, file in enumerate(files[:, 0]):
            corner_and_size = every["face_bbx_list"][e, 0][f, 0].astype(np.float32).reshape(-1, 4)
            lists = {setting: required[setting][e, 0][f, 0] for setting in SETTINGS}
            pictures[f"{event[0]}/{file[0]}"] = _annotated(corner_and_size, lists)
    return pictures


def evaluate(results: Mapping[str, Faces], ground_truth: GroundTruth) -> dict[str, Curve]:
    """Score a result set: compute the curve of each of the `SETTINGS`.

    Args:
        results: detections by picture, ``EVENT/NAME``, in any order and with scores of any range. A picture
            of the ground truth without results counts as one without detections; results for other pictures
            are ignored.
        ground_truth: the pictures to score, see `GroundTruth.only`.
    """
    # The official evaluation ignores pictures without annotated faces, and all detections in them.
    pictures = {name: picture for name, picture in ground_truth.pictures.items() if len(picture.boxes)}
    matches = {
        name: _match(results[name], picture.boxes) for name, picture in pictures.items() if name in results
    }
    scores = _normalise(np.concatenate([np.zeros(0), *(match.scores for match in matches.values())]))
    curves = {}
    for setting in SETTINGS:
        judged = [_judge(match, pictures[name].required[setting]) for name, match in matches.items()]
        right = np.concatenate([np.zeros(0, bool), *(right for right, _ in judged)])
        counted = np.concatenate([np.zeros(0, bool), *(counted for _, counted in judged)])
        curves[setting] = _curve(scores, right, counted, ground_truth.count(setting))
    return curves


@dataclass(frozen=True, eq=False)
class _Match:
    """The detections of a picture, best score first.

    Attributes:
        scores: (D,) scores as detected.
        faces: (D,) index of the face that each detection overlaps most.
        enough: (D,) whether that overlap is at least `MIN_IOU`.
    """

    scores: Doubles
    faces: NDArray[np.intp]
    enough: Flags


def _load_mat(path: Path, *variables: str) -> dict[str, Any]:
    """Load variables from a Matlab file."""
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise ImportError("reading .mat files needs SciPy: pip install 's3fd[eval]'") from error
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        content: dict[str, Any] = loadmat(path, variable_names=variables)
    except (MatReadError, ValueError, NotImplementedError) as error:
        raise ValueError(f"{path}: not a Matlab file that SciPy can read: {error}") from error
    missing = [variable for variable in variables if variable not in content]
    if missing:
        raise ValueError(f"{path}: contains no variable {missing[0]}")
    return content


def _annotated(
    corner_and_size: FloatArray, lists: Mapping[str, NDArray[np.integer[Any]]]
) -> AnnotatedPicture:
    """Make a picture from boxes (N, 4) as left, top, width, height and each setting's face numbers from 1."""
    corner, size = corner_and_size[:, :2], corner_and_size[:, 2:]
    required = {}
    for setting, numbers in lists.items():
        required[setting] = np.zeros(len(corner), bool)
        required[setting][numbers.reshape(-1).astype(np.intp) - 1] = True
    return AnnotatedPicture(np.concatenate([corner, corner + size], axis=1), required)


def _match(found: Faces, faces: FloatArray) -> _Match:
    """Pair every detection with the face (N ≥ 1) that it overlaps most; the first one if several tie."""
    order = np.argsort(-found.scores, kind="stable")
    boxes = found.boxes[order].astype(np.float64)
    best, overlap = np.zeros(len(boxes), np.intp), np.zeros(len(boxes))
    for start in range(0, len(boxes), CHUNK):
        part = slice(start, start + CHUNK)
        overlaps = _inclusive_iou(boxes[part], faces.astype(np.float64))
        best[part], overlap[part] = overlaps.argmax(axis=1), overlaps.max(axis=1)
    return _Match(found.scores[order].astype(np.float64), best, overlap >= MIN_IOU)


def _inclusive_iou(a: Doubles, b: Doubles) -> Doubles:
    """Return the IoU of every pair of `a` (N, 4) and `b` (M, 4), shape (N, M), with far edges included.

    The official evaluation adds 1 to every width and height; `s3fd.boxes.iou` does not.
    """

    def area(boxes: Doubles) -> Doubles:
        size: Doubles = boxes[:, 2:] - boxes[:, :2] + 1
        return size[:, 0] * size[:, 1]

    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0]) + 1
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1]) + 1
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    union = area(a)[:, None] + area(b)[None, :] - shared
    iou: Doubles = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return iou


def _normalise(scores: Doubles) -> Doubles:
    """Map the lowest of the scores (D,) to 0 and the highest to 1; all of them to 1 if they are equal."""
    if len(scores) == 0:
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)


def _judge(match: _Match, required: Flags) -> tuple[Flags, Flags]:
    """Return which detections (D,) are the first to find a required face, and which (D,) count at all.

    Further detections of a required face count as false positives; those of an ignored face do not count.
    """
    finds = match.enough & required[match.faces]
    first = np.flatnonzero(finds)[np.unique(match.faces[finds], return_index=True)[1]]
    right = np.zeros(len(finds), bool)
    right[first] = True
    return right, finds | ~match.enough


def _curve(scores: Doubles, right: Flags, counted: Flags, faces: int) -> Curve:
    """Compute precision and recall at the `THRESHOLDS` from detections with normalised `scores` (D,)."""
    order = np.argsort(-scores, kind="stable")
    above = np.searchsorted(-scores[order], -THRESHOLDS, side="right")
    hits = np.concatenate([[0], np.cumsum(right[order])])[above]
    proposals = np.concatenate([[0], np.cumsum(counted[order])])[above]
    precision = np.divide(hits, proposals, out=np.ones(len(above)), where=proposals > 0)
    return Curve(precision, hits / faces if faces else np.zeros(len(above)), THRESHOLDS)
