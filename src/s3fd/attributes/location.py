"""Locate the faces of pictures that are labelled as a whole, for training that needs boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from s3fd.data.labels import LabelledPicture
from s3fd.evaluation.attribute_faces import faces_of
from s3fd.faces import Faces
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import PictureError

NO_FACE = "no face was found in the picture"
"""Why a readable picture is left out."""

Around = Callable[[Iterable[Faces | PictureError], int], Iterable[Faces | PictureError]]
"""Wraps an iterable of detections, given the number of pictures, to show progress."""


def locate(
    items: Sequence[LabelledPicture], detector: Detector, on_pictures: Around = lambda found, count: found
) -> tuple[list[LabelledPicture], list[str]]:
    """Add a box to each of the `items` that is labelled as a whole: that of the face it is evaluated by.

    `on_pictures` wraps the iteration over detections, to show progress.

    Returns:
        The items in order, without the pictures that cannot be read or in which `detector` finds no face;
        and for each of those, a line that says why.
    """
    whole = [item for item in items if item.boxes is None]
    found = iter(on_pictures(detector.many(item.path for item in whole), len(whole)))
    located, left_out = [], []
    for item in items:
        if item.boxes is not None:
            located.append(item)
            continue
        faces = next(found)
        if isinstance(faces, PictureError):
            left_out.append(str(faces))
            continue
        (face,) = faces_of(item, np.arange(1), faces)
        if face is None:
            left_out.append(f"{item.path}: {NO_FACE}")
        else:
            located.append(replace(item, boxes=faces.boxes[[face]]))
    return located, left_out
