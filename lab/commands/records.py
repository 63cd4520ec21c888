"""Raw vendor records from a file or a pipe, for `sekoia-lab map`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from shared.errors import SkipRecord
from shared.http.body import parse


def read_records(stream: BinaryIO) -> Iterator[Any]:
    """Each record of one JSON object, a JSON array or JSON lines; a line that is not JSON is a SkipRecord."""
    content = stream.read()
    try:
        whole = parse(content)
    except ValueError:
        yield from _lines(content)
        return
    if isinstance(whole, list):
        yield from whole
    else:
        yield whole


def _lines(content: bytes) -> Iterator[Any]:
    for line in content.splitlines():
        if line.strip():
            try:
                yield parse(line)
            except ValueError:
                yield SkipRecord("record", "is not JSON")
