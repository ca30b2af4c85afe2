"""The rows of the API's keys and sessions: made, listed, ended; a secret is kept as a hash alone.

A key is `alm_<prefix>_<secret>`: ten letters and digits by which people tell keys apart, and 256 random bits.
The ops store has the SHA-256 of the whole text and never the text; a secret of that length cannot be guessed,
so a slow hash, which is for passwords, would only slow the service down. Nothing is made by itself: without
`almanac keys create` there is no key, and nobody is let in.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from flows.errors import UsageError
from flows.given_text import said
from flows.ops_store import KEYS, OpsStore, serving, writers
from flows.periods import parse_as_of
from flows.redaction import shown
from flows.review_scopes import Scope

keys, sessions = serving.keys, serving.sessions

_PREFIX_LENGTH = 10
_PREFIX_LETTERS = string.ascii_lowercase + string.digits
_SECRET_BYTES = 32
KEY_FORM = re.compile(r"alm_(?P<prefix>[a-z0-9]{10})_[A-Za-z0-9_-]{43}", re.ASCII)
# no prefix of a key is seven letters long
SESSION_FORM = re.compile(r"alm_session_[A-Za-z0-9_-]{43}", re.ASCII)

# Keys that are neither expired nor revoked. Whoever serves holds all of them in memory, 1 KB each.
MOST_KEYS = 20_000
LONGEST_LIFE = timedelta(days=3650)

SESSION_LIFE = timedelta(hours=12)
# A key that opens more sessions than this closes its oldest.
MOST_SESSIONS = 1000
# Sessions that are over are deleted after as long.
_SESSIONS_KEPT = timedelta(days=7)


class KeyState(StrEnum):
    """Whether a key opens anything."""

    active = "active"
    expired = "expired"
    revoked = "revoked"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key, without the key. All moments are naive UTC."""

    key_id: int
    prefix: str
    name: str
    scope: Scope
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None

    def state(self, now: datetime) -> KeyState:
        if self.revoked_at is not None:
            return KeyState.revoked
        if self.expires_at is not None and self.expires_at <= now:
            return KeyState.expired
        return KeyState.active


def create_key(
    store: OpsStore,
    *,
    scope: Scope,
    name: str,
    created_by: str,
    expires_at: datetime | None,
    now: datetime,
) -> str:
    """Make a key; its text, which is nowhere else and cannot be had again.

    Raises UsageError for a name of nothing, an expiry that has passed or is over ten years off, and when
    there are MOST_KEYS already.
    """
    if expires_at is not None and not now < expires_at <= now + LONGEST_LIFE:
        raise UsageError(
            f"A key expires later than now and within {LONGEST_LIFE.days} days, not at {expires_at} UTC."
        )
    prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(_PREFIX_LENGTH))
    key = f"alm_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    values = {
        "prefix": prefix,
        "key_sha256": sha256(key),
        "scope_kind": scope.kind,
        "scope_id": scope.id,
        "name": said(name, "what the key is for"),
        "created_at": now,
        "created_by": said(created_by, "who makes the key"),
        "expires_at": expires_at,
    }
    with store.transaction() as connection:
        _note_change(connection)
        if (connection.scalar(select(func.count()).where(is_active(now))) or 0) >= MOST_KEYS:
            raise UsageError(
                f"There are {MOST_KEYS} keys at work already. Revoke some: `almanac keys list` shows them."
            )
        connection.execute(insert(keys).values(values))
    return key


def list_keys(store: OpsStore) -> list[KeyRecord]:
    """Every key that was ever made, the oldest first."""
    with store.reading() as connection:
        rows = connection.execute(select(keys).order_by(keys.c.created_at, keys.c.key_id)).all()
    return [_record(row) for row in rows]


def revoke_key(store: OpsStore, prefix: str, by: str, now: datetime) -> KeyRecord:
    """Shut a key, and every session that began with it, for good; revoking it again changes nothing.

    `prefix` may be the whole key, which is what people have before them when one has leaked. Raises
    UsageError when there is no such key.
    """
    match = KEY_FORM.fullmatch(prefix)
    wanted = match["prefix"] if match else prefix.removeprefix("alm_")
    with store.transaction() as connection:
        _note_change(connection)
        found = connection.execute(select(keys).where(keys.c.prefix == wanted)).one_or_none()
        if found is None:
            raise UsageError(f"There is no key {shown(prefix)}. `almanac keys list` shows their prefixes.")
        if found.revoked_at is not None:
            return _record(found)
        revoked = connection.execute(
            update(keys)
            .where(keys.c.key_id == found.key_id)
            .values(revoked_at=now, revoked_by=said(by, "who revokes the key"))
            .returning(*keys.c)
        ).one()
        connection.execute(
            update(sessions)
            .where(sessions.c.key_id == found.key_id, sessions.c.ended_at.is_(None))
            .values(ended_at=now)
        )
    return _record(revoked)


def begin_session(store: OpsStore, key_id: int, key_ends: datetime | None, now: datetime) -> str:
    """Begin a session of SESSION_LIFE, or of the key's life when that is shorter; its token, kept nowhere."""
    token = f"alm_session_{secrets.token_urlsafe(_SECRET_BYTES)}"
    ends = now + SESSION_LIFE
    values = {
        "session_sha256": sha256(token),
        "key_id": key_id,
        "created_at": now,
        "expires_at": ends if key_ends is None else min(ends, key_ends),
    }
    with store.transaction() as connection:
        _note_change(connection)
        connection.execute(delete(sessions).where(sessions.c.expires_at < now - _SESSIONS_KEPT))
        at_work = (sessions.c.key_id == key_id, sessions.c.ended_at.is_(None))
        newest = select(sessions.c.session_sha256).where(*at_work, sessions.c.expires_at > now)
        kept = newest.order_by(sessions.c.created_at.desc()).limit(MOST_SESSIONS - 1)
        connection.execute(
            update(sessions).where(*at_work, sessions.c.session_sha256.not_in(kept)).values(ended_at=now)
        )
        connection.execute(insert(sessions).values(values))
    return token


def finish_session(store: OpsStore, token: str, now: datetime) -> None:
    """End a session for good; of any other text, nothing happens."""
    with store.transaction() as connection:
        _note_change(connection)
        connection.execute(
            update(sessions)
            .where(sessions.c.session_sha256 == sha256(token), sessions.c.ended_at.is_(None))
            .values(ended_at=now)
        )


def parse_expiry(text: str, now: datetime) -> datetime:
    """`90d`, so many days from now, or a moment such as `2027-01-31`, which is 00:00 UTC of that day.

    Raises UsageError for anything else, for what has passed and for what is over ten years off.
    """
    days = re.fullmatch(r"([1-9][0-9]{0,3})d", text, re.ASCII)
    try:
        moment = now + timedelta(days=int(days[1])) if days else parse_as_of(text)
    except UsageError:
        raise UsageError(
            f"{shown(text)} is no expiry. Write days from now, such as 90d, or a date, such as 2027-01-31."
        ) from None
    if not now < moment <= now + LONGEST_LIFE:
        raise UsageError(
            f"{shown(text)} is no expiry: a key expires later than now and within {LONGEST_LIFE.days} days."
        )
    return moment


def sha256(text: str) -> str:
    """What is kept of a secret: the SHA-256 of its text, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_active(now: datetime) -> ColumnElement[bool]:
    """The keys that are neither revoked nor expired."""
    return and_(keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > now))


def _note_change(connection: Connection) -> None:
    """Take the right to change keys and sessions, and tell every KeyRing that its copy is old."""
    connection.execute(update(writers).where(writers.c.name == KEYS).values(token=writers.c.token + 1))


def _record(row: Any) -> KeyRecord:
    return KeyRecord(
        key_id=row.key_id,
        prefix=row.prefix,
        name=row.name,
        scope=Scope(row.scope_kind, row.scope_id),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
        last_used_at=row.last_used_at,
    )
