"""Open and create galleries by place: the path of a file, or the URL of a database."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from s3fd.extras import how_to_install
from s3fd.identity.recogniser import Model
from s3fd.identity.sqlite_store import create_store, open_store
from s3fd.identity.store import GalleryError, Store, check_model

SERVERS = ("postgresql://", "postgres://")
"""Prefixes of a database URL."""


def exists(place: str) -> bool:
    """Whether `place` is taken, by a gallery or by another file."""
    if is_server(place):
        return bool(_postgres().has_postgres(place))
    return Path(place).exists()


def create(place: str, model: Model) -> Store:
    """Create an empty gallery for vectors of `model`.

    Raises:
        GalleryError: the gallery cannot be created.
        OSError: the file cannot be written; GalleryUnavailable if the server does not answer.
    """
    if is_server(place):
        store: Store = _postgres().create_postgres(place, model)
        return store
    return create_store(place, model)


def ensure(place: str, model: Model) -> None:
    """Create a gallery as `create` does, unless there is one, or another process creates it now."""
    if exists(place):
        return
    try:
        create(place, model).close()
    except (OSError, GalleryError):
        if not exists(place):
            raise


def open_gallery(place: str, model: Model | None = None) -> Store:
    """Open a gallery. If a `model` is given, check that its vectors can be compared with the gallery's.

    Raises:
        FileNotFoundError: there is no such file.
        GalleryError: it is not a gallery, or it belongs to another model.
        GalleryUnavailable: the server does not answer, or another process has locked the file.
    """
    store: Store = _postgres().open_postgres(place) if is_server(place) else open_store(place)
    try:
        if model is not None:
            check_model(store, model)
    except GalleryError:
        store.close()
        raise
    return store


def is_server(place: str) -> bool:
    """Whether `place` is the URL of a database."""
    return place.startswith(SERVERS)


def shown(place: str) -> str:
    """Return `place` for display, without a URL's password. Raises GalleryError for an invalid URL."""
    return str(_postgres().shown(place)) if is_server(place) else place


def _postgres() -> ModuleType:
    """Import the PostgreSQL store. Raises GalleryError if its driver is not installed."""
    try:
        from s3fd.identity import postgres_store
    except ModuleNotFoundError as error:
        raise GalleryError(how_to_install(error, "a gallery in PostgreSQL needs", "postgres")) from error
    return postgres_store
