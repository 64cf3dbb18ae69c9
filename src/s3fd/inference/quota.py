"""The processor time that a container may use, which is often less than its machine has processors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath


def processor_quota(
    groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Return for how many processors the time of this process's control groups lasts, rounded up.

    Each group of Linux (v1 or v2), and each that it lies in, may have a limit, as containers get by
    ``docker run --cpus``: the least counts.

    Args:
        groups: file that names the groups of this process.
        mounted: folder in which the groups are, where Linux distributions and containers have it.

    Returns:
        the number, 1 or more, or None if nothing limits the time or no limit can be read.
    """
    return min((max(1, math.ceil(limit)) for limit in _limits(groups, mounted)), default=None)


def _limits(groups: Path, mounted: Path) -> Iterator[float]:
    """The limits of all groups that have one, in processors."""
    with suppress(OSError):
        for line in groups.read_text("utf-8", "surrogateescape").splitlines():
            _, controllers, path = line.split(":", 2)
            # A container sees its own group, which the path may not know, as the outermost folder.
            inner = PurePosixPath(path.lstrip("/"))
            for group in (inner, *inner.parents):
                if not controllers:  # v2, perhaps beside v1
                    yield from _limit(mounted / group / "cpu.max")
                    yield from _limit(mounted / "unified" / group / "cpu.max")
                elif "cpu" in controllers.split(","):
                    folder = mounted / "cpu" / group
                    yield from _limit(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")


def _limit(*files: Path) -> Iterator[float]:
    """The limit in `files`, whose words are the microseconds of processor time and the clock time they last.

    There is none if the first is ``max`` or -1, or if a file is not there.
    """
    with suppress(OSError, ValueError, ZeroDivisionError):
        time, period = (int(word) for file in files for word in file.read_text("ascii").split())
        if time > 0:
            yield time / period
