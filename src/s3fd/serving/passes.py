"""Shared passes of the network for pictures of concurrent requests, if this is enabled.

On a CPU, sharing is slower: a batch takes longer than its pictures one by one (``benchmarks/throughput.py``).
A GPU is hardly busy with one picture.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Event, Lock

from s3fd.faces import Faces
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import Picture

LINGER = 0.005
"""Seconds that a picture waits for others: about as long as a pass takes on a GPU."""

Kind = tuple[Detector, tuple[int, int]]
"""What pictures that share a pass must have in common: all options, and the (width, height) at which the
network sees them."""


@dataclass(eq=False)
class _Group:
    """Pictures that share one pass.

    Attributes:
        pictures: the pictures that have joined.
        full: set once the group is full.
        faces: the faces of each picture, once they are found.
    """

    pictures: list[Picture] = field(default_factory=list)
    full: Event = field(default_factory=Event)
    faces: Future[list[Faces]] = field(default_factory=Future)


class Passes:
    """Finds faces for several threads, up to `batch` pictures at a time."""

    def __init__(self, batch: int = 1) -> None:
        """Let up to `batch` pictures share a pass; 1 disables sharing. Raises ValueError under 1."""
        if batch < 1:
            raise ValueError(f"batch must be 1 or more, not {batch}")
        self.batch = batch
        self._lock = Lock()
        self._joinable: dict[Kind, _Group] = {}

    def find(self, detector: Detector, picture: Picture) -> Faces:
        """Find the faces in a picture as `detector` does, together with the pictures of other threads.

        The first thread waits a moment for others whose pictures are of the same kind, and then finds the
        faces in all of them. At ``auto``, a picture has passes of its own.
        """
        seen = detector.seen(picture)
        if self.batch == 1 or seen is None:
            return detector.find(picture)
        group, place = self._join((detector, seen), detector.fit(picture))
        if place == 0:
            group.full.wait(LINGER)
            self._close((detector, seen), group)
            try:
                group.faces.set_result(detector.find_many(group.pictures))
            except BaseException as error:
                group.faces.set_exception(error)
        return group.faces.result()[place]

    def _join(self, kind: Kind, picture: Picture) -> tuple[_Group, int]:
        """Add a picture to the group of its kind, or to a new one; return the group and its place in it."""
        with self._lock:
            group = self._joinable.setdefault(kind, _Group())
            group.pictures.append(picture)
            if len(group.pictures) == self.batch:
                del self._joinable[kind]
                group.full.set()
            return group, len(group.pictures) - 1

    def _close(self, kind: Kind, group: _Group) -> None:
        """Close a group to further pictures."""
        with self._lock:
            if self._joinable.get(kind) is group:
                del self._joinable[kind]
