from __future__ import annotations

from pathlib import Path

import pytest

from s3fd.archive.storage import Folder, local_path


@pytest.mark.parametrize("name", ["plain", "one::two", "~home", "50%", "a b"])
@pytest.mark.parametrize("prefix", ["", "file://", "local://"])
def test_a_local_folder_has_exactly_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, prefix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = str(tmp_path / name)
    for url in (prefix + whole, *([name] if not prefix else [])):
        folder = Folder(url)
        folder.write("below/a.txt", b"content")
        assert (tmp_path / name / "below" / "a.txt").read_bytes() == b"content"
        assert folder.read("below/a.txt") == b"content"
        assert folder.names("below") == {"a.txt"} and folder.names("missing") == set()
    assert local_path(prefix + whole) == whole
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_file_systems_are_those_of_fsspec() -> None:
    folder = Folder("memory://archive/of/s3fd")
    folder.write("a.txt", b"content")
    assert folder.read("a.txt") == b"content" and folder.names() == {"a.txt"}
