"""The result of a detection: every face of one picture, as one struct of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from s3fd.boxes import FloatArray

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of one picture, best score first.

    Attributes:
        boxes: (N, 4) float32, xyxy in pixels of the upright picture.
        scores: (N,) float32 in 0–1.
        attributes: additional columns by name, each an array whose first dimension is N.
        embeddings: (N, D) float32 of length 1: the cosine of two measures how alike the faces are. None
            unless the detector was asked for them.

    Indexing with an integer, a slice, a boolean mask or an index array returns `Faces` again, so that
    ``faces[faces.scores > 0.9]`` and ``faces[:3]`` read as in NumPy. Iterating gives one-face `Faces`.
    """

    boxes: FloatArray
    scores: FloatArray
    attributes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    embeddings: FloatArray | None = None

    def __post_init__(self) -> None:
        """Check that all columns have the same length.

        Raises:
            ValueError: a column has the wrong shape.
        """
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.scores.shape != (count,):
            raise ValueError(
                f"boxes must be (N, 4) and scores (N,), not {self.boxes.shape} and {self.scores.shape}"
            )
        for name, column in self.attributes.items():
            if len(column) != count:
                raise ValueError(f"attribute {name!r} has {len(column)} rows for {count} faces")
        if self.embeddings is not None and (self.embeddings.ndim != 2 or len(self.embeddings) != count):
            raise ValueError(f"embeddings must be ({count}, D), not {self.embeddings.shape}")

    @classmethod
    def empty(cls) -> Faces:
        """Return a result without faces: boxes (0, 4), scores (0,)."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.scores)

    def __getitem__(self, index: int | np.integer[Any] | slice | NDArray[Any] | list[int]) -> Faces:
        """Return the chosen faces as `Faces`; an integer that is out of range raises IndexError."""
        if isinstance(index, (int, np.integer)):
            if not -len(self) <= index < len(self):
                raise IndexError(f"face index {index} is out of range for {len(self)} faces")
            index = [int(index)]
        columns = {name: column[index] for name, column in self.attributes.items()}
        embeddings = None if self.embeddings is None else self.embeddings[index]
        return Faces(self.boxes[index], self.scores[index], columns, embeddings)

    def __iter__(self) -> Iterator[Faces]:
        """Yield each face as `Faces` of length one."""
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        """Return a one-line summary."""
        best = f", best score {self.scores.max():.2f}" if len(self) else ""
        return f"<Faces: {len(self)}{best}>"

    @property
    def sizes(self) -> FloatArray:
        """Geometric mean of width and height of each box in pixels, shape (N,)."""
        width, height = np.maximum(self.boxes[:, 2:] - self.boxes[:, :2], 0).T
        sizes: FloatArray = np.sqrt(width * height)
        return sizes

    def filter(self, min_score: float = 0.0, min_size: float = 0.0) -> Faces:
        """Keep faces with a score ≥ `min_score` (0–1) and a shorter side ≥ `min_size` pixels."""
        shorter = (self.boxes[:, 2:] - self.boxes[:, :2]).min(axis=1)
        return self[(self.scores >= min_score) & (shorter >= min_size)]

    def to_dicts(self, digits: int = 1) -> list[dict[str, Any]]:
        """Return one JSON-ready dictionary per face: box rounded to `digits` decimals, score and attributes.

        Embeddings are left out: they are biometric data, and are written only on explicit request.
        """
        return [
            {
                "box": [round(float(v), digits) for v in box],
                "score": round(float(score), 4),
                **{name: _plain(column[i]) for name, column in self.attributes.items()},
            }
            for i, (box, score) in enumerate(zip(self.boxes, self.scores, strict=True))
        ]

    def to_supervision(self) -> supervision.Detections:
        """Return the faces as `supervision.Detections` (class 0).

        Raises:
            ImportError: the package `supervision` is not installed.
        """
        import supervision

        return supervision.Detections(
            xyxy=self.boxes.copy(),
            confidence=self.scores.copy(),
            class_id=np.zeros(len(self), dtype=int),
            data={"class_name": np.full(len(self), "face"), **self.attributes},
        )


def _plain(value: Any) -> Any:
    """Convert a column's entry to a plain JSON value; scores and probabilities have four decimals."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value
