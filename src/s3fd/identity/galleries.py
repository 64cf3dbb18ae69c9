"""A gallery by its place: a file, or a database by its URL."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from s3fd.extras import how_to_install
from s3fd.identity.recogniser import Model
from s3fd.identity.sqlite_store import create_store, open_store
from s3fd.identity.store import GalleryError, Store, check_model

SERVERS = ("postgresql://", "postgres://")
"""How the URL of a database begins."""


def exists(place: str) -> bool:
    """Whether there is a gallery at `place`, or something else that is in its way."""
    if is_server(place):
        return bool(_postgres().has_postgres(place))
    return Path(place).exists()


def create(place: str, model: Model) -> Store:
    """Make an empty gallery for vectors of `model`.

    Raises:
        GalleryError: one that cannot be made.
        OSError: a file that cannot be written; GalleryUnavailable: a server that does not answer.
    """
    if is_server(place):
        store: Store = _postgres().create_postgres(place, model)
        return store
    return create_store(place, model)


def open_gallery(place: str, model: Model | None = None) -> Store:
    """Open a gallery, if its vectors can be compared with those of `model`.

    Raises:
        FileNotFoundError: there is no such file.
        GalleryError: no gallery, or one of another model.
        GalleryUnavailable: a server that does not answer, or a file that another process has locked.
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
    """What may be told of a place: of a URL, no password. Raises GalleryError for a URL that is none."""
    return str(_postgres().shown(place)) if is_server(place) else place


def _postgres() -> ModuleType:
    """The module that talks to PostgreSQL; raises GalleryError where its driver is not installed."""
    try:
        from s3fd.identity import postgres_store
    except ModuleNotFoundError as error:
        raise GalleryError(how_to_install(error, "a gallery in PostgreSQL needs", "postgres")) from error
    return postgres_store
