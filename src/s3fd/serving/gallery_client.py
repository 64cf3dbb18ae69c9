"""The gallery part of the client: ``client.gallery.identify("party.jpg")``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from s3fd.identity.decision import Identity
from s3fd.identity.store import Calibration
from s3fd.inference.records import Record
from s3fd.serving.transfer import Picture, files, known, parameters, record

T = TypeVar("T")


class Ask(Protocol):
    """Function that sends a request and parses its response; raises ServiceError."""

    def __call__(self, method: str, path: str, parse: Callable[[Any], T], **request: Any) -> T:
        """Return what `parse` makes of the JSON of the response; `request` has httpx's keyword arguments."""
        ...


@dataclass(frozen=True)
class GalleryCard:
    """The gallery as a whole.

    Attributes:
        model: name of the embedding model.
        digest: SHA-256 of everything that determines the vectors.
        people: number of people.
        vectors: number of vectors of all people.
        threshold: threshold that the service was started with; None if it uses the calibrated one.
        calibration: the calibrated thresholds; None until there are any.
    """

    model: str
    digest: str
    people: int
    vectors: int
    threshold: float | None
    calibration: Calibration | None


@dataclass(frozen=True)
class Enrolled:
    """Result of enrolling a person.

    Attributes:
        name: name of the person.
        vectors: number of vectors that the person now has.
        pictures: a record of each picture, with its one face, or with the reason why it cannot be enrolled.
    """

    name: str
    vectors: int
    pictures: Sequence[Record]


@dataclass(frozen=True)
class Identified:
    """The faces in a picture, and who they are.

    Attributes:
        record: the faces, or the error.
        identities: the identity of each face.
    """

    record: Record
    identities: Sequence[Identity]


@dataclass(frozen=True)
class Verified:
    """Whether two faces, or a face and an enrolled person, are the same person.

    Attributes:
        same: whether `score` is at least the threshold.
        score: the cosine; for a person, the highest with any of their vectors.
        threshold: the threshold that decided.
        boxes: box of the face in each picture, xyxy in pixels.
    """

    same: bool
    score: float
    threshold: float
    boxes: Sequence[tuple[float, float, float, float]]


class GalleryClient:
    """Client of a service's gallery; every method raises ServiceError if its request fails."""

    def __init__(self, ask: Ask) -> None:
        """Create a client that sends its requests with `ask`."""
        self._ask = ask

    def card(self) -> GalleryCard:
        """Return the gallery's model, thresholds, and number of people and vectors."""
        return self._ask("GET", "/v1/gallery", _card)

    def people(self) -> dict[str, int]:
        """Return the number of vectors of each person, sorted by name."""
        people: dict[str, int] = {}
        after: str | None = ""
        while after is not None:
            listed, after = self._ask("GET", "/v1/gallery/people", _people, params={"after": after})
            people |= listed
        return people

    def enrol(
        self, name: str, *pictures: Picture, box: Sequence[float] | None = None, **options: Any
    ) -> Enrolled:
        """Enrol a person with pictures of one face each, or with the face in a box of one picture.

        If a single picture cannot be enrolled, ServiceError has the status 422. Among several pictures, its
        record has the reason, and the others are enrolled.

        Args:
            name: name of the person.
            pictures: file names, or the bytes of files.
            box: xyxy in pixels of the upright picture.
            options: ``size``, as for `s3fd detect`.
        """
        edges = None if box is None else ",".join(str(float(edge)) for edge in box)
        wanted = parameters(name=name, box=edges, **options)
        return self._ask("POST", "/v1/gallery/people", _enrolled, params=wanted, files=files(pictures))

    def remove(self, name: str) -> int:
        """Delete a person for good; return the number of deleted vectors.

        If nobody has this name, ServiceError has the status 404.
        """
        return self._ask(
            "DELETE", "/v1/gallery/people", lambda answer: int(answer["removed"]), params={"name": name}
        )

    def identify(self, picture: Picture, **options: Any) -> Identified:
        """Identify the faces in a picture; see `identify_many`."""
        return self.identify_many([picture], **options)[0]

    def identify_many(self, pictures: Sequence[Picture], **options: Any) -> list[Identified]:
        """Identify the faces in several pictures with one request.

        Args:
            pictures: file names, or the bytes of files.
            options: ``threshold``, a cosine, and the options of `Client.detect` except ``min_size``.
        """
        wanted = parameters(**options)
        return self._ask(
            "POST",
            "/v1/gallery/identify",
            lambda answer: [_identified(one) for one in answer["pictures"]],
            params=wanted,
            files=files(pictures),
        )

    def verify(self, *pictures: Picture, name: str | None = None, **options: Any) -> Verified:
        """Check whether a picture shows a person, or whether two pictures show the same person.

        Args:
            pictures: one picture of a single face if `name` is given, else two.
            name: name of the person.
            options: ``threshold``, a cosine, and ``size``, as for `s3fd detect`.
        """
        wanted = parameters(name=name, **options)
        return self._ask("POST", "/v1/gallery/verify", _verified, params=wanted, files=files(pictures))


def _card(answer: Mapping[str, Any]) -> GalleryCard:
    """Parse the JSON of the gallery's description."""
    calibration = answer["calibration"]
    told = {**answer, "calibration": known(Calibration, calibration) if calibration else None}
    return known(GalleryCard, told)


def _people(answer: Mapping[str, Any]) -> tuple[dict[str, int], str | None]:
    """Parse the JSON of a list of people into their vectors by name, and the name after which it goes on."""
    return {one["name"]: one["vectors"] for one in answer["people"]}, answer["next"]


def _enrolled(answer: Mapping[str, Any]) -> Enrolled:
    """Parse the JSON of an enrolment."""
    records = [record(_with_face(one)) for one in answer["pictures"]]
    return Enrolled(answer["name"], answer["vectors"], records)


def _verified(answer: Mapping[str, Any]) -> Verified:
    """Parse the JSON of a verification."""
    boxes = [tuple(one["box"]) for one in answer["pictures"]]
    return Verified(answer["same"], answer["score"], answer["threshold"], boxes)


def _identified(answer: Mapping[str, Any]) -> Identified:
    """Parse the JSON of a picture into its record and the identities of its faces."""
    faces = answer.get("faces") or []
    identities = [known(Identity, face.pop("identity")) for face in faces]
    return Identified(record(answer), identities)


def _with_face(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON of an enrolled picture as that of a record with one face."""
    if answer.get("error") is not None:
        return answer
    face = {"box": answer["box"], "score": answer["score"]}
    return {"path": answer["path"], "width": None, "height": None, "faces": [face]}
