"""What probes found, kept in the ops store; and beside it, while the store itself cannot be reached.

The ops store of the postgres target lies in a database that may be what is down. What cannot be written then
waits in a file of the data folder, and goes in with the next round: the outage is not a gap.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sqlalchemy import Connection, and_, func, insert, select

from flows.errors import AlmanacError
from flows.failpoints import failpoint
from flows.ops_store import OpsStore, open_ops_store, probing
from flows.probe_results import ProbeResult, ProbeVerdict

if TYPE_CHECKING:
    from flows.health import Round
    from flows.settings import Settings

probes = probing.probes

# A probe says something until so many intervals have passed without another one.
FRESH_INTERVALS = 3
# Rounds for which a component that is not up is news.
NEWS_ROUNDS = 10
# That the clocks of two machines may differ by.
CLOCK_SLACK = timedelta(minutes=1)
# Bytes of what waits: at 30 seconds and four components about two weeks.
LARGEST_FILE = 32 * 2**20
_COLUMNS = ("component", "checked_at", "verdict", "latency_ms", "reason", "is_required", "interval_seconds")


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many probes are new in the store, and whether somebody should look at the alerts now."""

    count: int
    has_news: bool


def record(settings: Settings, one: Round) -> Recorded:
    """Write a round, and what has waited since the store was away.

    Raises AlmanacError when the store cannot be used; the round then waits in a file, and nothing is lost.
    """
    rows = [_row(one, result) for result in one.results]
    try:
        store = open_ops_store(settings)
        with _waiting(settings) as file:
            waited = list(_read(file))
            with store.transaction() as connection:
                count = _write(connection, [*waited, *rows])
                has_news = _has_news(connection, one)
            failpoint("probes.recorded")
            file.truncate(0)
    except AlmanacError as error:
        with _waiting(settings) as file:
            where = _append(settings, file, rows)
        raise AlmanacError(f"{error}\nThe probes wait in {where} for the next round.") from None
    return Recorded(count, has_news)


def latest(store: OpsStore, now: datetime) -> list[tuple[datetime, ProbeResult, int]]:
    """The newest probe of each component at `now`: when, what it found, and its interval in seconds.

    One of the future was made by a clock that was wrong, and says nothing of now.
    """
    # component by component through the index: the table grows by millions of rows a year
    names = select(func.min(probes.c.component).label("component")).cte("names", recursive=True)
    following = select(func.min(probes.c.component)).where(probes.c.component > names.c.component)
    names = names.union_all(select(following.scalar_subquery()).where(names.c.component.is_not(None)))
    until_now = select(func.max(probes.c.checked_at)).where(
        probes.c.component == names.c.component, probes.c.checked_at <= now + CLOCK_SLACK
    )
    newest = select(names.c.component, until_now.scalar_subquery().label("checked_at")).subquery()
    query = (
        select(probes)
        .join(
            newest,
            and_(probes.c.component == newest.c.component, probes.c.checked_at == newest.c.checked_at),
        )
        .order_by(probes.c.component, probes.c.probe_id)
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
    # of two probers at one moment the later word counts
    return list(
        {
            row.component: (
                row.checked_at,
                ProbeResult(
                    row.component, row.is_required, ProbeVerdict(row.verdict), row.latency_ms, row.reason
                ),
                row.interval_seconds,
            )
            for row in rows
        }.values()
    )


def _has_news(connection: Connection, one: Round) -> bool:
    """Whether a component has just ceased to be up, or has just come back.

    What has been bad for NEWS_ROUNDS is no news: the checks between nights look at it, too.
    """
    for result in one.results:
        verdicts = connection.scalars(
            select(probes.c.verdict)
            .where(
                probes.c.component == result.component,
                probes.c.checked_at <= one.checked_at,
            )
            .order_by(probes.c.checked_at.desc(), probes.c.probe_id.desc())
            .limit(NEWS_ROUNDS + 1)
        ).all()
        is_up = [verdict == ProbeVerdict.up for verdict in verdicts]
        if is_up[:1] == [True]:
            if False in is_up[1:2]:
                return True
        elif True in is_up or len(is_up) <= NEWS_ROUNDS:
            return True
    return False


def _write(connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
    """Add what is not there yet: a process may have died after it wrote what had waited."""
    known = set()
    if rows:
        first = min(row["checked_at"] for row in rows)
        known = {
            (row.component, row.checked_at)
            for row in connection.execute(
                select(probes.c.component, probes.c.checked_at).where(probes.c.checked_at >= first)
            )
        }
    new = [row for row in rows if (row["component"], row["checked_at"]) not in known]
    if new:
        connection.execute(insert(probes), new)
    return len(new)


def _row(one: Round, result: ProbeResult) -> dict[str, Any]:
    return {
        "component": result.component,
        "checked_at": one.checked_at,
        "verdict": str(result.verdict),
        "latency_ms": result.latency_ms,
        "reason": result.reason,
        "is_required": result.is_required,
        "interval_seconds": one.interval_seconds,
    }


def waiting_path(settings: Settings) -> Path:
    """Where probes wait for the store."""
    return settings.data_dir / "probes-waiting.jsonl"


@contextmanager
def _waiting(settings: Settings) -> Iterator[BinaryIO]:
    """The file of what waits, held by one process at a time."""
    path = waiting_path(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise AlmanacError(
            f"{path} cannot be written: {error.strerror}. Set ALMANAC_DATA_DIR to a folder of yours."
        ) from None
    with os.fdopen(handle, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _read(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """What waits; a line that a killed process left half is none."""
    file.seek(0)
    for line in file.read().splitlines():
        try:
            row = json.loads(line)
            row["checked_at"] = datetime.fromisoformat(row["checked_at"])
            yield {name: row[name] for name in _COLUMNS}
        except (ValueError, KeyError, TypeError):
            continue


def _append(settings: Settings, file: BinaryIO, rows: Sequence[dict[str, Any]]) -> Path:
    path = waiting_path(settings)
    size = file.seek(0, os.SEEK_END)
    lines = "".join(
        json.dumps(row | {"checked_at": row["checked_at"].isoformat()}, allow_nan=False) + "\n"
        for row in rows
    )
    if size + len(lines) > LARGEST_FILE:
        raise AlmanacError(f"{path} is full: this round is lost. Bring the ops store back.")
    try:
        if size:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                lines = "\n" + lines
        file.write(lines.encode())
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise AlmanacError(
            f"{path} cannot be written: {error.strerror}. This round is lost; make room on its disk."
        ) from None
    return path


def is_fresh(checked_at: datetime, interval_seconds: int, now: datetime) -> bool:
    """Whether what a probe found still says something: until three more were due and none came."""
    return now - checked_at <= FRESH_INTERVALS * timedelta(seconds=interval_seconds)
