from pathlib import Path

import numpy as np
import pytest

from s3fd.inference.openvino_runtime import OpenVinoRuntime
from s3fd.inference.runtime import BUNDLED
from s3fd.weights.openvino_export import read_onnx, save_openvino

MODEL = BUNDLED / "slim.onnx"


def test_sixteen_bits_take_half_the_space_and_are_near(tmp_path: Path) -> None:
    save_openvino(read_onnx(MODEL), tmp_path / "whole.xml")
    save_openvino(read_onnx(MODEL), tmp_path / "half.xml", fp16=True)
    assert (tmp_path / "half.bin").stat().st_size < 0.6 * (tmp_path / "whole.bin").stat().st_size
    picture = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    whole, half = (OpenVinoRuntime(tmp_path / f"{name}.xml", 1)(picture) for name in ("whole", "half"))
    assert 0 < np.abs(half.scores - whole.scores).max() < 0.01


def test_files_replace_those_of_before_and_leave_nothing_else(tmp_path: Path) -> None:
    for name in ("model.xml", "model.bin"):
        (tmp_path / name).write_bytes(b"old")
    save_openvino(read_onnx(MODEL), tmp_path / "model.xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    assert OpenVinoRuntime(tmp_path / "model.xml", 1).classes == {"gender": ("female", "male")}


def test_what_is_no_model_or_no_place_for_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such model"):
        read_onnx(tmp_path / "missing.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model at all")
    with pytest.raises(ValueError, match="not a model"):
        read_onnx(tmp_path / "broken.onnx")
    with pytest.raises(ValueError, match=r"must be an \.xml file"):
        save_openvino(read_onnx(MODEL), tmp_path / "model.onnx")


def test_a_disk_that_is_full_is_an_oserror_and_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="needs POSIX limits")
    model = read_onnx(MODEL)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match=r"cannot write .*model\.xml and its weights: is the disk full"):
            save_openvino(model, tmp_path / "model.xml")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
