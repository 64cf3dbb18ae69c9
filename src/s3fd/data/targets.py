"""What is to be told of faces: a column of labels, its classes, and what users call them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """An attribute to tell: a column and its classes.

    Attributes:
        column: the column's name; its case does not matter.
        values: what stands in the file for each class, in class order.
        names: what users read for each class, as many.
    """

    column: str
    values: tuple[str, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the classes.

        Raises:
            ValueError: no column, fewer than two classes, an empty one or two alike, or more of the
                values than of the names.
        """
        if not self.column:
            raise ValueError("a target needs a column")
        if len(self.values) != len(self.names):
            raise ValueError(f"{self.column}: {len(self.values)} values but {len(self.names)} names")
        if len(self.values) < 2:
            raise ValueError(f"{self.column}: a target needs two classes or more")
        for kind, texts in (("value", self.values), ("name", self.names)):
            if not all(texts) or len(set(texts)) < len(texts):
                raise ValueError(f"{self.column}: a class needs a {kind} of its own, not {', '.join(texts)}")


def parse_target(text: str) -> str | Target:
    """Read a target as a user writes it.

    ``"Gender"`` is a column whose classes are the values found in it, ``"mask:bare,mask"`` declares them and
    ``"Gender:F=female,M=male"`` also what to call them.

    Raises:
        ValueError: none of these, two classes alike, or fewer than two.
    """
    column, colon, classes = (part.strip() for part in text.partition(":"))
    if not column or (colon and not classes):
        raise ValueError(f"{text!r} is no target: write Gender, mask:bare,mask or Gender:F=female,M=male")
    if not colon:
        return column
    pairs = [[side.strip() for side in part.split("=")] for part in classes.split(",")]
    if any(len(pair) > 2 or "" in pair for pair in pairs):
        raise ValueError(f"{text!r}: classes are written as F,M or F=female,M=male")
    return Target(column, tuple(pair[0] for pair in pairs), tuple(pair[-1] for pair in pairs))
