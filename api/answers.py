"""How answers are written: exact JSON, CSV for spreadsheets, and 304 for what the caller has already.

An answer out of the marts depends on nothing but the night, the caller's scope and the question, so it is
made once for each of them and kept, in bounded memory.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from threading import Lock
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel, WithJsonSchema

from api.access import Caller
from api.nights import Night
from reports.csv_cells import csv_cell, json_text

Format = Annotated[
    Literal["json", "csv"],
    Query(
        alias="format", description="`csv` gives the rows for a spreadsheet; what it would run stays text."
    ),
]
# A decimal that keeps every digit; a number, as the page has it.
Number = Annotated[Decimal, WithJsonSchema({"type": "number"})]
Moment = Annotated[datetime, WithJsonSchema({"type": "string", "format": "date-time"})]


class FromNight(BaseModel):
    """What every answer out of the marts carries."""

    as_of: Moment
    is_complete: bool
    night: str


JSON, CSV = "application/json", "text/csv; charset=utf-8"

# Bytes of kept answers.
KEPT_BYTES = 32 * 2**20

NOT_CHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since the answer with that ETag."}
}
# What `responses` of an endpoint that also gives CSV says of it.
CSV_TOO: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
    **NOT_CHANGED,
}


def utc(moment: datetime | None) -> str | None:
    """A naive UTC moment as the page writes it: 2025-10-15T14:30:00Z; microseconds where there are any."""
    return None if moment is None else f"{moment.isoformat()}Z"


def written(value: Any) -> Any:
    """Moments of an answer in the page's form; everything else as it is."""
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, Mapping):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [written(item) for item in value]
    return value


def origin(night: Night, *, is_complete: bool) -> dict[str, Any]:
    """Which night an answer came from, and whether what it covers is over."""
    return {"as_of": night.as_of, "is_complete": is_complete, "night": night.id}


@dataclass(frozen=True, slots=True)
class Table:
    """The list of an answer that CSV is made of: its name there, and its columns in order."""

    name: str
    columns: tuple[str, ...]

    @classmethod
    def of(cls, name: str, row: type[BaseModel]) -> Table:
        return cls(name, tuple(row.model_fields))


class KeptAnswers:
    """Answers of the newest nights, the least used given up first."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._lock = Lock()
        self._size = 0
        self._kept: OrderedDict[tuple[str, ...], bytes] = OrderedDict()

    def get(self, key: tuple[str, ...]) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[str, ...], body: bytes) -> None:
        # one that takes an eighth of the room would push out what is asked often
        if len(body) > self._limit // 8:
            return
        with self._lock:
            if key not in self._kept:
                self._kept[key] = body
                self._size += self._cost(key, body)
            while self._size > self._limit:
                old, gone = self._kept.popitem(last=False)
                self._size -= self._cost(old, gone)

    @staticmethod
    def _cost(key: tuple[str, ...], body: bytes) -> int:
        return len(body) + sum(map(len, key)) + 200  # the entry itself


def from_night(
    request: Request,
    caller: Caller,
    make: Callable[[Night], Mapping[str, Any]],
    *,
    table: Table | None = None,
    output: str = "json",
) -> Response:
    """The answer that `make` gives of one night; `table` is the list in it that CSV is made of."""
    state = request.app.state
    with state.nights.reading() as night:
        # not request.url: its parser drops tabs and line ends, which tell ids apart
        key = (night.id, str(caller.scope), request.scope["path"], str(sorted(request.query_params.items())))
        body = state.answers.get(key)
        if body is None:
            body = encoded(make(night), table=table, output=output)
            state.answers.put(key, body)
    whence = {"Almanac-Night": night.id, "Almanac-As-Of": str(utc(night.as_of))}
    return answered(request, body, output=output, table=table, headers=whence)


def encoded(answer: Mapping[str, Any], *, table: Table | None = None, output: str = "json") -> bytes:
    """An answer as bytes."""
    if output == "csv":
        assert table is not None, "an endpoint with CSV names its table"
        return csv_of(table.columns, answer[table.name])
    return json_text(written(answer)).encode()


def answered(
    request: Request,
    body: bytes,
    *,
    output: str = "json",
    table: Table | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response with its ETag, or 304 when the caller has it."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Cookie",
        **(headers or {}),
    }
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in known.split(",")):
        return Response(status_code=304, headers=headers)
    if output == "csv" and table is not None:
        headers["Content-Disposition"] = f'attachment; filename="{table.name}.csv"'
    return Response(body, media_type=CSV if output == "csv" else JSON, headers=headers)


def csv_of(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows under one header; nothing in them is a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([csv_cell(name) for name in columns])
    writer.writerows([csv_cell(row[name]) for name in columns] for row in rows)
    return out.getvalue().encode()
