from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from s3fd.faces import Faces
from s3fd.inference.records import COLUMNS, Record
from s3fd.inference.writers import CsvWriter, JsonLinesWriter, ParquetWriter

FACES = Faces(np.array([[1, 2, 30.04, 40], [5, 6, 7, 8]], np.float32), np.array([0.98771, 0.5], np.float32))
RECORDS = [
    Record("a.jpg", FACES, 640, 480),
    Record("none, at all.jpg", Faces.empty(), 10, 20),
    Record("Zoë \U0001f642\n.jpg", error='truncated, "they" say'),
    Record(os.fsdecode(b"caf\xe9.jpg"), Faces.empty(), 1, 1),
    Record("clip.mp4", FACES[:1], 64, 48, frame=3, time=0.12),
]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


class Recorder(io.BytesIO):
    """A stream that remembers every single write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.writes.append(bytes(data))
        return super().write(data)


def test_json_lines() -> None:
    stream = Recorder()
    with JsonLinesWriter(stream) as writer:
        for record in RECORDS:
            writer.write(record)
    assert [json.loads(line) for line in stream.getvalue().decode("utf-8").splitlines()] == [
        {
            "path": "a.jpg",
            "width": 640,
            "height": 480,
            "faces": [
                {"box": [1.0, 2.0, 30.0, 40.0], "score": 0.9877},
                {"box": [5.0, 6.0, 7.0, 8.0], "score": 0.5},
            ],
        },
        {"path": "none, at all.jpg", "width": 10, "height": 20, "faces": []},
        {"path": "Zoë \U0001f642\n.jpg", "error": 'truncated, "they" say'},
        {"path": os.fsdecode(b"caf\xe9.jpg"), "width": 1, "height": 1, "faces": []},
        {
            "path": "clip.mp4",
            "frame": 3,
            "time": 0.12,
            "width": 64,
            "height": 48,
            "faces": [{"box": [1.0, 2.0, 30.0, 40.0], "score": 0.9877}],
        },
    ]


def test_every_json_line_is_written_whole() -> None:
    stream = Recorder()
    with JsonLinesWriter(stream) as writer:
        for record in RECORDS:
            writer.write(record)
    assert len(stream.writes) == len(RECORDS)
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in stream.writes)


def test_what_is_not_a_number_is_refused() -> None:
    faces = Faces(np.array([[0, 0, np.nan, 1]], np.float32), np.ones(1, np.float32))
    with pytest.raises(ValueError), JsonLinesWriter(io.BytesIO()) as writer:
        writer.write(Record("a.jpg", faces, 1, 1))


def test_csv_has_a_row_a_face_and_one_for_a_picture_without() -> None:
    stream = io.BytesIO()
    with CsvWriter(stream) as writer:
        for record in RECORDS:
            writer.write(record)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue().decode("utf-8"), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["path"], row["face"], row["score"], row["error"]) for row in rows] == [
        ("a.jpg", "0", "0.9877", ""),
        ("a.jpg", "1", "0.5", ""),
        ("none, at all.jpg", "", "", ""),
        ("Zoë \U0001f642\n.jpg", "", "", 'truncated, "they" say'),
        ("caf\\udce9.jpg", "", "", ""),
        ("clip.mp4", "0", "0.9877", ""),
    ]
    assert ",".join(rows[0].values()) == "a.jpg,,,640,480,0,1.0,2.0,30.0,40.0,0.9877,"
    assert rows[1]["x1"] == "5.0"
    assert (rows[5]["frame"], rows[5]["time"]) == ("3", "0.12")


def test_csv_of_no_pictures_is_its_header() -> None:
    stream = io.BytesIO()
    with CsvWriter(stream):
        pass
    assert stream.getvalue().decode() == ",".join(COLUMNS) + "\n"


def test_csv_closes_the_file_that_is_its_own(tmp_path: Path) -> None:
    stream = (tmp_path / "a.csv").open("wb")
    with CsvWriter(stream, close=True):
        pass
    assert stream.closed


def test_parquet_has_the_same_rows_with_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("s3fd.inference.writers.PARQUET_BATCH", 2)
    path = tmp_path / "faces.parquet"
    with ParquetWriter(path) as writer:
        for record in RECORDS:
            writer.write(record)
        assert not path.exists()
    table = parquet.read_table(path)
    assert tuple(table.column_names) == COLUMNS
    rows = table.to_pylist()
    assert [row["path"] for row in rows[:3]] == ["a.jpg", "a.jpg", "none, at all.jpg"]
    assert [row["face"] for row in rows] == [0, 1, None, None, None, 0]
    assert rows[1]["x1"] == 5.0
    assert rows[3]["error"] == 'truncated, "they" say'
    assert rows[4]["path"] == "caf\\udce9.jpg"
    assert names(tmp_path) == ["faces.parquet"]


@pytest.mark.parametrize(("error", "kept"), [(KeyboardInterrupt, True), (RuntimeError, False)])
def test_parquet_keeps_what_an_interrupted_run_found(
    tmp_path: Path, error: type[BaseException], kept: bool
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "faces.parquet"
    with pytest.raises(error), ParquetWriter(path) as writer:
        writer.write(RECORDS[0])
        raise error
    assert names(tmp_path) == (["faces.parquet"] if kept else [])
    if kept:
        assert parquet.read_table(path).num_rows == 2


def told() -> Record:
    columns = {
        "gender": np.array(["female", None], dtype=object),
        "gender_probability": np.array([0.93, 0.5], np.float32),
    }
    boxes = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
    return Record("a.jpg", Faces(boxes, np.array([0.9, 0.8], np.float32), columns), 9, 9)


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a device that is always full")
def test_a_full_disk_is_told_of_with_the_name_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = re.escape("[Errno 28] No space left on device: '/dev/full'")
    with pytest.raises(OSError, match=message), JsonLinesWriter(Path("/dev/full").open("wb"), True) as lines:
        lines.write(RECORDS[0])
    with pytest.raises(OSError, match=message), CsvWriter(Path("/dev/full").open("wb"), True):
        pass
    pytest.importorskip("pyarrow")
    table = ParquetWriter(tmp_path / "faces.parquet")
    monkeypatch.setattr(table, "_temporary", tmp_path / "part")
    (tmp_path / "part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*faces\.parquet'"), table:
        pass
    assert names(tmp_path) == []


def test_attributes_are_fields_and_columns(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with JsonLinesWriter(stream) as lines:
        lines.write(told())
    faces = json.loads(stream.getvalue())["faces"]
    assert [(face["gender"], face["gender_probability"]) for face in faces] == [("female", 0.93), (None, 0.5)]

    stream = io.BytesIO()
    with CsvWriter(stream, attributes=["gender"]) as table:
        for record in (told(), RECORDS[1]):
            table.write(record)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue().decode("utf-8"), newline="")))
    assert tuple(rows[0])[-4:] == ("score", "gender", "gender_probability", "error")
    assert [(row["gender"], row["gender_probability"]) for row in rows] == [
        ("female", "0.93"),
        ("", "0.5"),
        ("", ""),
    ]


def test_parquet_has_attributes(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with ParquetWriter(tmp_path / "faces.parquet", attributes=["gender"]) as writer:
        for record in (told(), RECORDS[1]):
            writer.write(record)
    rows = parquet.read_table(tmp_path / "faces.parquet").to_pylist()
    assert [row["gender"] for row in rows] == ["female", None, None]
    assert rows[0]["gender_probability"] == pytest.approx(0.93)
