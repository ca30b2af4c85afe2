"""The list of runs, and through it: one run at a time, and no stalled run that writes over a newer one.

A run holds a lease that it renews while it lives, and a token that only grows. A lease is taken over when
it has run out, or at once when its process is gone from this machine. Whoever publishes holds the tokens'
lock and has the newest token (a fencing token), so a run that stood still cannot publish when it wakes.

Clocks decide only who may run, never a number. On one machine a lease is measured in seconds since boot,
which no change of the clock moves; between machines (postgres target) in the server's time. A lease cannot
be longer than its length: one that seems to begin later than it could, because a clock was set back, has
run out.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select, update

from flows.errors import AlmanacError, Busy, Fenced
from flows.failpoints import at_rest, failpoint
from flows.ops_store import WRITER, OpsStore, open_ops_store, publications, runs, writers
from flows.process_identity import ProcessIdentity, is_alive, same_boot, this_process
from flows.redaction import redact

if TYPE_CHECKING:
    from flows.settings import Settings

# Signs of life in one lease: several may be lost before it runs out.
HEARTBEATS_PER_LEASE = 6

KEPT_MESSAGE_CHARACTERS = 1000

# Runs whose leftovers are still looked for: crashes while recovering from a crash leave several.
REMEMBERED_CRASHES = 50

# Runs back that may have left something at work; an older one's backends have met their own deadlines.
DEAD_RUNS = 50

# As the shell counts a process that a signal ended, and as the command exits.
_INTERRUPTED, _TERMINATED = 130, 143


@dataclass(frozen=True, slots=True)
class Clock:
    """What leases are measured with; tests set their own."""

    # naive UTC; None: the ops store's
    wall: Callable[[], datetime] | None = None
    # seconds since boot, sleep included where the system counts it, the same for every process
    uptime: Callable[[], float] = lambda: time.clock_gettime(
        getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    )


class ClaimedRun:
    """The run that holds the lease; made by `claimed_run` only."""

    def __init__(
        self, store: OpsStore, run_id: str, token: int, as_of: datetime | None, lease: Lease
    ) -> None:
        self.run_id = run_id
        self.token = token
        self._store = store
        self._as_of = as_of
        self._lease = lease

    @property
    def store(self) -> OpsStore:
        """The ops store that lists the run."""
        return self._store

    def phase(self, name: str) -> None:
        """Begin a step: note its name. Raises Fenced when a newer run took over."""
        with self._store.transaction() as connection:
            self._check(connection)
            connection.execute(update(runs).where(runs.c.run_id == self.run_id).values(phase=name))

    def require_current(self) -> None:
        """Raise Fenced when a newer run took over."""
        with self._store.transaction() as connection:
            self._check(connection)

    @contextmanager
    def publishing(self) -> Iterator[Connection]:
        """Publish in this block: no other run can claim or publish meanwhile, and this one is the newest.

        On PostgreSQL what is done in the given connection, the record of it included, commits as one.
        """
        with self._store.transaction() as connection:
            self._check(connection)
            (publication_id,) = connection.execute(
                insert(publications)
                .values(
                    token=self.token,
                    run_id=self.run_id,
                    as_of=self._as_of,
                    begun_at=self._lease.now(self._store, connection),
                )
                .returning(publications.c.publication_id)
            ).one()
        failpoint("ledger.publication_begun")
        with self._store.transaction() as connection:
            self._check(connection)
            yield connection
            failpoint("ledger.before_publication_recorded")
            connection.execute(
                update(publications)
                .where(publications.c.publication_id == publication_id)
                .values(published_at=self._lease.now(self._store, connection))
            )
        failpoint("ledger.publication_recorded")

    def dead_run_ids(self) -> tuple[str, ...]:
        """The newest runs that ended otherwise than well: what they left at work may be ended."""
        with self._store.transaction() as connection:
            return tuple(
                connection.scalars(
                    select(runs.c.run_id)
                    .where(runs.c.ended_at.is_not(None), runs.c.outcome != "done")
                    .order_by(runs.c.token.desc())
                    .limit(DEAD_RUNS)
                )
            )

    def crashed_runs(self) -> tuple[str, ...]:
        """The ids of the last runs that died, newest first: what they left running may be ended."""
        with self._store.transaction() as connection:
            found = connection.scalars(
                select(runs.c.run_id)
                .where(runs.c.outcome == "crashed")
                .order_by(runs.c.token.desc())
                .limit(REMEMBERED_CRASHES)
            )
            return tuple(found.all())

    def renew(self) -> bool:
        """Give a sign of life; False when the run is no longer listed as running."""
        # a process that is stopped while it renews must not keep its row from the run that takes over
        with self._store.at_once() as connection:
            renewed = connection.execute(
                update(runs)
                .where(runs.c.run_id == self.run_id, runs.c.ended_at.is_(None))
                .values(self._lease.columns(self._store, connection))
            )
            return renewed.rowcount == 1

    def end(self, outcome: str, exit_code: int, message: str) -> None:
        """Note how the run ended; what another run noted of it (crashed) stays."""
        with self._store.transaction() as connection:
            connection.execute(
                update(runs)
                .where(runs.c.run_id == self.run_id, runs.c.ended_at.is_(None))
                .values(
                    ended_at=self._lease.now(self._store, connection),
                    outcome=outcome,
                    exit_code=exit_code,
                    message=redact(message)[:KEPT_MESSAGE_CHARACTERS],
                )
            )

    def _check(self, connection: Connection) -> None:
        newest = _lock_token(connection)
        if newest == self.token:
            return
        newer = connection.scalar(select(runs.c.run_id).where(runs.c.token == newest))
        raise Fenced(
            f"A newer run ({newer}) took over while this one ({self.run_id}) stood still for longer than "
            f"its lease of {self._lease.seconds:g} s. This one stops and writes nothing more."
        )


@contextmanager
def claimed_run(
    settings: Settings, *, kind: str, as_of: datetime | None = None, clock: Clock | None = None
) -> Iterator[ClaimedRun]:
    """Be the only run for as long as the block lasts, and note in the ledger how it ended.

    Raises Busy, naming the run, when another one's lease is live.
    """
    store = open_ops_store(settings)
    run = _claim(store, kind=kind, as_of=as_of, lease=Lease(settings.lease_seconds, clock or Clock()))
    with _heartbeat(run, settings.lease_seconds / HEARTBEATS_PER_LEASE):
        try:
            failpoint("ledger.claimed")
            yield run
            failpoint("ledger.before_end")
        except BaseException as error:
            # the reason why the run failed is not to be lost because the ledger cannot be written either
            with suppress(AlmanacError):
                run.end(*_how_it_ended(error))
            raise
        run.end("done", 0, "")


def _how_it_ended(error: BaseException) -> tuple[str, int, str]:
    """Outcome, exit code and message."""
    if isinstance(error, Fenced):
        return "fenced", error.exit_code, str(error)
    if isinstance(error, AlmanacError):
        return "failed", error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return "cancelled", _INTERRUPTED, "interrupted"
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else 1
        cancelled = code in (_INTERRUPTED, _TERMINATED)
        return ("cancelled" if cancelled else "failed"), code, f"ended with exit code {code}"
    return "failed", 1, f"{type(error).__name__}: {error}"


@contextmanager
def _heartbeat(run: ClaimedRun, every_seconds: float) -> Iterator[None]:
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(every_seconds):
            try:
                with at_rest:
                    if not run.renew():
                        return
            except AlmanacError:
                continue  # the store may answer next time; if not, the lease runs out, as it should

    thread = threading.Thread(target=beat, name="almanac-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # at most for the sign of life that it may be giving; it writes nothing that a dead run could not have
        thread.join(timeout=1)


# --- leases -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lease:
    """How long a sign of life holds, and the clock that says so."""

    seconds: float
    clock: Clock

    def now(self, store: OpsStore, connection: Connection) -> datetime:
        return self.clock.wall() if self.clock.wall else store.now(connection)

    def columns(self, store: OpsStore, connection: Connection) -> dict[str, Any]:
        """What a sign of life given now writes."""
        now = self.now(store, connection)
        return {
            "heartbeat_at": now,
            "lease_until": now + timedelta(seconds=self.seconds),
            "lease_until_uptime": self.clock.uptime() + self.seconds,
        }

    def is_live(self, holder: Any, now: datetime) -> bool:
        """Whether the run of a row of `runs` that has not ended may still be at work."""
        identity = ProcessIdentity(holder.host, holder.pid, holder.process_started)
        if is_alive(identity) is False:
            return False
        if same_boot(identity):
            return bool(self.clock.uptime() < holder.lease_until_uptime)
        length = holder.lease_until - holder.heartbeat_at
        return bool(holder.heartbeat_at - length <= now < holder.lease_until)


def _claim(store: OpsStore, *, kind: str, as_of: datetime | None, lease: Lease) -> ClaimedRun:
    with store.transaction() as connection:
        newest = _lock_token(connection)
        now = lease.now(store, connection)
        for holder in connection.execute(select(runs).where(runs.c.ended_at.is_(None))).all():
            if lease.is_live(holder, now):
                raise Busy(
                    f"Another run is writing to {store.place}: {holder.kind} {holder.run_id} "
                    f"({holder.phase}), process {holder.pid} on {holder.host}, "
                    f"since {holder.started_at:%Y-%m-%d %H:%M:%S} UTC. "
                    "Wait for it to end, then try again.",
                    holder_kind=holder.kind,
                )
            _mark_crashed(connection, holder, now)
        token = newest + 1
        run_id = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        connection.execute(update(writers).where(writers.c.name == WRITER).values(token=token))
        process = this_process()
        connection.execute(
            insert(runs).values(
                run_id=run_id,
                kind=kind,
                as_of=as_of,
                token=token,
                phase="claimed",
                started_at=now,
                host=process.host,
                pid=process.pid,
                process_started=process.started,
                **lease.columns(store, connection),
            )
        )
    return ClaimedRun(store, run_id, token, as_of, lease)


def _mark_crashed(connection: Connection, holder: Any, now: datetime) -> None:
    connection.execute(
        update(runs)
        .where(runs.c.run_id == holder.run_id)
        .values(
            ended_at=now,
            outcome="crashed",
            message=f"gave no sign of life after {holder.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC",
        )
    )


def _lock_token(connection: Connection) -> int:
    """The newest token; nobody else can claim or publish until the transaction ends."""
    token = connection.scalar(select(writers.c.token).where(writers.c.name == WRITER).with_for_update())
    if token is None:
        raise AlmanacError(
            "The ops store has lost its row of tokens: its table `writers` is empty. Restore it."
        )
    return int(token)
