"""From an upload to faces with vectors, or why there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.identity.enrolment import Refusal
from s3fd.identity.recogniser import Recogniser
from s3fd.inference.detector import Detector
from s3fd.inference.pictures import PictureError, Pixels
from s3fd.inference.records import Record
from s3fd.serving.bodies import Upload
from s3fd.serving.finding import decode
from s3fd.serving.passes import Passes
from s3fd.serving.problems import Problem
from s3fd.serving.settings import Limits

Choice = Callable[[Pixels, Faces], Faces]
"""Which of the faces of a picture vectors are wanted of; raises Refusal."""


@dataclass(frozen=True)
class Seen:
    """What is seen in one upload.

    Attributes:
        record: the chosen faces; its path is the upload's name.
        vectors: (N, D) of these faces.
        status: that of an answer about this picture alone.
    """

    record: Record
    vectors: FloatArray
    status: int = 200

    @property
    def good(self) -> bool:
        """Whether there are faces to go on with, and not a reason."""
        return self.record.error is None


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
    """Find the faces of an upload, and give the chosen ones vectors; what is wrong is said and not raised.

    The picture is decoded in full, as `s3fd gallery` does: recognisers look closer than the detector.
    """
    name = upload.name or ""
    try:
        picture = decode(detector, limits, bytes(upload.data), full=True)
        faces = choose(picture.pixels, passes.find(detector, picture))
        vectors = recogniser.embed(picture.pixels, faces)
        return Seen(Record(name, faces, picture.width, picture.height), vectors)
    except Problem as problem:
        reason, status = problem.detail, problem.status
    except PictureError as error:
        reason, status = error.reason, 422
    except Refusal as refusal:
        reason, status = str(refusal), 422
    return Seen(Record(name, error=reason), np.zeros((0, recogniser.model.dimension), np.float32), status)
