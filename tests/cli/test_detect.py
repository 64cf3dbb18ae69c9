"""The command as a user runs it: in a process of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from reader import leave_after_a_line

from s3fd import boxes as box_ops

SIDE = 16
EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
SQUARE = [160.0, 32.0, 176.0, 48.0]
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


def picture(path: Path, *, x: int = 160, y: int = 32, **options: object) -> Path:
    """Save a black picture of 640 × 480 pixels with one white square."""
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[y : y + SIDE, x : x + SIDE] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return path


def command(tiny: Path, *arguments: object) -> list[str]:
    weights = ["--weights", str(tiny), "--threads", "1", "--min-score", "0.9"]
    return [sys.executable, "-m", "s3fd", "detect", *weights, *(str(a) for a in arguments)]


def detect(tiny: Path, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(tiny, *arguments), capture_output=True, text=True, cwd=cwd, encoding="utf-8", timeout=120
    )


def records(answer: subprocess.CompletedProcess[str]) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in answer.stdout.splitlines()]


def boxes(record: dict) -> list[list[float]]:  # type: ignore[type-arg]
    return [face["box"] for face in record["faces"]]


def test_a_picture(tiny: Path, tmp_path: Path) -> None:
    path = picture(tmp_path / "é a.png")
    answer = detect(tiny, path)
    assert answer.returncode == 0
    assert answer.stderr == ""
    assert records(answer) == [
        {"path": str(path), "width": 640, "height": 480, "faces": [{"box": SQUARE, "score": 1.0}]}
    ]


def test_another_engine_gives_the_same_record(tiny: Path, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    answer = detect(tiny, path, "--engine", "openvino", "--device", "cpu")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert records(answer) == records(detect(tiny, path))


def test_a_folder_with_a_damaged_file_is_read_to_its_end(tiny: Path, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    whole = picture(tmp_path / "z" / "whole.jpg", quality=95)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:1500])
    answer = detect(tiny, tmp_path, tmp_path / "missing.jpg")
    assert answer.returncode == 1
    assert [(Path(r["path"]).name, "error" in r) for r in records(answer)] == [
        ("a.png", False),
        ("cut.jpg", True),
        ("whole.jpg", False),
        ("missing.jpg", True),
    ]
    assert "truncated" in records(answer)[1]["error"]
    assert len(answer.stderr.splitlines()) == 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_turned_by_exif_gives_the_same_faces(tiny: Path, tmp_path: Path, orientation: int) -> None:
    plain = picture(tmp_path / "plain.png")
    undo = [
        None,
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_90,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_270,
    ][orientation - 1]
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(plain) as image:
        stored = image.transpose(undo) if undo is not None else image
        stored.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    first, second = records(detect(tiny, plain, tmp_path / "turned.jpg"))
    assert (second["width"], second["height"]) == (640, 480)
    assert boxes(first) == boxes(second) == [SQUARE]


def test_sizes_scores_and_small_faces(tiny: Path, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    assert boxes(records(detect(tiny, path, "--size", "original"))[0]) == [SQUARE]
    assert boxes(records(detect(tiny, path, "--size", "320"))[0]) == []
    assert boxes(records(detect(tiny, path, "--min-size", "17"))[0]) == []
    assert boxes(records(detect(tiny, path, "--min-size", "16"))[0]) == [SQUARE]


def test_size_auto_finds_a_face_that_fills_a_large_picture(tmp_path: Path) -> None:
    portrait = cv2.imread(str(EXAMPLE))[0:270, 100:350]
    path = tmp_path / "portrait.png"
    cv2.imwrite(str(path), cv2.resize(portrait, None, fx=7, fy=7, interpolation=cv2.INTER_CUBIC))
    command = [sys.executable, "-m", "s3fd", "detect", str(path), "--size", "auto", "--threads", "1"]
    answer = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert answer.returncode == 0, answer.stderr
    (face,) = records(answer)[0]["faces"]
    wanted = np.array([[76, 68, 170, 174]], np.float32) * 7
    assert box_ops.iou(np.array([face["box"]], np.float32), wanted)[0, 0] > 0.6


def test_tables(tiny: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    picture(tmp_path / "in" / "a.png")
    Image.new("RGB", (30, 20)).save(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "c.png").touch()
    table, columns = tmp_path / "faces.csv", tmp_path / "faces.parquet"
    answer = detect(tiny, tmp_path / "in", "--csv", table, "--parquet", columns)
    assert answer.returncode == 1
    assert answer.stdout == ""
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert [(Path(r["path"]).name, r["width"], r["face"], r["x1"], bool(r["error"])) for r in rows] == [
        ("a.png", "640", "0", "160.0", False),
        ("b.png", "30", "", "", False),
        ("c.png", "", "", "", True),
    ]
    same = parquet.read_table(columns).to_pylist()
    assert [(r["face"], r["x1"], r["score"]) for r in same] == [(0, 160.0, 1.0)] + [(None, None, None)] * 2
    assert detect(tiny, tmp_path / "in", "--csv", "-").stdout == table.read_text(encoding="utf-8")


def test_copies_and_cut_outs_keep_the_folders(tiny: Path, tmp_path: Path) -> None:
    for name in ("in/a.png", "in/trip/a.png", "in/b.gif"):
        picture(tmp_path / name)
    for _ in range(2):  # the second time there is something in the folders already
        answer = detect(tiny, ".", "--draw", "in/copies", "--crop", "crops", cwd=tmp_path)
        assert answer.returncode == 0
        assert len(records(answer)) == 3
    written = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")}
    assert written - {"in/a.png", "in/trip/a.png", "in/b.gif"} == {
        "in/copies/in/a.png",
        "in/copies/in/b.gif.png",
        "in/copies/in/trip/a.png",
        "crops/in/a.png_0.jpg",
        "crops/in/b.gif_0.jpg",
        "crops/in/trip/a.png_0.jpg",
        "in/copies/.s3fd-copies",
        "crops/.s3fd-copies",
    }
    with Image.open(tmp_path / "in/copies/in/a.png") as copy:
        assert copy.size == (640, 480)
    with Image.open(tmp_path / "crops/in/a.png_0.jpg") as cut_out:
        assert cut_out.size == (24, 24)


@pytest.mark.parametrize("option", ["--draw", "--crop"])
def test_no_copy_replaces_an_original(tiny: Path, tmp_path: Path, option: str) -> None:
    names = ("a.png", "in/a.png", "in/trip/a.png", "in/trip/a.png_0.jpg")
    before = [picture(tmp_path / name, x=16 * i).read_bytes() for i, name in enumerate(names)]
    for paths in (["in"], ["in/*.png"], ["a.png", "in/trip/a.png"]):
        answer = detect(tiny, *paths, option, "in/trip", cwd=tmp_path)
        assert (answer.returncode, answer.stdout) == (2, "")
        assert answer.stderr.startswith(f"s3fd: {option}: in")
        assert "could overwrite" in answer.stderr
    assert [(tmp_path / name).read_bytes() for name in names] == before


@pytest.mark.parametrize(("name", "option"), [("detect", "--draw"), ("anonymize", "--out")])
def test_no_copy_replaces_the_target_of_a_link(tiny: Path, tmp_path: Path, name: str, option: str) -> None:
    originals = [picture(tmp_path / "real" / name, x=16 * i) for i, name in enumerate(("a.png", "b.png"))]
    before = [path.read_bytes() for path in originals]
    (tmp_path / "album").mkdir()
    picture(tmp_path / "album" / "c.png")
    for link, target in (("a.png", "b.png"), ("b.png", "a.png")):
        (tmp_path / "album" / link).symlink_to(tmp_path / "real" / target)
    called = [name if part == "detect" else part for part in command(tiny, "album", option, "real")]
    answer = subprocess.run(called, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert answer.returncode == 1
    a, b, c = records(answer)
    assert (
        a["error"]
        == b["error"]
        == ("links into real, where a copy could overwrite an original; choose another folder")
    )
    assert "error" not in c and (tmp_path / "real" / "c.png").exists()
    assert [path.read_bytes() for path in originals] == before


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
@pytest.mark.parametrize("batch", ["1", "2"])
def test_a_large_picture_from_a_pipe_is_drawn(tiny: Path, tmp_path: Path, batch: str) -> None:
    content = picture(tmp_path / "a.jpg").read_bytes()
    os.mkfifo(tmp_path / "pipe.jpg")
    feeding = threading.Thread(target=(tmp_path / "pipe.jpg").write_bytes, args=(content,))
    feeding.start()
    options = ["--size", "160", "--draw", tmp_path / "drawn", "--batch", batch]
    answer = detect(tiny, tmp_path / "pipe.jpg", *options)
    feeding.join()
    (record,) = records(answer)
    assert (record["width"], record["height"]) == (640, 480)
    with Image.open(tmp_path / "drawn" / "pipe.jpg") as copy:
        assert copy.size == (640, 480)


def test_a_wrong_table_leaves_the_other_as_it_was(tiny: Path, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "old.csv").write_text("before")
    answer = detect(tiny, "a.png", "--csv", "old.csv", "--parquet", "missing/x.parquet", cwd=tmp_path)
    assert answer.returncode == 2 and "--parquet" in answer.stderr
    assert (tmp_path / "old.csv").read_text() == "before"


def test_workers_and_batches_change_no_record(tiny: Path, tmp_path: Path) -> None:
    for i in range(7):
        picture(tmp_path / "in" / f"{i}.png", x=16 * i)
    Image.new("RGB", (300, 200)).save(tmp_path / "in" / "other.png")
    (tmp_path / "in" / "broken.png").touch()
    folder = tmp_path / "in"
    usual = detect(tiny, folder, "--workers", "1", "--draw", tmp_path / "one")
    assert len(records(usual)) == 9
    for options in (["--workers", "3"], ["--batch", "3"]):
        answer = detect(tiny, folder, *options, "--draw", tmp_path / "more")
        assert (answer.stdout, answer.stderr) == (usual.stdout, usual.stderr)
        for copy in (tmp_path / "one").iterdir():
            assert copy.read_bytes() == (tmp_path / "more" / copy.name).read_bytes()
        shutil.rmtree(tmp_path / "more")


def test_frames_of_a_video(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 480))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for _ in range(3):
        writer.write(cv2.imread(str(picture(tmp_path / "frame.png"))))
    writer.release()
    found = records(detect(tiny, path))
    assert [(r["frame"], r["time"]) for r in found] == [(0, 0.0), (1, 0.1), (2, 0.2)]
    assert all(boxes(r) == [SQUARE] for r in found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "PATH"),
        (["a.png", "--size", "huge"], "--size"),
        (["a.png", "--min-score", "2"], "--min-score"),
        (["a.png", "--min-size", "-1"], "--min-size"),
        (["a.png", "--draw", "."], "--draw"),
        (["a.png", "--crop", "a.png"], "--crop"),
        (["a.png", "--draw", "x", "--crop", "x"], "different folders"),
        (["a.png", "--csv", "missing/a.csv"], "--csv"),
        (["a.png", "--parquet", "missing/a.parquet"], "--parquet"),
        (["--csv", "a.png", "b.png"], "--csv: a.png is an existing picture or video; choose another file"),
        (
            ["--parquet", "a.png", "b.png"],
            "--parquet: a.png is an existing picture or video; choose another file",
        ),
        (["a.png", "--workers", "0"], "--workers"),
        (["a.png", "--batch", "0"], "--batch"),
        (["a.png", "--nonsense"], "nonsense"),
        (["a.png", "--engine", "other"], "unknown engine 'other'"),
        (["a.png", "--engine", "torch"], "--weights"),
        (["a.png", "--engine", "openvino", "--device", "cuda"], "does not support CUDA"),
    ],
)
def test_wrong_calls(tiny: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    original = picture(tmp_path / "a.png").read_bytes()
    answer = detect(tiny, *arguments, cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert message in re.sub(r"\x1b\[[0-9;]*m", "", answer.stderr)
    assert "Traceback" not in answer.stderr
    assert (tmp_path / "a.png").read_bytes() == original


@POSIX
def test_a_pipe_is_not_replaced(tiny: Path, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe")
    answer = detect(tiny, "a.png", "--parquet", "pipe", cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stderr == "s3fd: --parquet: pipe must be a file in an existing folder\n"
    assert (tmp_path / "pipe").is_fifo()


def test_unknown_weights(tmp_path: Path) -> None:
    answer = detect(tmp_path / "missing.onnx", "a.png")
    assert answer.returncode == 2
    assert "no such model" in answer.stderr


@POSIX
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_whole_lines(tiny: Path, tmp_path: Path, number: int, code: int) -> None:
    path = picture(tmp_path / "a.png")
    pattern = [path] * 3000  # more than can be done before the signal
    process = subprocess.Popen(
        command(tiny, *pattern), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(number)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors == ""
    lines = (first + rest).splitlines(keepends=True)
    assert 1 <= len(lines) < 3000
    for line in lines:
        assert line.endswith("\n")
        assert boxes(json.loads(line)) == [SQUARE]


@POSIX
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_the_parquet_file(tiny: Path, tmp_path: Path, number: int, code: int) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path, columns = picture(tmp_path / "a.png"), tmp_path / "faces.parquet"
    process = subprocess.Popen(command(tiny, *[path] * 3000, "--parquet", columns))
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".faces*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(timeout=60) == code
    assert 0 < parquet.read_table(columns).num_rows < 3000
    assert not list(tmp_path.glob(".faces*"))


@POSIX
def test_a_reader_that_leaves_is_no_error(tiny: Path, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    assert leave_after_a_line(command(tiny, *[path] * 3000)) == (141, "")


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names of any bytes")
def test_a_file_name_that_is_no_text(tiny: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    picture(tmp_path / "a.png").rename(tmp_path / name)
    (tmp_path / os.fsdecode(b"b\xff.png")).touch()
    answer = detect(tiny, tmp_path, "--draw", tmp_path / "copies")
    assert answer.returncode == 1
    assert Path(records(answer)[1]["path"]).name == name
    assert (tmp_path / "copies" / name).exists()


CHILD = """
import json, resource, subprocess, sys
answer = subprocess.run(sys.argv[1:], capture_output=True, text=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
print(json.dumps([answer.returncode, answer.stdout, answer.stderr, peak]))
"""


def peak_memory(arguments: list[str]) -> tuple[list[dict], float]:  # type: ignore[type-arg]
    """The records of a run, and the most memory, in MiB, of the process that made them."""
    output = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=True
    )
    code, out, errors, peak = json.loads(output.stdout)
    assert code == 0, errors
    assert errors == ""
    return [json.loads(line) for line in out.splitlines()], peak


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize(
    ("kind", "mode", "limit"),
    [("jpg", "RGB", 100), ("png", "RGB", 550), ("png", "RGBA", 550), ("png", "P", 250)],
)
def test_a_hundred_megapixels_take_bounded_memory(
    tiny: Path, tmp_path: Path, kind: str, mode: str, limit: int
) -> None:
    small, large = picture(tmp_path / "small.png"), tmp_path / f"large.{kind}"
    image = Image.new("RGB", (12_800, 8_000))
    image.paste("white", (3200, 640, 3520, 960))
    image.convert(mode).save(large)
    _, usual = peak_memory(command(tiny, small))
    (record,), peak = peak_memory(command(tiny, large))
    assert boxes(record) == [[3200.0, 640.0, 3520.0, 960.0]]
    assert peak - usual < limit


@pytest.mark.slow
@POSIX
def test_size_auto_takes_the_memory_of_the_picture_and_a_tile(tiny: Path, tmp_path: Path) -> None:
    """Pillow has four bytes a pixel and the picture three; at the end of decoding there are both."""
    width, height = 12_800, 8_000
    small, large = picture(tmp_path / "small.png"), tmp_path / "large.png"
    image = Image.new("RGB", (width, height))
    image.paste("white", (3200, 640, 3216, 656))
    image.save(large)
    _, usual = peak_memory(command(tiny, small, "--size", "auto"))
    (record,), peak = peak_memory(command(tiny, large, "--size", "auto"))
    assert boxes(record) == [[3200.0, 640.0, 3216.0, 656.0]]
    assert peak - usual < 7 * width * height / 2**20 + 250


@POSIX
@pytest.mark.parametrize("options", [[], ["--batch", "4"]])
def test_memory_is_flat_from_the_first_hundred_pictures_on(tmp_path: Path, options: list[str]) -> None:
    """With the bundled weights and pictures of 400 shapes: what is kept of a shape or a picture would add up.

    The smallest picture has 90 KB: three hundred kept ones would be 27 MB, and as the network sees them more.
    """
    with Image.open(EXAMPLE) as example:
        for i in range(400):
            size = (200 + i % 20 * 4, 150 + i // 20 * 4)
            picture = example.resize(size, Image.Resampling.NEAREST)
            for folder in ["many"] if i >= 100 else ["few", "many"]:
                (tmp_path / folder).mkdir(exist_ok=True)
                picture.save(tmp_path / folder / f"{i:03d}.jpg")
    start = [sys.executable, "-m", "s3fd", "detect", "--size", "128", *options]
    few, before = peak_memory([*start, str(tmp_path / "few")])
    many, after = peak_memory([*start, str(tmp_path / "many")])
    assert (len(few), len(many)) == (100, 400)
    assert after - before < 15
