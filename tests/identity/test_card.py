from __future__ import annotations

from pathlib import Path

import pytest

from s3fd.identity.card import Card, read_card


def test_a_card_says_what_the_model_wants(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(
        '{"size": 96, "mean": [1, 2, 3], "scale": 0.5, "colour": "bgr", "margin": 0.1, "name": "mine"}'
    )
    assert read_card(tmp_path / "model.onnx") == Card(96, (1, 2, 3), 0.5, "bgr", 0.1, "mine")


def test_a_size_may_be_written_with_a_point(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"size": 96.0}')
    size = read_card(tmp_path / "model.onnx").size
    assert size == 96 and isinstance(size, int)
    with pytest.raises(ValueError, match="size"):
        Card(size=96.0)


def test_without_a_card_nothing_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such card"):
        read_card(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "object"),
        ('{"colour": "rgba"}', "colour must be one of"),
        ('{"size": 0}', "size"),
        ('{"size": 12.5}', "size"),
        ('{"size": true}', "size"),
        ('{"size": Infinity}', "size"),
        ('{"scale": 0}', "scale"),
        ('{"mean": [1, 2]}', "mean"),
        ('{"margin": -1}', "margin"),
        ('{"sise": 112}', "fields"),
    ],
)
def test_a_card_that_cannot_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_card(tmp_path / "model.onnx")
