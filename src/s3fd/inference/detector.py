"""The detector: a runtime with its pre-processing and post-processing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from s3fd import boxes
from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.identity.reading import at_boxes
from s3fd.inference import pictures
from s3fd.inference.batches import in_batches, passes
from s3fd.inference.consensus import agree
from s3fd.inference.memory import memory_errors, together_or_alone
from s3fd.inference.pictures import NeededSize, Picture, PictureError, Pixels
from s3fd.inference.postprocess import AFTER_NMS, BEFORE_NMS, select
from s3fd.inference.pyramid import Look, looks, merge
from s3fd.inference.resize import (
    SMALLEST,
    OneSize,
    Size,
    at_several_scales,
    check_size,
    network_size,
    pad,
    rescale,
    resize,
)
from s3fd.inference.runtime import Runtime, open_runtime
from s3fd.inference.suppression import IOU
from s3fd.inference.threads import in_order

MIN_SCORE = 0.5
"""Default score above which a detection counts as a face: with the bundled weights, precision is 95 % and F1
within a point of its best, on their training pictures (``benchmarks/threshold.py``)."""

DECODERS = 2
"""Decoding threads of `Detector.many`: one would keep a GPU waiting, and two processors cannot run more."""

AnyPicture = str | os.PathLike[str] | Image.Image | NDArray[Any]
"""A file name, a Pillow picture, or an array (H, W, 3) uint8 in OpenCV's order: blue, green, red.

OpenCV's type annotations do not say that its functions return uint8, so this type cannot require it.
"""

_Named = tuple[str, Picture | PictureError]
"""A picture's name in messages, and the decoded picture or why it cannot be decoded."""


@dataclass(frozen=True)
class Detector:
    """Finds the faces in a picture: ``detector("photo.jpg")``.

    Threads can share a detector. It cannot be sent to another process, which has to open its own, and must
    be started by ``spawn`` or ``forkserver``: OpenVINO and PyTorch can hang in a fork of one that ran them.

    Attributes:
        runtime: the network.
        size: longest side that the network sees: a number of pixels, ``vga`` (640) or ``original``, which
            shrinks pictures over 16 megapixels. With ``auto``, the network sees a picture of any size at
            several scales and in tiles, to find faces of every size (`s3fd.inference.pyramid`). At ``vga``,
            it does so for smaller pictures.
        min_score: only faces that score over this are found, 0–1.
        iou: of two boxes whose IoU is over this, the one with the lower score is removed.
        before_nms: most boxes that enter non-maximum suppression.
        after_nms: most faces of a picture; with ``auto``, of each look at a part of it.
        attributes: attributes to predict for every face, such as ``("gender",)``.
        min_probability: a face gets no label for an attribute whose probability is under this.
        embeddings: whether every face gets a vector that measures how alike it is to other faces.
    """

    runtime: Runtime = field(repr=False)
    size: Size = "vga"
    min_score: float = MIN_SCORE
    iou: float = IOU
    before_nms: int = BEFORE_NMS
    after_nms: int = AFTER_NMS
    attributes: tuple[str, ...] = ()
    min_probability: float = 0.0
    embeddings: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for an option out of range, or outputs that the network does not have."""
        check_size(self.size)
        for name in ("min_score", "iou", "min_probability"):
            _check_share(name, getattr(self, name))
        for name in ("before_nms", "after_nms"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        names: object = self.attributes
        if isinstance(names, str):
            raise ValueError(f"attributes must be a tuple of names, such as ({names!r},)")
        if self.embeddings and self.runtime.embedding is None:
            raise ValueError(
                "these weights have no embedding: use slim-identity, or train one with `s3fd embed`"
            )
        for name in self.attributes:
            if name not in self.runtime.classes:
                known = ", ".join(self.runtime.classes) or "none"
                raise ValueError(f"these weights do not predict {name!r} (attributes: {known})")

    def __call__(
        self, picture: AnyPicture, *, size: Size | None = None, min_score: float | None = None
    ) -> Faces:
        """Find the faces in a picture; `size` and `min_score` replace the detector's own for this call.

        Boxes are in pixels of the full upright picture and end at its edges. Each attribute gives two
        columns: its name, with the most probable class or None, and ``NAME_probability``.

        Raises:
            MemoryError: the engine has too little memory for a picture of this size.
            PictureError: a file that cannot be read as a picture.
            TypeError: neither a file name, nor a Pillow picture, nor an array.
            ValueError: an array of another shape or type, an invalid `size`, or a `min_score` outside 0–1.
        """
        size = self.size if size is None else size
        return self.find(self.prepare(picture, size), size=size, min_score=min_score)

    def prepare(self, picture: AnyPicture, size: Size | None = None) -> Picture:
        """Decode a picture as far as `find` needs it: the part of the work that can run ahead in a thread.

        It raises the same errors as a call of the detector.
        """
        size = self.size if size is None else size
        if isinstance(picture, (str, os.PathLike)):
            return pictures.load(picture, needed(size))
        if isinstance(picture, Image.Image):
            return pictures.from_pil(picture, needed(size))
        array: object = picture
        if not isinstance(array, np.ndarray):
            kind = type(array).__name__
            raise TypeError(f"a picture must be a file name, a Pillow image or a NumPy array, not {kind}")
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            what = f"{picture.shape} {picture.dtype}"
            raise ValueError(f"a picture array must be (height, width, 3) uint8 in BGR order, not {what}")
        return Picture(picture, width=picture.shape[1], height=picture.shape[0])

    def fit(self, picture: Picture, size: Size | None = None) -> Picture:
        """Resize a prepared picture to what the network sees: the rest of the work that can run ahead.

        At this `size`, `find` finds the same faces in the result, which often takes less memory. A picture
        that the network sees at several scales stays as it is.
        """
        size = self.size if size is None else size
        if size == "auto" or at_several_scales(picture.width, picture.height, size):
            return picture
        seen = network_size(picture.width, picture.height, size)
        width, height = picture.extent
        scale = width / seen[0], height / seen[1]
        return Picture(resize(picture.pixels, *seen), picture.width, picture.height, scale, picture.corner)

    def seen(self, picture: Picture, size: Size | None = None) -> tuple[int, int] | None:
        """(width, height) at which the network sees a picture; None at ``auto``, where there are several.

        For a small picture at ``vga``, it is the largest of several, which determines the others.
        """
        size = self.size if size is None else size
        return None if size == "auto" else network_size(picture.width, picture.height, size)

    def many(
        self,
        everything: Iterable[AnyPicture],
        *,
        batch: int = 1,
        size: Size | None = None,
        min_score: float | None = None,
    ) -> Iterator[Faces | PictureError]:
        """Find the faces in many pictures, in order; the next ones are decoded in threads meanwhile.

        A picture that cannot be read, or is too large for the memory, gives a `PictureError` in place of its
        faces; the others are not affected. An array is read some pictures ahead, so a buffer must not be
        filled again before its faces are there.

        Up to `batch` pictures that the network sees at the same size share a pass. A picture is held back
        for a while until others of its size arrive (`s3fd.inference.batches`). No picture is padded to the
        size of another, so the faces are the same as with one picture at a time. On a CPU, batches take
        memory and save no time.

        Raises:
            TypeError: a single picture instead of several; when its turn comes, an item that is not a
                picture.
            ValueError: a `batch` under 1; at the first picture, an invalid `size` or a `min_score` outside
                0–1; when its turn comes, an array of another shape or type.
        """
        single: object = everything
        # Each letter of a name would be treated as a file name, and each row of an array as a picture.
        named = isinstance(single, (str, bytes, os.PathLike))
        if named or isinstance(single, Image.Image) or (isinstance(single, np.ndarray) and single.ndim == 3):
            shown = repr(single) if named else "picture"
            raise TypeError(
                f"many expects a list or another iterable of pictures; for one picture, pass [{shown}]"
            )
        return in_batches(
            lambda group: self._find_each(group, size, min_score),
            in_order(lambda picture: self._prepare_or_error(picture, size), everything, DECODERS),
            lambda item: None if isinstance(item[1], PictureError) else self.seen(item[1], size),
            batch,
        )

    def find(self, picture: Picture, *, size: Size | None = None, min_score: float | None = None) -> Faces:
        """Find the faces in a prepared picture; see `__call__`."""
        return self.find_many([picture], size=size, min_score=min_score)[0]

    def find_many(
        self, prepared: Sequence[Picture], *, size: Size | None = None, min_score: float | None = None
    ) -> list[Faces]:
        """Find the faces in each of several prepared pictures.

        Those that the network sees at the same size share a pass of up to `MAX_INPUT_PIXELS` pixels.
        """
        return [self._tell(faces) for faces in self._find(prepared, size, min_score)]

    def find_probabilities(
        self, picture: Picture, *, size: Size | None = None, min_score: float | None = None
    ) -> Faces:
        """Find the faces in a prepared picture, with the probabilities (N, classes) of each attribute."""
        return self._find([picture], size, min_score)[0]

    def _prepare_or_error(self, picture: AnyPicture, size: Size | None) -> _Named:
        """Decode and resize a picture, or return the error; with the picture's name in messages."""
        name = os.fspath(picture) if isinstance(picture, (str, os.PathLike)) else "picture"
        try:
            return name, self.fit(self.prepare(picture, size), size)
        except PictureError as error:
            return name, error

    def _find_each(
        self, group: Sequence[_Named], size: Size | None, min_score: float | None
    ) -> list[Faces | PictureError]:
        """Find the faces in prepared pictures; what could not be prepared is passed through."""

        def find(group: Sequence[_Named]) -> list[Faces | PictureError]:
            prepared = [picture for _, picture in group if isinstance(picture, Picture)]
            found = iter(self.find_many(prepared, size=size, min_score=min_score))
            return [next(found) if isinstance(picture, Picture) else picture for _, picture in group]

        return together_or_alone(find, group, lambda one, reason: PictureError(one[0], reason))

    def _tell(self, faces: Faces) -> Faces:
        """Replace the attributes' probabilities with labels."""
        columns: dict[str, NDArray[Any]] = {}
        for name, probabilities in faces.attributes.items():
            columns |= answers(name, self.runtime.classes[name], probabilities, self.min_probability)
        return replace(faces, attributes=columns)

    def _find(self, prepared: Sequence[Picture], size: Size | None, min_score: float | None) -> list[Faces]:
        """Find the faces in prepared pictures, with the probabilities of each attribute."""
        size = self.size if size is None else size
        min_score = self.min_score if min_score is None else min_score
        _check_share("min_score", min_score)
        if size == "auto":
            return self._find_at_every_scale(prepared, min_score)
        several = [at_several_scales(picture.width, picture.height, size) for picture in prepared]
        whole = iter(self._find_at_every_scale(list(compress(prepared, several)), min_score))
        single = [picture for picture, apart in zip(prepared, several, strict=True) if not apart]
        once = iter(self._find_at_one_scale(single, size, min_score))
        return [next(whole) if apart else next(once) for apart in several]

    def _find_at_one_scale(self, prepared: Sequence[Picture], size: OneSize, min_score: float) -> list[Faces]:
        """Find the faces in pictures for which one look is enough."""
        shapes = [network_size(picture.width, picture.height, size) for picture in prepared]
        found: dict[int, Faces] = {}
        for indices in passes(shapes, len(prepared)):
            seen = [resize(prepared[i].pixels, *shapes[i]) for i in indices]
            for i, faces in zip(indices, self._see(seen, min_score), strict=True):
                found[i] = _place(faces, shapes[i], prepared[i])
        return [found[i] for i in range(len(prepared))]

    def _find_at_every_scale(self, prepared: Sequence[Picture], min_score: float) -> list[Faces]:
        """Find faces of every size in pictures (`s3fd.inference.pyramid`).

        Looks of the same size share a pass, at most as many as there are pictures: the looks at a single
        picture run one by one.
        """
        sizes = [(picture.pixels.shape[1], picture.pixels.shape[0]) for picture in prepared]
        views = [(i, look) for i, size in enumerate(sizes) for look in looks(*size)]
        found: list[list[tuple[Look, Faces]]] = [[] for _ in prepared]
        for numbers in passes([look.seen for _, look in views], len(prepared)):
            chosen = [views[n] for n in numbers]
            seen = [resize(look.crop(prepared[i].pixels), *look.seen) for i, look in chosen]
            for (i, look), faces in zip(chosen, self._see(seen, min_score), strict=True):
                found[i].append((look, look.place(faces)))
        return [
            _place(agree(merge(each, *size, self.iou), each, *size), size, picture)
            for picture, size, each in zip(prepared, sizes, found, strict=True)
        ]

    def _see(self, seen: Sequence[Pixels], min_score: float) -> list[Faces]:
        """Find the faces in pictures (H, W, 3) of the same size in one pass; boxes are in their pixels.

        A side under `SMALLEST` pixels is padded, so boxes may lie beyond the pictures' edges.
        """
        # A tile at full resolution is a view into its picture; runtimes need contiguous memory.
        batch = np.ascontiguousarray(seen[0])[None] if len(seen) == 1 else np.stack(seen)
        batch = pad(batch, SMALLEST, SMALLEST)
        asked = {"embedding": True} if self.embeddings else {}
        with memory_errors():
            scores, found, told, cells = self.runtime(batch, self.attributes, **asked)
        every = [
            select(
                scores[i],
                found[i],
                min_score=min_score,
                iou=self.iou,
                before_nms=self.before_nms,
                after_nms=self.after_nms,
                attributes={name: probabilities[i] for name, probabilities in told.items()},
            )
            for i in range(len(seen))
        ]
        if cells is None:
            return every
        return [self._embed(faces, cells[i], batch.shape[1:3]) for i, faces in enumerate(every)]

    def _embed(self, faces: Faces, cells: FloatArray, shape: tuple[int, int]) -> Faces:
        """Give faces their vectors, read from the embedding's `cells`; `shape` is (height, width)."""
        embedding = self.runtime.embedding
        assert embedding is not None
        vectors = at_boxes(cells, faces.boxes, embedding.layers, shape[1], shape[0])
        return replace(faces, embeddings=vectors)


def _check_share(name: str, value: float) -> None:
    """Raise ValueError unless the option with this name is a number from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1, not {value}")


def _place(faces: Faces, seen: tuple[int, int], picture: Picture) -> Faces:
    """Convert boxes from pixels that the network sees, of size `seen`, to pixels of the full picture.

    Boxes are clipped to the picture's edges; those without an area are dropped.
    """
    full = picture.width, picture.height
    placed = rescale(faces.boxes, seen, picture.extent) + np.array(picture.corner * 2, np.float32)
    inside = boxes.clip(placed, *full)
    return replace(faces, boxes=inside)[boxes.area(inside) > 0]


def needed(size: Size) -> NeededSize | None:
    """How much of a picture has to be decoded for a look at this size; None for all of it.

    Raises:
        ValueError: an invalid `size`.
    """
    check_size(size)
    if size == "auto":
        return None
    one = size
    return lambda width, height: network_size(width, height, one)


def answers(
    name: str, classes: Sequence[str], probabilities: FloatArray, min_probability: float
) -> dict[str, NDArray[Any]]:
    """Columns of an attribute from its `probabilities` (N, classes): label or None, and its probability."""
    most = probabilities.max(axis=1, initial=0)
    told = np.array(classes, dtype=object)[probabilities.argmax(axis=1)]
    return {name: np.where(most >= min_probability, told, None), f"{name}_probability": most}


def load(
    weights: str | os.PathLike[str] = "slim",
    *,
    threads: int | None = None,
    engine: str | None = None,
    device: str = "auto",
    precision: str = "fp32",
    size: Size = "vga",
    min_score: float = MIN_SCORE,
    iou: float = IOU,
    before_nms: int = BEFORE_NMS,
    after_nms: int = AFTER_NMS,
    attributes: tuple[str, ...] = (),
    min_probability: float = 0.0,
    embeddings: bool = False,
) -> Detector:
    """Open a face detector: ``faces = s3fd.load()("photo.jpg")``.

    The arguments from `size` on are attributes of `Detector` and explained there.

    Args:
        weights: name of a bundled model, or path of an ``.onnx``, ``.xml`` or ``.safetensors`` file.
        threads: of the network; by default one per processor.
        engine: ``onnx``, ``openvino`` or ``torch``; by default the one that the weights are for.
        device: ``cpu``, ``cuda``, or ``auto``: CUDA if the engine has it, else the CPU.
        precision: number format in which the network computes: ``fp32`` or ``bf16``.

    Raises:
        EngineError: the engine is unknown or not installed, or does not have the device or precision here.
        FileNotFoundError: there is no such file.
        ValueError: unknown weights, an option out of range, or an attribute or embedding that the weights do
            not have.
    """
    return Detector(
        open_runtime(weights, threads, engine=engine, device=device, precision=precision),
        size=size,
        min_score=min_score,
        iou=iou,
        before_nms=before_nms,
        after_nms=after_nms,
        attributes=attributes,
        min_probability=min_probability,
        embeddings=embeddings,
    )
