"""The questions that requests ask a gallery's store, about faces with vectors; refusals are a `Problem`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from s3fd.boxes import FloatArray
from s3fd.identity.decision import Identity, decide
from s3fd.identity.store import Calibration, GalleryError, Store, new
from s3fd.serving.problems import Problem, late
from s3fd.serving.recognising import Seen

NO_THRESHOLD = (
    "The gallery has no threshold: run `s3fd gallery calibrate`, or pass one to `s3fd serve` or the request."
)


def describe(threshold: float | None, store: Store) -> dict[str, Any]:
    """Describe the gallery as a whole."""
    people, calibration = store.people(), store.calibration
    return {
        "model": store.model.name,
        "digest": store.model.digest,
        "people": len(people),
        "vectors": sum(people.values()),
        "threshold": threshold,
        "calibration": None if calibration is None else asdict(calibration),
    }


def people(after: str, limit: int, store: Store) -> dict[str, Any]:
    """List up to `limit` people whose names sort after `after`."""
    rest = [(name, count) for name, count in sorted(store.people().items()) if name > after]
    listed = [{"name": name, "vectors": count} for name, count in rest[:limit]]
    return {"people": listed, "next": listed[-1]["name"] if len(rest) > limit else None}


def enrol(name: str, most: int, seen: Sequence[Seen], store: Store) -> tuple[int, int]:
    """Add the accepted faces of `seen` to a person; return how many were new, and how many the person has."""
    good, added = [one for one in seen if one.good], 0
    if good:
        vectors = np.concatenate([one.vectors for one in good])
        left = most - sum(store.people().values())
        if len(good) > left and _count_new(name, vectors, store) > max(0, left):
            raise Problem(507, f"The gallery is full: the limit is {most:,} vectors.")
        try:
            added = store.add(name, vectors, [one.record.path for one in good])
        except GalleryError as error:
            raise Problem(422, str(error)) from error
    return added, store.people().get(name, 0)


def _count_new(name: str, vectors: FloatArray, store: Store) -> int:
    """Count the `vectors` (N, D) that would be added to a person: a repeated request adds none."""
    try:
        known = store.vectors_of(name)
    except GalleryError:
        known = vectors[:0]
    return len(new(known, vectors))


def remove(name: str, store: Store) -> dict[str, Any]:
    """Delete a person."""
    try:
        return {"name": name, "removed": store.remove(name)}
    except GalleryError as error:
        raise Problem(404, str(error)) from error


def identify(threshold: float | None, end: float, seen: Sequence[Seen], store: Store) -> list[list[Identity]]:
    """Identify every face in every picture; give up once `time.monotonic` reaches `end`.

    Nobody waits for the answer after `end`, and a request may have thousands of faces, each of which takes a
    search of the whole gallery.
    """
    if threshold is None:
        threshold = _calibration(store).identify
    told: list[list[Identity]] = []
    for one in seen:
        told.append([])
        for vector in one.vectors:
            if time.monotonic() > end:
                raise late()
            told[-1].append(decide(store.search(vector), threshold))
    return told


def verify(name: str | None, threshold: float | None, seen: Sequence[Seen], store: Store) -> dict[str, Any]:
    """Compare the face in a picture with a person, or the faces in two pictures with each other."""
    if threshold is None:
        calibration = _calibration(store)
        threshold = calibration.between_faces if name is None else calibration.verify
    if name is None:
        score = float(seen[0].vectors[0] @ seen[1].vectors[0])
    else:
        try:
            score = float((store.vectors_of(name) @ seen[0].vectors[0]).max())
        except GalleryError as error:
            raise Problem(404, str(error)) from error
    same = score >= threshold
    return {"same": same, "score": round(score, 4), "threshold": round(threshold, 4), "name": name}


def _calibration(store: Store) -> Calibration:
    """Return the gallery's thresholds; raises a `Problem` with status 409 if it has none."""
    calibration = store.calibration
    if calibration is None:
        raise Problem(409, NO_THRESHOLD)
    return calibration
