"""Writers of records: JSON Lines, CSV and Parquet.

File names need not be valid text. A byte that is not UTF-8 is written as ``\\udcXX``. In JSON, Python reads
this escape back as the same file name.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, overload

from s3fd.inference.records import Record, columns
from s3fd.weights.atomic import temporary_name

PARQUET_BATCH = 10_000
"""Rows held in memory before they are written."""


class Writer(Protocol):
    """Takes records one by one; use it in a ``with`` block, at the end of which everything is written."""

    def write(self, record: Record) -> None:
        """Write a record."""
        ...

    def __enter__(self) -> Writer:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish."""
        ...


class _LineWriter:
    """A writer of text to a binary stream, which it leaves open unless `close` is set."""

    def __init__(self, stream: BinaryIO, close: bool = False) -> None:
        self._stream = stream
        self._name = getattr(stream, "name", "output")
        self._close = close

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._close:
            with _naming(self._name):
                self._stream.close()

    def _write(self, text: str) -> None:
        """Write whole lines at once, so that a concurrent reader never waits for the rest of a line."""
        with _naming(self._name):
            self._stream.write(text.encode("utf-8", "backslashreplace"))
            self._stream.flush()


class JsonLinesWriter(_LineWriter):
    """Writes one JSON object per line, one line per picture: see `Record.to_dict`."""

    def write(self, record: Record) -> None:
        """Write a record as one line."""
        self._write(to_json(record.to_dict()) + "\n")


class CsvWriter(_LineWriter):
    """Writes a header, then one row per face, or one for a picture without faces: see `Record.to_rows`."""

    def __init__(self, stream: BinaryIO, close: bool = False, attributes: Sequence[str] = ()) -> None:
        """Write to `stream`, with columns for these attributes."""
        super().__init__(stream, close)
        self._columns = columns(attributes)

    def __enter__(self) -> CsvWriter:
        """Write the header."""
        self._write(self._csv([dict(zip(self._columns, self._columns, strict=True))]))
        return self

    def write(self, record: Record) -> None:
        """Write a record's rows at once."""
        self._write(self._csv(record.to_rows()))

    def _csv(self, rows: list[dict[str, Any]]) -> str:
        """Format rows as CSV text (RFC 4180, but lines end with a line feed alone)."""
        text = io.StringIO()
        csv.DictWriter(text, self._columns, lineterminator="\n").writerows(rows)
        return text.getvalue()


class ParquetWriter:
    """Writes the rows of `CsvWriter`, with types, to a Parquet file that appears once it is complete.

    The file is written under a temporary name beside `path`. If the user interrupts the run, the results so
    far are kept; after any other exception, nothing is left.
    """

    def __init__(self, path: str | os.PathLike[str], attributes: Sequence[str] = ()) -> None:
        """Prepare to write to `path`, in an existing folder, with columns for these attributes.

        Raises:
            ImportError: pyarrow is not installed.
        """
        import pyarrow
        import pyarrow.parquet

        self._path = Path(path)
        self._temporary = temporary_name(self._path, f"{os.getpid()}.part")
        kinds = {"path": pyarrow.string(), "error": pyarrow.string(), "time": pyarrow.float64()}
        kinds |= dict.fromkeys(("frame", "width", "height", "face"), pyarrow.int32())
        kinds |= dict.fromkeys(attributes, pyarrow.string())
        self._schema = pyarrow.schema(
            [(name, kinds.get(name, pyarrow.float32())) for name in columns(attributes)]
        )
        self._pyarrow = pyarrow
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> ParquetWriter:
        """Open the temporary file."""
        try:
            with _naming(self._path):
                self._file = self._pyarrow.parquet.ParquetWriter(self._temporary, self._schema)
        except OSError:
            self._temporary.unlink(missing_ok=True)
            raise
        return self

    def write(self, record: Record) -> None:
        """Add a record's rows; they are written in batches."""
        for row in record.to_rows():
            texts = {name: valid_text(row[name]) for name in ("path", "error")}
            self._rows.append(row | texts)
        if len(self._rows) >= PARQUET_BATCH:
            self._flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the file its final name, or remove it."""
        complete = kind is None or issubclass(kind, KeyboardInterrupt)
        try:
            if complete:
                self._flush()
            with _naming(self._path):
                self._file.close()
            if complete:
                self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def _flush(self) -> None:
        """Write the waiting rows."""
        if self._rows:
            table = self._pyarrow.Table.from_pylist(self._rows, schema=self._schema)
            with _naming(self._path):
                self._file.write_table(table)
            self._rows = []


@contextmanager
def _naming(file: object) -> Iterator[None]:
    """Add the file's name to an OSError: the error of a full disk does not say which file it concerns."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename, error.strerror = error.filename or str(file), os.strerror(error.errno)
        raise


def to_json(record: dict[str, Any]) -> str:
    """Serialise a record as one line of JSON, without the line end."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


@overload
def valid_text(text: str) -> str: ...


@overload
def valid_text(text: None) -> None: ...


def valid_text(text: str | None) -> str | None:
    """Escape what UTF-8 cannot encode in a file name, which need not be valid text."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")
