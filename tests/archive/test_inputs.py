"""Pictures at URLs are found again by their names."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

fsspec = pytest.importorskip("fsspec")

from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402
from fsspec.utils import infer_storage_options  # noqa: E402

from s3fd.archive.inputs import fetched, listed  # noqa: E402


class Hosted(MemoryFileSystem):  # type: ignore[misc]
    """Files on a host that only the URL tells, as of SFTP; it remembers what it has listed, as S3's does."""

    protocol = "hosted"
    files: dict[str, tuple[dict[str, Any], list[str]]] = {}  # noqa: RUF012
    listings: dict[str, list[Any]] = {}  # noqa: RUF012

    def __init__(self, host: str, **options: Any) -> None:
        super().__init__(**options)
        self.store, self.pseudo_dirs = self.files.setdefault(host, ({}, [""]))

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return ("/" + str(infer_storage_options(path)["path"]).strip("/")).rstrip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        host = infer_storage_options(path).get("host")
        return {"host": host} if host else {}

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        self.listings[path] = super().ls(path, detail, **options)
        return self.listings[path]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.listings.pop(path, None) if path else self.listings.clear()


@pytest.fixture
def hosts() -> Iterator[None]:
    """Two hosts; the name of one is the beginning of that of the other."""
    fsspec.register_implementation("hosted", Hosted, clobber=True)
    for host in ("desk", "desk2"):
        system = fsspec.filesystem("hosted", host=host)
        system.makedirs("/photos/late")
        for name in ("a.jpg", "late/b::c.jpg", "late/[1].jpg", "notes.txt"):
            system.pipe_file(f"/photos/{name}", f"{host} {name}".encode())
    yield
    Hosted.files.clear()
    Hosted.clear_instance_cache()


def content(*urls: str) -> dict[str, str]:
    """The content of every picture at these URLs, or why there is none."""
    told = fetched(list(listed(urls)), urls)
    return {source.path: (source.data or b"").decode() or str(source.error) for source in told}


def test_names_keep_the_host(hosts: None) -> None:
    assert content("hosted://desk/photos/", "hosted://desk2/photos/*.jpg") == {
        "hosted://desk/photos/a.jpg": "desk a.jpg",
        "hosted://desk/photos/late/[1].jpg": "desk late/[1].jpg",
        "hosted://desk/photos/late/b::c.jpg": "desk late/b::c.jpg",
        "hosted://desk2/photos/a.jpg": "desk2 a.jpg",
    }
    assert list(content("hosted://desk")) == list(content("hosted://desk/photos"))


def test_a_file_that_exists_is_no_pattern(hosts: None) -> None:
    url = "hosted://desk/photos/late/[1].jpg"
    assert content(url) == {url: "desk late/[1].jpg"}


def test_only_the_names_of_one_folder_are_kept(hosts: None) -> None:
    names = listed(["hosted://desk/photos"])
    assert next(names) == "hosted://desk/photos/a.jpg"
    list(names)
    assert Hosted.listings == {}


@pytest.mark.parametrize("below", ["", "late", "late/*.png"])
def test_names_keep_the_archive_they_are_in(tmp_path: Path, below: str) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("late/a.png", b"first")
    url = f"zip://{below}::{tmp_path / 'photos.zip'}"
    name = f"zip://late/a.png::{tmp_path / 'photos.zip'}"
    assert content(url) == {name: "first"}
    (again,) = fetched([name])  # a plan that another version made
    assert again.data == b"first"


@pytest.mark.parametrize(
    "url", ["memory://photos", "memory://", "simplecache::memory://photos/*.jpg", "memory://photos/a.jpg"]
)
def test_names_lead_to_the_file_system_of_the_url(url: str) -> None:
    memory = fsspec.filesystem("memory")
    memory.makedirs("/photos")
    memory.pipe_file("/photos/a.jpg", b"first")
    (name,) = listed([url])
    for paths in ([url], []):
        assert [source.data for source in fetched([name], paths)] == [b"first"]
    memory.rm("/photos", recursive=True)
