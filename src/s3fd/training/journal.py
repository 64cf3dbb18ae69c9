"""Journal of a run in its folder, to monitor the run and to resume it after it was killed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s3fd.training import checkpoint
from s3fd.training.checkpoint import Part
from s3fd.training.config import StrictConfig
from s3fd.training.metrics import Metrics


class Journal:
    """The checkpoint of a run, ``metrics.jsonl`` and TensorBoard events; see `open_journal`.

    Attributes:
        step: number of completed steps.
        sums: sum of each figure over these steps, by its name; non-finite values are skipped.
    """

    def __init__(
        self,
        folder: Path,
        config: StrictConfig,
        every: int,
        basis: Mapping[str, str],
        saved: Mapping[str, Any] | None,
    ) -> None:
        """Prepare from the `saved` checkpoint, if there is one; nothing is written before `begin`."""
        self._folder, self._config, self._every = folder, config, every
        self._basis, self._saved = dict(basis), saved
        self._parts: Mapping[str, Part] = {}
        self._metrics: Metrics | None = None
        self._before = float(saved["seconds"]) if saved else 0.0
        self._begun = time.perf_counter()
        self.step = int(saved["step"]) if saved else 0
        self.sums: dict[str, float] = dict(saved["sums"]) if saved else {}

    @property
    def seconds(self) -> float:
        """Total time of the steps: those before the checkpoint and those since `begin`."""
        return self._before + time.perf_counter() - self._begun

    def begin(self, parts: Mapping[str, Part]) -> int:
        """Restore `parts`, all that a step changes, from the checkpoint; returns the number of steps done.

        Raises:
            CheckpointError: a part does not fit.
            OSError: the folder cannot be written to.
        """
        if self._saved is not None:
            checkpoint.restore(self._folder / checkpoint.NAME, self._saved, parts)
            self._saved = None  # otherwise it would stay in memory twice
        self._parts = parts
        self._folder.mkdir(parents=True, exist_ok=True)
        self._metrics = Metrics(self._folder, self.step)
        self._begun = time.perf_counter()
        return self.step

    def add(self, figures: Mapping[str, float], last: bool) -> None:
        """Record a completed step, and write a checkpoint at the regular interval and after the `last` step.

        Raises:
            OSError: the record or the checkpoint cannot be written.
        """
        assert self._metrics is not None, "the run has not begun"
        self._metrics.scalars(self.step, figures)
        for name, value in figures.items():
            if math.isfinite(value):
                self.sums[name] = self.sums.get(name, 0.0) + value
        self.step += 1
        if last or self.step % self._every == 0:
            more = {"basis": self._basis, "seconds": self.seconds, "sums": self.sums}
            checkpoint.save_run(self._folder / checkpoint.NAME, self.step, self._config, self._parts, more)

    def close(self) -> None:
        """Close the files."""
        if self._metrics is not None:
            self._metrics.close()


@contextmanager
def open_journal(
    folder: Path, config: StrictConfig, every: int, basis: Mapping[str, str]
) -> Iterator[Journal]:
    """Open the journal of a run in `folder`: a new one, or that of a run to resume.

    Args:
        folder: folder of the run; it need not exist.
        config: configuration of the run.
        every: steps between checkpoints.
        basis: other inputs that the steps depend on. Each value identifies an input, for example by checksum;
            its key is what an error message calls a different one, such as "other labels".

    Raises:
        CheckpointError: the checkpoint in `folder` is damaged, or was made with another configuration or
            other inputs.
    """
    path = folder / checkpoint.NAME
    saved = checkpoint.load_run(path, config) if path.exists() else None
    if saved is not None:
        for what, value in basis.items():
            if saved.get("basis", {}).get(what) != value:
                raise checkpoint.of_another_run(path, what)
    journal = Journal(folder, config, every, basis, saved)
    try:
        yield journal
    finally:
        journal.close()
