"""When a key was last used: remembered at once, written by a thread of its own, and lost without a fuss.

No request waits for it, and none fails of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import bindparam, or_, update

from flows.errors import AlmanacError
from flows.ops_store import OpsStore, serving

keys = serving.keys

# A key's use is written once in so long.
PAUSE = timedelta(minutes=1)
# Seconds between two transactions, however many keys are in use.
_GATHER_SECONDS = 5.0
# Keys that are remembered; beyond that all are forgotten, and at worst written a second time in a minute.
_MOST_REMEMBERED = 50_000

# One statement for all: made anew for each of a thousand keys, it held requests up for a tenth of a second.
_WRITE = (
    update(keys)
    .where(
        keys.c.key_id == bindparam("key"),
        # another process may have written meanwhile
        or_(keys.c.last_used_at.is_(None), keys.c.last_used_at <= bindparam("due")),
    )
    .values(last_used_at=bindparam("at"))
)


class KeyUses:
    """Gathers uses of keys and writes them; safe for any number of threads."""

    def __init__(self, store: Callable[[], OpsStore]) -> None:
        self._store = store
        self._lock = threading.Lock()
        # key_id: the last use that was handed on, written or not
        self._noted: dict[int, datetime] = {}
        self._waiting: dict[int, datetime] = {}
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, key_id: int, at: datetime) -> None:
        """Remember that a key was used at a moment (naive UTC). Never waits for the store, never raises."""
        with self._lock:
            before = self._noted.get(key_id)
            # a clock that was set back counts anew
            if before is not None and abs(at - before) < PAUSE:
                return
            if len(self._noted) >= _MOST_REMEMBERED:
                self._noted.clear()
            self._noted[key_id] = self._waiting[key_id] = at
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._write_on, name="almanac-key-uses", daemon=True)
                self._thread.start()
        self._wake.set()

    def write(self) -> int:
        """Write what waits; how many keys' rows moved. What cannot be written is dropped."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return 0
        # in one order, so that two processes do not wait for each other's rows
        rows = [{"key": key_id, "at": at, "due": at - PAUSE} for key_id, at in sorted(waiting.items())]
        try:
            with self._store().transaction() as connection:
                return connection.execute(_WRITE, rows).rowcount
        except AlmanacError:
            return 0

    def close(self) -> None:
        """Write what waits and end the thread; waits at most a second for a store that does not answer."""
        self._closed.set()
        self._wake.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=1)

    def _write_on(self) -> None:
        while not self._closed.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closed.wait(_GATHER_SECONDS)
            self.write()
