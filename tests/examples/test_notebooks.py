"""The notebooks run from top to bottom, with less training than a reader would do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_finetune_gender(shared_pack: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("CELEBRITIES", str(shared_pack("celeb_small")))
    monkeypatch.setenv("EPOCHS", "2")
    monkeypatch.setenv("STEPS", "2")
    notebook = nbformat.read(EXAMPLES / "finetune_gender.ipynb", as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    assert "199 pictures" in printed and "both classes start alike" in printed
    assert "Answer(label='" in printed
    assert "image/png" in outputs[-1]["data"]
