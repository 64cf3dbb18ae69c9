"""From an upload to faces with vectors, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.identity.enrolment import Refusal
from s3fd.identity.recogniser import Recogniser
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import PictureError, Pixels
from s3fd.inference.records import Record
from s3fd.serving.bodies import Upload
from s3fd.serving.finding import Found, decode
from s3fd.serving.passes import Passes
from s3fd.serving.problems import Problem
from s3fd.serving.settings import Limits

Choice = Callable[[Pixels, Faces], Faces]
"""Function that chooses which faces of a picture get vectors; raises Refusal."""


@dataclass(frozen=True)
class Seen(Found):
    """Result for one upload, whose record has the chosen faces.

    Attributes:
        vectors: the vectors (N, D) of these faces.
    """

    vectors: FloatArray = field(kw_only=True)


def everybody(picture: Pixels, faces: Faces) -> Faces:
    """Choose all faces."""
    return faces


def see(
    passes: Passes,
    detector: Detector,
    recogniser: Recogniser,
    limits: Limits,
    choose: Choice,
    upload: Upload,
) -> Seen:
    """Find the faces in an upload and embed the chosen ones; an error goes into the record and is not raised.

    The picture is decoded at full resolution, as in `s3fd gallery`, because recognisers need more detail than
    the detector.
    """
    name = upload.name or ""
    try:
        picture = decode(detector, limits, bytes(upload.data), full=True)
        faces = choose(picture.pixels, passes.find(detector, picture))
        vectors = recogniser.embed(picture.pixels, faces)
        return Seen(Record(name, faces, picture.width, picture.height), vectors=vectors)
    except Problem as problem:
        reason, status = problem.detail, problem.status
    except PictureError as error:
        reason, status = error.reason, 422
    except Refusal as refusal:
        reason, status = str(refusal), 422
    none = np.zeros((0, recogniser.model.dimension), np.float32)
    return Seen(Record(name, error=reason), status, vectors=none)
