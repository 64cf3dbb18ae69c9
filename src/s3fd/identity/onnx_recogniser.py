"""Recognition with your own embedding model: an ONNX file with a card beside it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime

from s3fd.boxes import FloatArray
from s3fd.faces import Faces
from s3fd.identity.card import Card, read_card
from s3fd.identity.crops import square_crops
from s3fd.identity.recogniser import Model
from s3fd.identity.vectors import normalise
from s3fd.inference.onnx_runtime import OPEN_ERRORS, session_options
from s3fd.inference.pictures import Pixels
from s3fd.inference.runtime import existing, processors
from s3fd.weights.digest import sha256

BATCH = 64
"""Maximum number of faces in one batch, so that a crowd does not take gigabytes of memory."""


class OnnxRecogniser:
    """A `Recogniser` that runs an ONNX model from crops (N, 3, size, size) float32 to vectors (N, D)."""

    def __init__(self, session: onnxruntime.InferenceSession, card: Card, model: Model, fixed: bool) -> None:
        """Use an open session; `fixed` means that the model takes one face at a time."""
        self._session = session
        self._card = card
        self._batch = 1 if fixed else BATCH
        self.model = model

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self._card.size

    def embed(self, picture: Pixels, faces: Faces) -> FloatArray:
        """Compute vectors (N, D) of length 1, with all faces in one batch (of up to `BATCH`).

        Raises:
            ValueError: a vector has no direction, or the model does not return one vector per face.
        """
        return self.embed_crops(square_crops(picture, faces.boxes, self._card.size, self._card.margin))

    def embed_crops(self, crops: Pixels) -> FloatArray:
        """Compute vectors (N, D) of length 1 from face crops (N, size, size, 3) uint8 BGR.

        Raises:
            ValueError: as for `embed`.
        """
        parts = [np.zeros((0, self.model.dimension), np.float32)]
        for start in range(0, len(crops), self._batch):
            parts.append(normalise(_run(self._session, self._card, crops[start : start + self._batch])))
        return np.concatenate(parts)


def open_recogniser(path: str | os.PathLike[str], threads: int | None = None) -> OnnxRecogniser:
    """Open the model at `path`, with its card beside it (`s3fd.identity.card`).

    Raises:
        FileNotFoundError: the model or its card does not exist.
        ValueError: one of them cannot be used; the message says why.
    """
    path = existing(path)
    card = read_card(path)
    try:
        session = onnxruntime.InferenceSession(
            path, session_options(threads or processors()), providers=["CPUExecutionProvider"]
        )
    except OPEN_ERRORS as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: not a model that ONNX Runtime can open: {reason}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
        raise ValueError(f"{path}: a recogniser must have one input, float32 (N, 3, height, width)")
    blank = np.zeros((1, card.size, card.size, 3), np.uint8)
    try:
        dimension = _run(session, card, blank).shape[1]
    except (*OPEN_ERRORS, ValueError) as error:
        raise ValueError(f"{path}: does not work with its card: {str(error).splitlines()[0]}") from error
    model = Model(card.name or path.stem, _digest(path, card), dimension)
    return OnnxRecogniser(session, card, model, fixed=inputs[0].shape[0] == 1)


def _run(session: onnxruntime.InferenceSession, card: Card, crops: Pixels) -> FloatArray:
    """Run the model on crops (N, size, size, 3) BGR; return its vectors (N, D), not normalised."""
    channels = crops[..., ::-1] if card.colour == "rgb" else crops
    values = (channels.astype(np.float32) - np.array(card.mean, np.float32)) * np.float32(card.scale)
    planes = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    output = session.run(None, {session.get_inputs()[0].name: planes})[0]
    if output.shape[0] != len(crops) or not output.size:
        raise ValueError(f"its first output has shape {output.shape} for {len(crops)} faces")
    vectors: FloatArray = output.reshape(len(crops), -1).astype(np.float32)
    return vectors


def _digest(path: Path, card: Card) -> str:
    """SHA-256 of the model and its card without the name: everything that determines the vectors."""
    shown = {name: value for name, value in asdict(card).items() if name != "name"}
    text = sha256(path) + json.dumps(shown, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
