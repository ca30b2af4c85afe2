"""Whose key is this: the keys and sessions at work, for a service that asks at every request.

How keys are made, listed and revoked is in flows/key_records.py, and found here too.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hmac import compare_digest

from sqlalchemy import Connection, select

from flows.errors import AlmanacError
from flows.key_records import (
    KEY_FORM,
    SESSION_FORM,
    begin_session,
    create_key,
    finish_session,
    is_active,
    keys,
    list_keys,
    revoke_key,
    sessions,
    sha256,
)
from flows.key_uses import KeyUses
from flows.ops_store import KEYS, OpsStore, writers
from flows.review_scopes import Scope

__all__ = ["KeyRing", "KnownKey", "create_key", "list_keys", "revoke_key"]

# Seconds for which a KeyRing goes by its copy without asking whether something changed.
FRESH_SECONDS = 1.0
# Seconds for which it goes by its copy while the store cannot be read; then nobody is let in.
TRUSTED_SECONDS = 30.0
# Seconds after which it reads every key again though no change was noted, as of rows changed by hand.
_WHOLE_SECONDS = 60.0
# The newest sessions of all keys; older ones are as signed out.
_MOST_SESSIONS = 20_000
# Compared with when no key has the prefix; the hash of nothing that anybody knows.
_NO_KEY = secrets.token_hex(32)


@dataclass(frozen=True, slots=True)
class KnownKey:
    """Whoever showed a key, or a session that began with it. `expires_at` is naive UTC; null: never."""

    key_id: int
    prefix: str
    name: str
    scope: Scope
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class _HeldKey:
    known: KnownKey
    key_sha256: str


@dataclass(frozen=True, slots=True)
class _HeldSession:
    key_id: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Copy:
    """Every key and session at work, as of a change of the store."""

    change: int | None
    by_prefix: Mapping[str, _HeldKey]
    by_id: Mapping[int, _HeldKey]
    # by the token's SHA-256
    sessions: Mapping[str, _HeldSession]
    # when this was read whole, and when it was last found unchanged: seconds of the ring's own clock
    read_at: float
    seen_at: float


class KeyRing:
    """The keys and sessions at work, for a service that asks at each request; safe for many threads.

    It holds a copy, asks the store once a second whether anything changed, and reads it again when so: a
    revocation shuts within FRESH_SECONDS, in every process. While the store cannot be read the copy holds for
    TRUSTED_SECONDS, then everything raises. `now` is the moment, naive UTC, by which keys expire; `uptime`
    counts seconds for the age of the copy, which a clock that is set must not change.
    """

    def __init__(
        self,
        store_opener: Callable[[], OpsStore],
        *,
        now: Callable[[], datetime],
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = store_opener
        self._opened: OpsStore | None = None
        self._now = now
        self._uptime = uptime
        self._copy: _Copy | None = None
        self._turn = threading.Condition()
        # when the one thread that reads the store began; null: none does
        self._looking_since: float | None = None
        self._failed_at = float("-inf")
        # changes of this ring's own, and how many of them the copy has
        self._changes = 0
        self._changes_seen = 0
        self._trouble = "it was never read"
        self._uses = KeyUses(self._store)

    def find(self, text: str) -> KnownKey | None:
        """Whose key this is; None for any text that is no key at work.

        Raises AlmanacError when that cannot be known.
        """
        match = KEY_FORM.fullmatch(text)
        if match is None:
            return None
        held = self._current().by_prefix.get(match["prefix"])
        # as long for a prefix that nobody has
        is_same = compare_digest(sha256(text), _NO_KEY if held is None else held.key_sha256)
        return self._at_work(held) if is_same else None

    def session(self, token: str) -> KnownKey | None:
        """Whose session this is; None when there is none, when it is over, and when its key is.

        Raises AlmanacError when that cannot be known.
        """
        if SESSION_FORM.fullmatch(token) is None:
            return None
        copy = self._current()
        # found by its hash: how long that takes says nothing of a token that hashes to something near
        held = copy.sessions.get(sha256(token))
        if held is None or held.expires_at <= self._now():
            return None
        return self._at_work(copy.by_id.get(held.key_id))

    def start_session(self, key: KnownKey) -> str:
        """Begin a session of SESSION_LIFE, or of the key's life when that is shorter; its token.

        The token is nowhere else. Raises AlmanacError when it cannot be kept.
        """
        token = begin_session(self._store(), key.key_id, key.expires_at, self._now())
        self._look_again()
        return token

    def end_session(self, token: str) -> None:
        """Sign out: the token opens nothing from now on. Any other text is left alone.

        Raises AlmanacError when that cannot be kept.
        """
        if SESSION_FORM.fullmatch(token) is None:
            return
        # another process may have begun it a moment ago; a made-up token costs a look, not the writer's lock
        self._look_again()
        if sha256(token) in self._current().sessions:
            finish_session(self._store(), token, self._now())
            self._look_again()

    def note_use(self, key: KnownKey, at: datetime) -> None:
        """Remember that a key was used (naive UTC); one write a minute for each at most, never an error."""
        self._uses.note(key.key_id, at)

    def write_uses(self) -> None:
        """Write the uses that wait now; otherwise a thread does, a few seconds after each. Never raises."""
        self._uses.write()

    def close(self) -> None:
        """Write the uses that are not written yet, and end the thread that writes them."""
        self._uses.close()

    def _at_work(self, held: _HeldKey | None) -> KnownKey | None:
        if held is None or (held.known.expires_at is not None and held.known.expires_at <= self._now()):
            return None
        return held.known

    # --- the copy

    def _store(self) -> OpsStore:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _current(self) -> _Copy:
        """A copy that may be gone by; AlmanacError when there is none."""
        if self._must_look():
            self._look_once()
        copy = self._copy
        if copy is None or self._uptime() - copy.seen_at > TRUSTED_SECONDS:
            raise AlmanacError(f"Keys of the API cannot be checked. {self._trouble}")
        return copy

    def _must_look(self) -> bool:
        if self._uptime() - self._failed_at <= FRESH_SECONDS:
            return False
        copy = self._copy
        if copy is None or self._changes > self._changes_seen:
            return True
        return self._uptime() - copy.seen_at > FRESH_SECONDS

    def _look_again(self) -> None:
        """Whatever the copy's age, and though the last look failed: what was just done is seen at once."""
        with self._turn:
            self._changes += 1
            self._failed_at = float("-inf")

    def _look_once(self) -> None:
        """Look, or wait for the thread that looks: a second from when it began, then the old copy serves."""
        with self._turn:
            while self._looking_since is not None and self._must_look():
                patience = self._looking_since + FRESH_SECONDS - self._uptime()
                if patience <= 0 or not self._turn.wait(patience):
                    return
            if not self._must_look():
                return
            self._looking_since = self._uptime()
        try:
            self._look()
        finally:
            with self._turn:
                self._looking_since = None
                self._turn.notify_all()

    def _look(self) -> None:
        """Ask the store whether something changed, and read it again if so."""
        began = self._uptime()
        # before reading: a change that is made meanwhile is looked for again
        changes = self._changes
        copy = self._copy
        try:
            with self._store().reading() as connection:
                change = connection.scalar(select(writers.c.token).where(writers.c.name == KEYS))
                if copy is not None and change is not None and change == copy.change:
                    self._copy = replace(copy, seen_at=began)
                    self._changes_seen = changes
                    if began - copy.read_at < _WHOLE_SECONDS:
                        return
                    # half a second for the most keys there can be: the others go on meanwhile
                    with self._turn:
                        self._turn.notify_all()
                self._copy = _read(connection, change, self._now(), began)
                self._changes_seen = changes
        except AlmanacError as error:
            self._trouble = str(error)
            self._failed_at = self._uptime()


def _read(connection: Connection, change: int | None, now: datetime, at: float) -> _Copy:
    by_id = {
        row.key_id: _HeldKey(
            KnownKey(row.key_id, row.prefix, row.name, Scope(row.scope_kind, row.scope_id), row.expires_at),
            row.key_sha256,
        )
        for row in connection.execute(select(keys).where(is_active(now)))
    }
    at_work = select(sessions).where(sessions.c.ended_at.is_(None), sessions.c.expires_at > now)
    newest = at_work.order_by(sessions.c.created_at.desc()).limit(_MOST_SESSIONS)
    return _Copy(
        change=change,
        by_prefix={held.known.prefix: held for held in by_id.values()},
        by_id=by_id,
        sessions={
            row.session_sha256: _HeldSession(row.key_id, row.expires_at) for row in connection.execute(newest)
        },
        read_at=at,
        seen_at=at,
    )
