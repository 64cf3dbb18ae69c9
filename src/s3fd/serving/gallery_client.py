"""The gallery's part of the client: ``client.gallery.identify("party.jpg")``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from s3fd.identity.decision import Identity
from s3fd.identity.store import Calibration
from s3fd.inference.records import Record
from s3fd.serving.transfer import Picture, files, parameters, record

Ask = Callable[..., Any]
"""From method, path and what httpx takes to the answer's JSON; raises ServiceError."""


@dataclass(frozen=True)
class GalleryCard:
    """The gallery as a whole.

    Attributes:
        model: name of the embedding model.
        digest: SHA-256 of all that decides what its vectors are.
        people: how many there are.
        vectors: how many they have together.
        threshold: that the service was started with; None for the calibration's.
        calibration: None until there is one.
    """

    model: str
    digest: str
    people: int
    vectors: int
    threshold: float | None
    calibration: Calibration | None


@dataclass(frozen=True)
class Enrolled:
    """Whom pictures were enrolled for.

    Attributes:
        name: of the person.
        vectors: that the person has now.
        pictures: of each, its one face, or an error that says why it cannot stand for the person.
    """

    name: str
    vectors: int
    pictures: Sequence[Record]


@dataclass(frozen=True)
class Identified:
    """The faces of a picture, and who they are.

    Attributes:
        record: the faces, or the error.
        identities: of each of the faces.
    """

    record: Record
    identities: Sequence[Identity]


@dataclass(frozen=True)
class Verified:
    """Whether two faces, or a face and a person, are the same person's.

    Attributes:
        same: whether `score` is the threshold or more.
        score: the cosine; with a person, the best with any of the vectors.
        threshold: that decided.
        boxes: of the face in each picture, xyxy in pixels.
    """

    same: bool
    score: float
    threshold: float
    boxes: Sequence[tuple[float, float, float, float]]


class GalleryClient:
    """Talks about the gallery of a service; every method raises ServiceError for what is refused."""

    def __init__(self, ask: Ask) -> None:
        """Send requests by `ask`."""
        self._ask = ask

    def card(self) -> GalleryCard:
        """Ask what there is."""
        answer = self._ask("GET", "/v1/gallery")
        calibration = answer.pop("calibration")
        return GalleryCard(**answer, calibration=Calibration(**calibration) if calibration else None)

    def people(self) -> dict[str, int]:
        """Count the vectors of each person, by name, in order."""
        people: dict[str, int] = {}
        after: str | None = ""
        while after is not None:
            answer = self._ask("GET", "/v1/gallery/people", params={"after": after})
            people |= {one["name"]: one["vectors"] for one in answer["people"]}
            after = answer["next"]
        return people

    def enrol(
        self, name: str, *pictures: Picture, box: Sequence[float] | None = None, **options: Any
    ) -> Enrolled:
        """Enrol a person with pictures of one face each, or with the face in a box of one picture.

        A single picture that cannot stand for a person is a ServiceError with status 422; among several, its
        record has the reason, and the others are enrolled.

        Args:
            name: of the person.
            pictures: file names, or files' bytes.
            box: xyxy in pixels of the upright picture.
            options: ``size``, as for `s3fd detect`.
        """
        edges = None if box is None else ",".join(str(float(edge)) for edge in box)
        wanted = parameters(name=name, box=edges, **options)
        answer = self._ask("POST", "/v1/gallery/people", params=wanted, files=files(pictures))
        records = [record(_with_face(one)) for one in answer["pictures"]]
        return Enrolled(answer["name"], answer["vectors"], records)

    def remove(self, name: str) -> int:
        """Delete a person for good; return how many vectors there were. Nobody of that name: status 404."""
        return int(self._ask("DELETE", "/v1/gallery/people", params={"name": name})["removed"])

    def identify(self, picture: Picture, **options: Any) -> Identified:
        """Tell who the faces of a picture are; as `identify_many`."""
        return self.identify_many([picture], **options)[0]

    def identify_many(self, pictures: Sequence[Picture], **options: Any) -> list[Identified]:
        """Tell who the faces of pictures are.

        Args:
            pictures: file names, or files' bytes.
            options: ``threshold``, a cosine, and those of `Client.detect`.
        """
        wanted = parameters(**options)
        answer = self._ask("POST", "/v1/gallery/identify", params=wanted, files=files(pictures))
        return [_identified(one) for one in answer["pictures"]]

    def verify(self, *pictures: Picture, name: str | None = None, **options: Any) -> Verified:
        """Tell whether a picture shows a person, or whether two pictures show the same one.

        Args:
            pictures: one picture of a single face, and a `name`; or two, and none.
            name: of the person.
            options: ``threshold``, a cosine, and ``size``, as for `s3fd detect`.
        """
        wanted = parameters(name=name, **options)
        answer = self._ask("POST", "/v1/gallery/verify", params=wanted, files=files(pictures))
        boxes = [tuple(one["box"]) for one in answer["pictures"]]
        return Verified(answer["same"], answer["score"], answer["threshold"], boxes)


def _identified(answer: Mapping[str, Any]) -> Identified:
    """A record as the service wrote it, and the identities that stand in its faces."""
    faces = answer.get("faces") or []
    identities = [Identity(**face.pop("identity")) for face in faces]
    return Identified(record(answer), identities)


def _with_face(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """An enrolled picture as a record of one face."""
    if answer.get("error") is not None:
        return answer
    face = {"box": answer["box"], "score": answer["score"]}
    return {"path": answer["path"], "width": None, "height": None, "faces": [face]}
