"""The archive: every edition of a review that was issued, its documents kept by what they hold.

All functions work in a transaction of the caller's, so that an edition and the mails that carry it become
true at once. A document's name is the SHA-256 of its bytes: it is stored once, and read back only when it
still has that hash.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from flows.errors import AlmanacError
from flows.ops_store import deliveries

editions, documents, edition_documents = (
    deliveries.editions,
    deliveries.documents,
    deliveries.edition_documents,
)


@dataclass(frozen=True, slots=True)
class Edition:
    """One issue of a review; scope and period as people write them."""

    kind: str
    scope: str
    period: str
    edition: int
    as_of: datetime
    made_at: datetime
    figures_sha256: str
    reason: str | None
    is_material: bool


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """A document of an edition: its name, the locale of its dates, and what it holds, by hash."""

    name: str
    dates: str
    sha256: str


def newest_edition(connection: Connection, kind: str, scope: str, period: str) -> Edition | None:
    """The latest issue of a review; None when it was never issued."""
    found = find_editions(connection, kind, scope, period)
    return found[-1] if found else None


def find_editions(
    connection: Connection,
    kind: str | None = None,
    scope: str | None = None,
    period: str | None = None,
) -> list[Edition]:
    """The editions of what is named, oldest period and lowest number first."""
    query = select(editions).order_by(
        editions.c.period, editions.c.kind, editions.c.scope, editions.c.edition
    )
    for column, value in ((editions.c.kind, kind), (editions.c.scope, scope), (editions.c.period, period)):
        if value is not None:
            query = query.where(column == value)
    return [Edition(*row) for row in connection.execute(query)]


def newest_of_each(connection: Connection) -> dict[tuple[str, str, str], Edition]:
    """The latest edition of every review that was issued, by kind, scope and period."""
    newest: dict[tuple[str, str, str], Edition] = {}
    for edition in find_editions(connection):
        newest[(edition.kind, edition.scope, edition.period)] = edition
    return newest


def keep_edition(
    connection: Connection, edition: Edition, contents: Sequence[tuple[str, str, str, bytes]]
) -> None:
    """Add an edition with its documents, each (name, dates, media type, bytes)."""
    connection.execute(insert(editions).values({name: getattr(edition, name) for name in edition.__slots__}))
    for name, dates, media_type, content in contents:
        connection.execute(
            insert(edition_documents).values(
                kind=edition.kind,
                scope=edition.scope,
                period=edition.period,
                edition=edition.edition,
                name=name,
                dates=dates,
                sha256=keep_document(connection, media_type, content),
            )
        )


def documents_of(connection: Connection, edition: Edition) -> list[KeptDocument]:
    """What an edition consists of."""
    table = edition_documents.c
    rows = connection.execute(
        select(table.name, table.dates, table.sha256)
        .where(
            table.kind == edition.kind,
            table.scope == edition.scope,
            table.period == edition.period,
            table.edition == edition.edition,
        )
        .order_by(table.name, table.dates)
    )
    return [KeptDocument(*row) for row in rows]


def keep_document(connection: Connection, media_type: str, content: bytes) -> str:
    """Store bytes unless they are there; returns their SHA-256."""
    digest = hashlib.sha256(content).hexdigest()
    known = connection.scalar(select(func.count()).where(documents.c.sha256 == digest))
    if not known:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(
            dialect.insert(documents)
            .values(sha256=digest, media_type=media_type, content=zlib.compress(content, level=6))
            .on_conflict_do_nothing()  # somebody else may keep the same just now
        )
    return digest


def media_type_of(connection: Connection, digest: str) -> str | None:
    """The media type that a document was kept with; None when there is no such document."""
    return connection.scalar(select(documents.c.media_type).where(documents.c.sha256 == digest))


def read_document(connection: Connection, digest: str) -> bytes:
    """The bytes of that hash. Raises AlmanacError when they are gone or are not what was kept."""
    kept: Any = connection.scalar(select(documents.c.content).where(documents.c.sha256 == digest))
    if kept is None:
        raise AlmanacError(
            f"The archive has no document {digest}. Restore the ops store from a backup that has it."
        )
    try:
        content = zlib.decompress(kept)
    except zlib.error:
        content = b""
    if hashlib.sha256(content).hexdigest() != digest:
        raise AlmanacError(
            f"The document {digest} in the archive is damaged. Restore the ops store from a backup."
        )
    return content
