"""Records out of files: JSON, CSV and Parquet, plain or gzipped, here or in an object store."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, cast
from urllib.parse import SplitResult, urlsplit

from upath import UPath

from tasks.corpus.formats_csv import HEAD, form_of
from tasks.records import BadInput

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that could not be read: the reason of its reject, and what the parser said."""

    reason: str
    detail: str


Row = tuple[int, Record | Broken]
"""Line (or row) number, from 1, and what stood there."""

PATIENCE = 1000
"""Records without a field after which its name is taken to be wrong."""

_MOST_LISTED = 20  # names
_SMALL = 1 << 22  # bytes
_LONGEST_CSV_FIELD = 1 << 24  # characters; what is longer is the rest of a file behind a stray quote

_UNDECODABLE = re.compile(r"[\udc80-\udcff]")  # what surrogateescape makes of bytes that are not UTF-8

# NaN and Infinity are no JSON; a value that cannot be written again becomes null.
JSON = json.JSONDecoder(parse_constant=lambda name: None)


@contextmanager
def given_with(flag: str) -> Iterator[None]:
    """Bad input found in the block begins with the flag that gave it, unless it names one already."""
    try:
        yield
    except BadInput as error:
        if str(error).startswith("--"):
            raise
        raise BadInput(f"{flag} {error}") from None


def storable(text: str) -> str:
    """The string with escapes for what UTF-8 cannot hold, so that names which differ still do."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def shown_address(path: UPath) -> str:
    """A path as tables and messages have it: without a query, which may be a signature."""
    return storable(re.sub(r"(://[^?]*)\?.*", r"\1", str(path)))


def address_of(name: str) -> SplitResult:
    """The parts of an address.

    Raises:
        BadInput: it is none; not repeated, because a password may stand in it.
    """
    try:
        return urlsplit(name)
    except ValueError:
        raise BadInput(
            f"{name.partition('://')[0]}://...: not an address; write scheme://host/path"
        ) from None


def is_small(path: UPath) -> bool:
    """Whether a file is read in a moment, so that it may be looked at before a run begins."""
    return bool(path.stat().st_size <= _SMALL)


def path_of(name: str) -> UPath:
    """The path behind a name, local or with an fsspec scheme such as s3://.

    Raises:
        BadInput: a scheme that no installed package serves, or a password in the address.
    """
    if "://" in name and (address := address_of(name)).password is not None:
        raise BadInput(
            f"{address.scheme}://...@{address.netloc.rpartition('@')[2]}{address.path}: a password in an address would "
            "be written to the run's folder; give it in the environment, as the storage's package takes it"
        )
    try:
        path = UPath(name)
        path.exists()  # only now is the storage's package imported
    except (ImportError, ValueError) as error:
        raise BadInput(
            f"{name}: this kind of storage is not available: {' '.join(str(error).split())}"
        ) from None
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror or error}") from None
    return path


def read_records(path: UPath) -> Iterator[Row]:
    """The records of a file, one at a time.

    Raises:
        BadInput: the file is damaged as a whole (a truncated archive, not Parquet, no CSV).
    """
    reader = reader_of(path)
    if reader is None:
        raise BadInput(f"{path}: unknown kind of file; give JSON lines, CSV or Parquet")
    return reader(path)


def reader_of(path: UPath) -> Callable[[UPath], Iterator[Row]] | None:
    """The reader for a file's name, None if no reader takes it."""
    name = path.name.lower().removesuffix(".gz")
    for endings, reader in _READERS.items():
        if name.endswith(endings):
            return None if reader is _parquet and path.name.lower().endswith(".gz") else reader
    return None


@contextmanager
def opened(path: UPath) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked if its name ends in .gz; damage and failing storage become one clear line."""
    try:
        if path.is_fifo():  # to open it would wait for a writer
            raise BadInput(f"{path}: cannot be read: a pipe; give a file")
        with path.open("rb") as raw:
            if path.name.lower().endswith(".gz"):
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{path}: damaged or truncated gzip file ({error}); fetch it again") from None
    except OSError as error:
        # Arrow's text for a damaged file ends in a newline.
        raise BadInput(f"{path}: cannot be read: {' '.join(str(error.strerror or error).split())}") from None


def _json_lines(path: UPath) -> Iterator[Row]:
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            yield number, _json_line(line)


def _json(path: UPath) -> Iterator[Row]:
    """A .json file: JSON lines, or one array of objects, which is read whole."""
    with opened(path) as file:
        is_array = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    if not is_array:
        yield from _json_lines(path)
        return
    with opened(path) as file:
        data = file.read()
    try:
        values = JSON.decode(data.decode("utf-8-sig").strip())
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{path}: broken JSON: {error}; one object per line is read record by record"
        ) from None
    for number, value in enumerate(values, start=1):
        if isinstance(value, dict):
            yield number, value
        else:
            yield number, Broken("not an object", f"the item is a {type(value).__name__}")


def _json_line(line: bytes) -> Record | Broken:
    if b"\0" in line:
        return Broken("binary", "the line holds NUL bytes")
    try:
        value = JSON.decode(line.decode("utf-8").strip())
    except UnicodeDecodeError as error:
        return Broken("binary", f"not UTF-8: {error.reason} at byte {error.start} of the line")
    except (ValueError, RecursionError) as error:
        return Broken("broken JSON", str(error) or type(error).__name__)
    return (
        value if isinstance(value, dict) else Broken("not an object", f"the line is a {type(value).__name__}")
    )


def _delimited(path: UPath) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_CSV_FIELD)
    is_tsv = path.name.lower().removesuffix(".gz").endswith(".tsv")
    with opened(path) as file:
        form = form_of(file.read(HEAD), "\t" if is_tsv else "")
    with opened(path) as file:
        text = io.TextIOWrapper(file, encoding=form.encoding, errors=form.errors, newline="")
        try:
            yield from _cells(path, csv.reader(text, delimiter=form.delimiter, strict=True))
        except UnicodeDecodeError:
            raise BadInput(f"{path}: damaged UTF-16; save it as “CSV UTF-8”") from None


def _cells(path: UPath, reader: Any) -> Iterator[Row]:
    """The rows of a `csv.reader` by the heading that is its first one."""
    header: list[str] = []
    while True:
        began = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            # Beyond its own line a row has swallowed others, nobody knows how many.
            if not header or reader.line_num > began or "end of data" in str(error):
                raise BadInput(
                    f"{path}:{began}: broken CSV: {error} (by line {reader.line_num}); "
                    "mend the quotes of the row that begins here"
                ) from None
            yield began, Broken("broken CSV", str(error))
            continue
        if cells is None:
            return
        if not header:
            if any("\0" in cell for cell in cells):
                raise BadInput(f"{path}: not UTF-8; save it as “CSV UTF-8”")
            header = cells
        elif len(cells) > len(header):
            detail = f"more cells than the {len(header)} of the header"
            yield reader.line_num, Broken("broken CSV", detail)
        elif any(_UNDECODABLE.search(cell) for cell in cells):
            yield reader.line_num, Broken("binary", "not UTF-8; save the file as “CSV UTF-8”")
        elif cells:
            yield reader.line_num, dict(zip(header, cells, strict=False))


def _parquet(path: UPath) -> Iterator[Row]:
    with _parquet_file(path) as table:
        number = 0
        for batch in table.iter_batches(batch_size=256):
            for record in records_of(batch):
                number += 1
                yield number, record


@contextmanager
def _parquet_file(path: UPath) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(path) as file:
        try:
            # Without a buffer a whole row group lies in memory.
            yield pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
        except (pa.ArrowException, UnicodeDecodeError) as error:  # a column's name may be no UTF-8
            raise BadInput(f"{path}: damaged Parquet file ({' '.join(str(error).split())})") from None


def records_of(batch: Any) -> Iterator[Record | Broken]:
    """The rows of an Arrow batch or table; a value that Python cannot hold costs its row."""
    try:
        yield from batch.to_pylist()
        return
    except (ValueError, OverflowError, KeyError):  # a year beyond 9999, no UTF-8, a time zone that is none
        pass
    for number in range(batch.num_rows):
        try:
            yield batch.slice(number, 1).to_pylist()[0]
        except (ValueError, OverflowError, KeyError) as error:
            yield Broken("broken value", str(error))


def first_records(path: UPath, count: int) -> Iterator[Record]:
    """Up to `count` readable records from the head of a file; for Parquet one empty record with its columns."""
    if reader_of(path) is _parquet:
        with _parquet_file(path) as table:
            if table.metadata.num_rows:
                yield dict.fromkeys(table.schema_arrow.names)
        return
    for _, record in islice(read_records(path), count):
        if not isinstance(record, Broken):
            yield record


def whole_records(name: str) -> Iterator[tuple[int, Record]]:
    """The records of a file of which none may be broken, with their lines: of a table in which each row counts.

    Raises:
        BadInput: there is no such file, or a record cannot be read.
    """
    path = path_of(name)
    if not path.exists():
        raise BadInput(f"{name}: no such file")
    if path.is_dir():
        raise BadInput(f"{name}: a folder; give a file of JSON lines, CSV or Parquet")
    for number, record in read_records(path):
        if isinstance(record, Broken):
            raise BadInput(f"{name}:{number}: {record.reason}: {record.detail}; mend this line")
        yield number, record


def cell_text(value: Any) -> str:
    """A cell as a text, "" if it holds nothing. Whole numbers have no ".0", however they were stored."""
    if value is None or value != value:  # NaN, as pandas has it
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def listed(names: Iterable[object]) -> str:
    """Names of fields for a message: on one line, whatever is in them, and as many as fit there."""
    plain = [repr(str(name)[:80])[1:-1] for name in names]
    more = len(plain) - _MOST_LISTED
    return ", ".join(plain[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


_READERS: dict[tuple[str, ...], Callable[[UPath], Iterator[Row]]] = {
    (".jsonl", ".ndjson"): _json_lines,
    (".json",): _json,
    (".csv", ".tsv"): _delimited,
    (".parquet", ".pq"): _parquet,
}
