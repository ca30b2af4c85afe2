"""The data folder's one writer: how every command that writes begins."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

from flows.errors import Busy
from flows.leftovers import collect_leftovers
from flows.preflight import full_disk_explained
from flows.run_ledger import ClaimedRun, claimed_run
from flows.settings import Settings

# These may be followed by `almanac publish`, or are it: an audited build must outlive them.
_KEEPING_BUILDS = frozenset({"land", "publish", "review", "check"})

# Takes seconds and comes every quarter of an hour: no night may be lost to it.
CHECK = "check"
CHECK_SECONDS = 180
_POLL_SECONDS = 1.0


@contextmanager
def only_writer(settings: Settings, *, kind: str, as_of: datetime | None = None) -> Iterator[ClaimedRun]:
    """Hold the lease, with what dead runs left removed; or raise Busy (exit code 75) and do nothing.

    A check of alerts is waited for, up to CHECK_SECONDS.
    """
    with ExitStack() as held:
        run = _claim(held, settings, kind, as_of)
        held.enter_context(full_disk_explained(settings))
        collect_leftovers(settings, builds=kind not in _KEEPING_BUILDS)
        yield run


def _claim(held: ExitStack, settings: Settings, kind: str, as_of: datetime | None) -> ClaimedRun:
    deadline = time.monotonic() + CHECK_SECONDS
    while True:
        try:
            return held.enter_context(claimed_run(settings, kind=kind, as_of=as_of))
        except Busy as busy:
            if busy.holder_kind != CHECK or kind == CHECK or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS)
