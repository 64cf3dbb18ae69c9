from pathlib import Path

import pytest
import torch

from s3fd.attributes.unlabelled import UnlabelledStream


def test_windows_come_from_every_folder(coloured: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    drawn = UnlabelledStream([coloured / "pictures"], 0).draw(0, 3, 64)
    assert drawn.shape == (3, 3, 64, 64) and drawn.dtype == torch.uint8
    assert UnlabelledStream([], 0).draw(0, 3, 64).shape == (0, 3, 64, 64)
    with pytest.raises(ValueError, match="no pictures in this folder"):
        UnlabelledStream([coloured / "pictures", empty], 0)


def test_a_step_sees_the_same_again_and_another_something_else(coloured: Path) -> None:
    stream = UnlabelledStream([coloured / "pictures"], 0)
    assert torch.equal(stream.draw(5, 2, 64), UnlabelledStream([coloured / "pictures"], 0).draw(5, 2, 64))
    assert not torch.equal(stream.draw(5, 2, 64), stream.draw(6, 2, 64))


def test_what_cannot_be_read_is_passed_over(tmp_path: Path, coloured: Path) -> None:
    (coloured / "pictures" / "broken.png").write_bytes(b"no picture")
    assert len(UnlabelledStream([coloured / "pictures"], 0).draw(0, 40, 64)) == 40
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="can be read"):
        UnlabelledStream([alone], 0).draw(0, 1, 64)
