"""Files and folders that commands write to, checked before there is anything to lose."""

# os.path: see `s3fd.inference.sources`.
# ruff: noqa: PTH112

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from s3fd.cli.failure import fail

MARK = ".s3fd-copies"
"""Hidden file by which a later run knows that a folder among the pictures holds copies alone."""

NOTE = (
    "s3fd writes copies of pictures to this folder and overwrites its contents. Do not keep originals here.\n"
)
"""What the mark says to whoever finds it."""


def check_file(option: str, file: Path | None, *, replaced: bool = True) -> None:
    """End the command if the file of an `option` cannot be one that is written; None stands for no file.

    One that is `replaced`, as those are that appear once they are complete, is no device or pipe either.
    """
    if file is None:
        return
    unusable = file.exists() and not file.is_file() if replaced else file.is_dir()
    if unusable or not file.parent.is_dir():
        fail(f"{option}: {file} must be a file in an existing folder")


def check_no_picture(option: str, file: str | Path) -> None:
    """End the command if lines or a table would replace a picture or a video, as with ``--csv *.jpg``."""
    from s3fd.inference.sources import is_known

    if is_known(str(file)) and os.path.lexists(file):
        fail(f"{option}: {file} is an existing picture or video; choose another file")


def open_folder(option: str, folder: Path, paths: Sequence[str]) -> None:
    """Make the folder of an `option` for copies of the pictures that `paths` stand for.

    End the command if a copy could replace one of them: if one of `paths` lies in the folder; or if the
    folder lies among what `paths` are searched for and holds pictures, unless an earlier run wrote them. That
    is told by the `MARK`, which such a folder gets while it holds none.
    """
    target = Path(os.path.realpath(folder))
    for path in paths:
        if _base(path).is_relative_to(target):
            fail(f"{option}: {path} is inside {folder}, so a copy could overwrite it; choose another folder")
    around = next((path for path in paths if _searched(path) and target.is_relative_to(_base(path))), None)
    try:
        if around is not None and not (folder / MARK).exists() and _holds_pictures(folder):
            fail(
                f"{option}: {folder} is inside {around} and contains pictures that copies could overwrite; "
                "choose a new folder, or one elsewhere"
            )
        folder.mkdir(parents=True, exist_ok=True)
        if around is not None:
            (folder / MARK).write_text(NOTE, encoding="utf-8")
    except OSError as error:
        fail(f"{option}: {error}")


def open_new_folder(option: str, folder: Path, searched: Path) -> None:
    """Make the folder of an `option` for new pictures alone.

    End the command if it holds pictures already, which nobody could tell from the new ones, or if it lies in
    the folder that is `searched`, where a later run would find the new ones.
    """
    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(searched)):
        fail(f"{option}: {folder} is inside {searched}; choose a folder elsewhere")
    if _holds_pictures(folder):
        fail(f"{option}: {folder} already contains pictures; choose a new folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{option}: {error}")


def _base(path: str) -> Path:
    """The folder that a PATH is or lies in, or that a pattern begins with; links are followed."""
    from s3fd.inference.sources import common_base

    return Path(os.path.realpath(common_base([path]) or ""))


def _searched(path: str) -> bool:
    """Whether a PATH stands for what is in a folder: it is one, or a pattern."""
    from s3fd.inference.sources import is_pattern

    return os.path.isdir(path) or is_pattern(path)


def _holds_pictures(folder: Path) -> bool:
    """Whether there is a picture or a video in a folder or below it, hidden ones too."""
    from s3fd.inference.sources import is_known

    return any(is_known(name) for _, _, names in os.walk(folder) for name in names)
