"""What a user sees of a training run on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
B = TypeVar("B", bound="TrainingBar")


class RunningMean:
    """The mean of what came last: each value counts by `share`, the first in full."""

    def __init__(self, share: float) -> None:
        """Begin; the mean is not a number before the first value."""
        self._share = share
        self.value = float("nan")
        self._begun = False

    def add(self, value: float) -> None:
        """Take a value into the mean."""
        self.value = (1 - self._share) * self.value + self._share * value if self._begun else value
        self._begun = True


class TrainingBar:
    """A bar with the time left and a line of figures, while it is in a ``with`` block."""

    def __init__(self, what: str) -> None:
        """Prepare a bar for `what` is going on; it appears with the first step."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(what, total=None, figures="", visible=False)

    def __enter__(self: B) -> B:
        """Show it."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave its last state."""
        self._bar.stop()

    def show(self, step: int, steps: int, figures: str) -> None:
        """Say that `step` of `steps` is done, and how it goes."""
        self._bar.update(self._task, total=steps, completed=step, figures=figures, visible=True)

    def around(self, items: Iterable[T], count: int, what: str) -> Iterator[T]:
        """Yield `items`, of which there are `count`, and show a bar of their own meanwhile."""
        task = self._bar.add_task(what, total=count, figures="")
        for item in items:
            self._bar.advance(task)
            yield item
        self._bar.remove_task(task)
