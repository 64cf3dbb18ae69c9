"""Classification targets: a column of labels, its classes, and the names that users see."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """An attribute to predict: a column and its classes.

    Attributes:
        column: name of the column, in any case.
        values: value of each class in the file, in class order.
        names: display name of each class, in the same order.
    """

    column: str
    values: tuple[str, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the classes.

        Raises:
            ValueError: the column is empty, there are fewer than two classes, a value or name is empty or
                repeated, or there are not as many values as names.
        """
        if not self.column:
            raise ValueError("a target needs a column")
        if len(self.values) != len(self.names):
            raise ValueError(f"{self.column}: {len(self.values)} values but {len(self.names)} names")
        if len(self.values) < 2:
            raise ValueError(f"{self.column}: a target needs at least two classes")
        for kind, texts in (("value", self.values), ("name", self.names)):
            if not all(texts) or len(set(texts)) < len(texts):
                raise ValueError(
                    f"{self.column}: each class must have a different {kind}, not {', '.join(texts)}"
                )


def parse_target(text: str) -> str | Target:
    """Parse a target from user input.

    ``"Gender"`` is a column whose classes are the values found in it. ``"mask:bare,mask"`` declares the
    classes, and ``"Gender:F=female,M=male"`` also their display names.

    Raises:
        ValueError: the text has another form, or declares a repeated class or fewer than two.
    """
    column, colon, classes = (part.strip() for part in text.partition(":"))
    if not column or (colon and not classes):
        raise ValueError(f"invalid target {text!r}: write Gender, mask:bare,mask or Gender:F=female,M=male")
    if not colon:
        return column
    pairs = [[side.strip() for side in part.split("=")] for part in classes.split(",")]
    if any(len(pair) > 2 or "" in pair for pair in pairs):
        raise ValueError(f"invalid target {text!r}: write classes as F,M or F=female,M=male")
    return Target(column, tuple(pair[0] for pair in pairs), tuple(pair[-1] for pair in pairs))
