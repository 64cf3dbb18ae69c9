"""Where the faces of pictures are that are labelled as a whole, for training that needs to know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from s3fd.data.labels import LabelledPicture
from s3fd.evaluation.attribute_faces import faces_of
from s3fd.faces import Faces
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import PictureError

NO_FACE = "no face was found in it"
"""Why a picture is left out though it can be read."""

Around = Callable[[Iterable[Faces | PictureError], int], Iterable[Faces | PictureError]]
"""Put around what is found in so many pictures as it comes, to show how far it is."""


def locate(
    items: Sequence[LabelledPicture], detector: Detector, on_pictures: Around = lambda found, count: found
) -> tuple[list[LabelledPicture], list[str]]:
    """Return `items` in order, those labelled as a whole with the box of the face by which they are tested.

    A picture that cannot be read or in which `detector` finds no face is left out: second come lines that
    say so. `on_pictures` is put around the search.
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
