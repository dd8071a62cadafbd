"""Reading for the tests: documents and rejects of some sources, and files of JSON lines to read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from tasks.corpus.read import Fields, read_documents
from tasks.records import Document, Reject


def read(*sources: str | Path, fields: Fields | None = None) -> tuple[list[Document], list[Reject]]:
    rejects: list[Reject] = []
    documents = list(read_documents([str(source) for source in sources], fields or Fields(), rejects.append))
    return documents, rejects


def lines(path: Path, *records: Any) -> Path:
    data = "".join(
        (record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records
    ).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
