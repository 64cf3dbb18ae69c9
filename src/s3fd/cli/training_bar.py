"""What a user sees of a training run on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import TaskID

T = TypeVar("T")
B = TypeVar("B", bound="TrainingBar")

EVERY = 30.0
"""Seconds between lines, at least, where there is no terminal."""


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
    """How far a run is, with its figures and the time left, while it is in a ``with`` block.

    A bar on a terminal; elsewhere, such as under nohup or in CI, a line now and then.
    """

    def __init__(self, what: str) -> None:
        """Prepare to show that `what` is going on; it appears with the first step."""
        self._what = what
        self._shown: _Bar | _Lines = _Bar() if sys.stderr.isatty() else _Lines()

    def __enter__(self: B) -> B:
        """Show it."""
        self._shown.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave its last state."""
        self._shown.stop()

    def show(self, step: int, steps: int, figures: str) -> None:
        """Say that `step` of `steps` is done, and how it goes."""
        self._shown.show(self._what, step, steps, figures)

    def around(self, items: Iterable[T], count: int, what: str) -> Iterator[T]:
        """Yield `items`, of which there are `count`, and show meanwhile that `what` is going on."""
        for number, item in enumerate(items, 1):
            self._shown.show(what, number, count, "")
            yield item


class _Bar:
    """A bar for each thing that goes on, the last one that moves."""

    def __init__(self) -> None:
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
        self._tasks: dict[str, TaskID] = {}
        self._last = 0

    def start(self) -> None:
        """Show it."""
        self._bar.start()

    def stop(self) -> None:
        """Leave its last state."""
        self._bar.stop()

    def show(self, what: str, step: int, steps: int, figures: str) -> None:
        """Move the bar of `what`; what else went on is over."""
        if what not in self._tasks:
            for task in self._tasks.values():
                self._bar.remove_task(task)
            self._tasks = {what: self._bar.add_task(what, total=steps, completed=step, figures=figures)}
        elif step != self._last + 1:  # a run goes on from its checkpoint: that tells nothing of its speed
            self._bar.reset(self._tasks[what], total=steps, completed=step, figures=figures)
        else:
            self._bar.update(self._tasks[what], total=steps, completed=step, figures=figures)
        self._last = step


class _Lines:
    """A plain line for the first step, then one every `EVERY` seconds, and one for the last."""

    def __init__(self) -> None:
        self._what: str | None = None
        self._begun = self._said = 0.0
        self._first = self._last = 0

    def start(self) -> None:
        """Say nothing yet."""

    def stop(self) -> None:
        """Say nothing more."""

    def show(self, what: str, step: int, steps: int, figures: str) -> None:
        """Say how far `what` is, if it is time to."""
        now = time.monotonic()
        new = what != self._what or step != self._last + 1
        if new:
            self._what, self._begun, self._first = what, now, step
        self._last = step
        if not new and step < steps and now - self._said < EVERY:
            return
        self._said = now
        words = [f"{what}: {step} of {steps}", figures, self._left(step, steps, now)]
        print(", ".join(word for word in words if word), file=sys.stderr, flush=True)

    def _left(self, step: int, steps: int, now: float) -> str:
        """The time left, by the speed since the first step that was shown; nothing if that tells nothing."""
        if step in (self._first, steps):
            return ""
        seconds = (now - self._begun) / (step - self._first) * (steps - step)
        return f"{timedelta(seconds=round(seconds))} left"
