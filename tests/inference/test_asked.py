"""Engines tell what they are asked for, whatever else the model could tell."""

from __future__ import annotations

import numpy as np
import pytest
from exported import CLASSES, Exported

from s3fd.inference.runtime import open_runtime

ENGINES = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_choice_is_answered_as_all_of_it(engine: str, exported: Exported) -> None:
    pytest.importorskip(ENGINES[engine])
    file = exported.weights if engine == "torch" else exported.model
    runtime = open_runtime(file, engine=engine, threads=1)
    pictures = np.random.default_rng(0).integers(0, 256, (1, 96, 160, 3), dtype=np.uint8)
    whole = runtime(pictures, list(CLASSES), embedding=True)
    for attributes in ([], ["gender"], ["hat", "mask"], list(CLASSES)):
        for embedding in (False, True):
            told = runtime(pictures, attributes, embedding=embedding)
            np.testing.assert_allclose(told.scores, whole.scores, atol=1e-4)
            np.testing.assert_allclose(told.boxes, whole.boxes, atol=1e-2)
            assert list(told.attributes) == attributes
            for name in attributes:
                np.testing.assert_allclose(told.attributes[name], whole.attributes[name], atol=1e-4)
            assert (told.embedding is not None) == embedding
            if embedding:
                np.testing.assert_allclose(told.embedding, whole.embedding, atol=1e-3)
