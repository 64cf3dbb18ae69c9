from __future__ import annotations

from pathlib import Path

import pytest
import tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a model that finds white squares of 16 pixels."""
    return tiny_model.save(tmp_path_factory.mktemp("model") / "tiny.onnx")
