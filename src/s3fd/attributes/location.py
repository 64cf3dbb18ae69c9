"""Where the faces of pictures are that are labelled as a whole, for training that needs to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from s3fd.data.labels import LabelledPicture
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import PictureError

NO_FACE = "no face was found in it"
"""Why a picture is left out though it can be read."""


def locate(items: Sequence[LabelledPicture], detector: Detector) -> Iterator[LabelledPicture | str]:
    """Yield `items` in order, those labelled as a whole with the box of their largest face.

    That is the face by which they are tested, too (`s3fd.evaluation.attribute_faces`). In the place of a
    picture that cannot be read or in which `detector` finds none, there is a line that says so.
    """
    whole = [item for item in items if item.boxes is None]
    found = detector.many(item.path for item in whole)
    for item in items:
        if item.boxes is not None:
            yield item
            continue
        faces = next(found)
        if isinstance(faces, PictureError):
            yield str(faces)
        elif not len(faces):
            yield f"{item.path}: {NO_FACE}"
        else:
            yield replace(item, boxes=faces.boxes[[int(np.argmax(faces.sizes))]])
