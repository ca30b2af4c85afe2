"""The data folder's one writer: how every command that writes begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from flows.leftovers import collect_leftovers
from flows.preflight import full_disk_explained
from flows.run_ledger import ClaimedRun, claimed_run
from flows.settings import Settings

# These may be followed by `almanac publish`, or are it: an audited build must outlive them.
_KEEPING_BUILDS = frozenset({"land", "publish", "review"})


@contextmanager
def only_writer(settings: Settings, *, kind: str, as_of: datetime | None = None) -> Iterator[ClaimedRun]:
    """Hold the lease, with what dead runs left removed; or raise Busy (exit code 75) and do nothing."""
    with claimed_run(settings, kind=kind, as_of=as_of) as run, full_disk_explained(settings):
        collect_leftovers(settings, builds=kind not in _KEEPING_BUILDS)
        yield run
