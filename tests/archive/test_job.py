"""Partitions hold a row a picture, in the order of the plan, and are made once, whatever happens between."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

fsspec = pytest.importorskip("fsspec")
parquet = pytest.importorskip("pyarrow.parquet")

from s3fd.archive import inputs, job  # noqa: E402
from s3fd.archive.manifest import ARCHIVE, Archive, ArchiveError, Done, open_archive, part  # noqa: E402
from s3fd.archive.rows import schema  # noqa: E402
from s3fd.archive.storage import Folder  # noqa: E402
from s3fd.inference.detector import Detector  # noqa: E402

FOUND = {"0": 0, "1": 1, "2": 2, "2b": None, "3": 3, "4": 4, "5": 5, "6": 6}
"""Faces by a picture's name, in the order of the archive; None where it cannot be read."""

Plan = Callable[[str], Archive]


@pytest.fixture
def memory() -> Iterator[str]:
    """A URL of a folder in memory."""
    url = f"memory://{uuid.uuid4()}"
    yield url
    fsspec.filesystem("memory").rm(url.removeprefix("memory:/"), recursive=True)


def rows(archive: Archive) -> list[dict[str, Any]]:
    import io

    files = [archive.folder.read(f"{part(n)}.parquet") for n in range(archive.partitions)]
    return [row for data in files for row in parquet.read_table(io.BytesIO(data)).to_pylist()]


def found(archive: Archive) -> dict[str, int | None]:
    return {
        Path(row["path"]).stem: None if row["faces"] is None else len(row["faces"]) for row in rows(archive)
    }


@pytest.mark.parametrize("batch", [1, 4])
def test_every_picture_has_its_row(planned: Plan, detector: Detector, photos: Path, batch: int) -> None:
    archive = planned("archive")
    made = [done for done in job.make(archive, detector, batch=batch) if done is not None]
    assert made == [Done(3, 3, 0), Done(3, 7, 1), Done(2, 11, 0)]
    assert found(archive) == FOUND
    first, damaged = rows(archive)[1], rows(archive)[3]
    box = {"x1": 0.0, "y1": 0.0, "x2": 16.0, "y2": 16.0}
    assert first == {
        "path": str(photos / "1.png"),
        "width": 128,
        "height": 32,
        "error": None,
        "faces": [{"box": box, "score": 1.0}],
    }
    assert damaged == {
        "path": str(photos / "2b.jpg"),
        "width": None,
        "height": None,
        "error": "not a picture of a known format",
        "faces": None,
    }


def test_the_schema_and_the_manifest_are_as_described(planned: Plan, detector: Detector) -> None:
    archive = planned("archive")
    list(job.make(archive, detector))
    path = Path(archive.folder.url) / "part-000001.parquet"
    assert parquet.read_schema(path) == schema()
    told = json.loads(archive.folder.read("_manifest/part-000001.done.json"))
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    planned_names = json.loads(archive.folder.read("_manifest/part-000001.inputs.json"))
    assert planned_names["partition"] == path.name
    assert planned_names["inputs"] == [row["path"] for row in parquet.read_table(path).to_pylist()]
    told_schema = schema(["gender"]).field("faces").type.value_type
    assert [field.name for field in told_schema] == ["box", "score", "gender", "gender_probability"]


@pytest.mark.parametrize("after", range(8))
def test_a_run_that_ends_anywhere_is_gone_on_with(planned: Plan, detector: Detector, after: int) -> None:
    archive = planned("archive")
    run = job.make(archive, detector)
    seen = 0
    while seen <= after:
        seen += next(run) is None
    run.close()
    complete = sorted({0, 1, 2}.difference(archive.pending()))
    before = {n: (Path(archive.folder.url) / f"{part(n)}.parquet").stat().st_mtime_ns for n in complete}
    again = planned("archive")
    made = [done for done in job.make(again, detector) if done is not None]
    assert len(made) == 3 - len(complete)
    assert found(again) == FOUND
    assert before == {
        n: (Path(archive.folder.url) / f"{part(n)}.parquet").stat().st_mtime_ns for n in complete
    }
    assert list(job.make(again, detector)) == []


def test_a_partition_without_its_last_line_is_made_again(planned: Plan, detector: Detector) -> None:
    archive = planned("archive")
    list(job.make(archive, detector))
    folder = Path(archive.folder.url)
    (folder / "_manifest" / "part-000000.done.json").unlink()
    (folder / "part-000000.parquet").write_bytes(b"half")
    (folder / "part-000002.parquet").unlink()
    assert archive.pending() == [0, 2]
    list(job.make(archive, detector))
    assert archive.pending() == []
    assert found(archive) == FOUND


def test_pictures_and_archives_in_memory(
    photos: Path, memory: str, detector: Detector, planned: Plan
) -> None:
    system = fsspec.filesystem("memory")
    system.put(str(photos), memory.removeprefix("memory:/") + "/in", recursive=True)
    system.pipe_file(memory.removeprefix("memory:/") + "/in/.hidden.png", b"")
    local = planned("archive")
    recipe = replace(local.recipe, paths=(f"{memory}/in",))
    names = list(inputs.listed(recipe.paths))
    assert [Path(name).stem for name in names] == list(FOUND)
    archive = open_archive(Folder(f"{memory}/out"), recipe, names)
    system.rm(names[0].removeprefix("memory:/").replace("//", "/"))
    list(job.make(archive, detector))
    assert found(archive) == FOUND | {"0": None}
    assert rows(archive)[0]["error"] == "No such file or directory"
    list(job.make(local, detector))
    for here, there in zip(rows(local)[1:], rows(archive)[1:], strict=True):
        assert here["faces"] == there["faces"]


def test_a_storage_that_does_not_answer_ends_the_run_and_loses_nothing(
    photos: Path, memory: str, detector: Detector, planned: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = fsspec.filesystem("memory")
    system.put(str(photos), memory.removeprefix("memory:/") + "/in", recursive=True)
    recipe = replace(planned("archive").recipe, paths=(f"{memory}/in",))
    archive = open_archive(Folder(f"{memory}/out"), recipe, inputs.listed(recipe.paths))
    whole = type(system).cat_file

    def cat_file(self: Any, path: str, **options: Any) -> bytes:
        if path.endswith("4.png"):
            raise RuntimeError("connection reset")  # as libraries have it that know no OSError
        return bytes(whole(self, path, **options))

    with monkeypatch.context() as patch:
        patch.setattr(type(system), "cat_file", cat_file)
        with pytest.raises(OSError, match=r"4\.png: connection reset"):
            list(job.make(archive, detector))
    assert archive.pending() == [1, 2]
    list(job.make(archive, detector))
    assert found(archive) == FOUND


def test_another_recipe_or_a_foreign_folder_is_refused(planned: Plan, tmp_path: Path) -> None:
    archive = planned("archive")
    with pytest.raises(ArchiveError, match=r"started with min_score 0\.9, not 0\.8"):
        open_archive(archive.folder, replace(archive.recipe, min_score=0.8), [])
    with pytest.raises(ArchiveError, match="started with precision 'fp32', not 'bf16'"):
        open_archive(archive.folder, replace(archive.recipe, precision="bf16"), [])
    plan = json.loads(archive.folder.read(ARCHIVE))
    del plan["recipe"]["precision"], plan["recipe"]["attributes"]  # as written before there were these
    archive.folder.write(ARCHIVE, json.dumps(plan).encode())
    assert open_archive(archive.folder, archive.recipe, []) == archive
    with pytest.raises(ArchiveError, match="started with precision 'fp32', not 'bf16'"):
        open_archive(archive.folder, replace(archive.recipe, precision="bf16"), [])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(ArchiveError, match="contains files, but no archive"):
        open_archive(Folder(str(tmp_path / "mine")), archive.recipe, ["a.jpg"])
    with pytest.raises(ArchiveError, match="no picture"):
        open_archive(Folder(str(tmp_path / "new")), archive.recipe, [])


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b"[]", b'{"version": 1, "recipe": 5}', b"[" * 9999])
def test_a_damaged_manifest_is_named(planned: Plan, detector: Detector, content: bytes) -> None:
    archive = planned("archive")
    list(job.make(archive, detector))
    for name, use in (
        ("part-000001.inputs.json", lambda: archive.inputs(1)),
        ("part-000001.done.json", archive.total),
        ("archive.json", lambda: planned("archive")),
    ):
        archive.folder.write(f"_manifest/{name}", content)
        with pytest.raises(ArchiveError, match=f"_manifest/{name} is damaged"):
            use()


def test_a_plan_that_broke_off_is_made_anew(planned: Plan, tmp_path: Path) -> None:
    archive = planned("archive")

    def broken() -> Iterator[str]:
        yield from ("a", "b", "c", "d")
        raise OSError("listing broke off")

    folder = Folder(str(tmp_path / "other"))
    with pytest.raises(OSError, match="broke off"):
        open_archive(folder, archive.recipe, broken())
    again = open_archive(folder, archive.recipe, ["e", "f"])
    assert (again.pictures, again.partitions, again.inputs(0)) == (2, 1, ["e", "f"])
    assert open_archive(folder, archive.recipe, broken()) == again


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("missing", FileNotFoundError),
        ("photos/2024", FileNotFoundError),
        ("memory://nowhere/at-all", FileNotFoundError),
        ("memory://nowhere/*.jpg", FileNotFoundError),
        ("film.mp4", ValueError),
        ("0", ValueError),
        ("nonsense://a", ValueError),
    ],
)
def test_what_an_archive_cannot_be_of(path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(inputs.listed([path]))


def test_files_by_pattern_and_by_name(photos: Path) -> None:
    def stems(*paths: object) -> list[str]:
        return [Path(name).stem for name in inputs.listed([str(path) for path in paths])]

    assert stems(photos / "*.png") == ["0", "1", "2", "3", "4"]
    assert stems(f"file://{photos}/late", photos / "0.png") == ["5", "6", "0"]
