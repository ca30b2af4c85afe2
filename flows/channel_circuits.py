"""The circuit of each channel: one that fails again and again is left alone for a while, whoever sends.

After FAILURES failures in a row (no connection, no answer, an answer 5xx) it is open for FIRST_OPEN; then one
message is tried: taken or refused, the circuit is closed; otherwise it is open for twice as long, up to
LONGEST_OPEN. A channel that asked to be left alone (429) rests in the same way, without being at fault. The
state is in the ops store, so that it holds for every process, and moves in the transactions of the outbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flows.errors import AlmanacError
from flows.ops_store import deliveries

if TYPE_CHECKING:
    from flows.ops_store import OpsStore

circuits = deliveries.channel_circuits

FAILURES = 5
FIRST_OPEN = timedelta(minutes=5)
LONGEST_OPEN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Circuit:
    """How a channel stands. `is_trial`: the row at work is the one message that is tried."""

    channel: str
    failure_count: int
    open_until: datetime | None
    wait_seconds: int | None
    closed_at: datetime | None
    last_error: str | None
    is_trial: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it is at fault; otherwise it rests because it asked to."""
        return self.wait_seconds is not None

    def told(self, now: datetime) -> str:
        """For people: what is the matter with it, and until when."""
        until = f"until {self.open_until:%Y-%m-%d %H:%M} UTC" if self.open_until else ""
        if not self.is_open:
            return f"asked to be left alone {until} ({self.last_error})"
        failed = f"it failed {self.failure_count} times in a row"
        if self.open_until is None or self.open_until <= now:
            return f"{failed} ({self.last_error}); the next message tries it"
        return f"{failed} and is left alone {until} ({self.last_error})"


class CircuitBook:
    """The circuits as one sender uses them, in its transactions; moments are naive UTC.

    `lease`: how long the trial of a sender that died blocks the next; `longest_rest`: what a channel may ask.
    """

    def __init__(self, lease: timedelta, longest_rest: timedelta) -> None:
        self._lease = lease
        self._furthest = max(lease, longest_rest, LONGEST_OPEN) * 1.2

    def at_rest(self, connection: Connection, now: datetime) -> Mapping[str, Circuit]:
        """The channels to which nothing may be sent now.

        Circuits that are open stay locked until the transaction ends: two senders do not both try one.
        """
        rows = connection.execute(
            select(circuits).where(circuits.c.open_until.is_not(None)).with_for_update()
        )
        return {row.channel: Circuit(*row) for row in rows if not self._is_over(row.open_until, now)}

    def claim(self, connection: Connection, channel: str, now: datetime) -> Circuit | None:
        """The circuit of a channel about to be used; when it was open, this use is the one trial."""
        row = connection.execute(select(circuits).where(circuits.c.channel == channel)).first()
        if row is None:
            return None
        if row.open_until is None:
            return Circuit(*row)
        until = now + self._lease
        connection.execute(update(circuits).where(circuits.c.channel == channel).values(open_until=until))
        return Circuit(
            channel, row.failure_count, until, row.wait_seconds, row.closed_at, row.last_error, True
        )

    def let_go(self, store: OpsStore, channel: str, circuit: Circuit | None) -> None:
        """End a trial that came to no outcome, so that another message may be tried."""
        if circuit is None or not circuit.is_trial:
            return
        assert circuit.open_until is not None
        # otherwise it ends with the lease
        with suppress(AlmanacError), store.transaction() as connection:
            connection.execute(
                update(circuits)
                .where(circuits.c.channel == channel, circuits.c.open_until == circuit.open_until)
                .values(open_until=circuit.open_until - self._lease)
            )

    def note_answer(
        self, connection: Connection, channel: str, circuit: Circuit | None, now: datetime
    ) -> None:
        """The channel took or refused a message: it works. `circuit`: what `claim` gave."""
        if circuit is None or not (circuit.failure_count or circuit.open_until):
            return
        close_circuit(connection, channel, now)

    def note_failure(
        self, connection: Connection, channel: str, circuit: Circuit | None, now: datetime, why: str
    ) -> datetime | None:
        """The channel failed. Until when it is open because of that; None when it is not open."""
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        row = connection.execute(
            dialect.insert(circuits)
            .values(channel=channel, failure_count=1, last_error=why)
            .on_conflict_do_update(
                index_elements=[circuits.c.channel],
                set_={"failure_count": circuits.c.failure_count + 1, "last_error": why},
            )
            .returning(circuits)
        ).one()
        is_trial = circuit is not None and circuit.is_trial
        if row.failure_count < FAILURES and not (is_trial and row.wait_seconds):
            # a rest that was asked for is over
            if is_trial:
                connection.execute(
                    update(circuits).where(circuits.c.channel == channel).values(open_until=None)
                )
            return None
        if row.wait_seconds is not None and not is_trial:
            # handed over before others found that it is at fault
            until: datetime | None = row.open_until
            return until
        seconds = int(FIRST_OPEN.total_seconds())
        if row.wait_seconds is not None:
            seconds = min(2 * row.wait_seconds, int(LONGEST_OPEN.total_seconds()))
        until = now + timedelta(seconds=seconds)
        connection.execute(
            update(circuits)
            .where(circuits.c.channel == channel)
            .values(open_until=until, wait_seconds=seconds)
        )
        return until

    def rest(self, connection: Connection, channel: str, now: datetime, wait: timedelta, why: str) -> None:
        """The channel asked to be left alone for a while: it works, and nothing is sent meanwhile."""
        close_circuit(connection, channel, now)
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        values = {"failure_count": 0, "open_until": now + wait, "wait_seconds": None, "last_error": why}
        connection.execute(
            dialect.insert(circuits)
            .values(channel=channel, **values)
            .on_conflict_do_update(index_elements=[circuits.c.channel], set_=values)
        )

    def _is_over(self, open_until: datetime, now: datetime) -> bool:
        # one that seems further ahead than can be was written before the clock was set back
        return open_until <= now or open_until > now + self._furthest


def close_circuit(connection: Connection, channel: str, now: datetime) -> None:
    """The channel works: nothing keeps it from being used any more."""
    row = connection.execute(select(circuits).where(circuits.c.channel == channel)).first()
    if row is None:
        return
    connection.execute(
        update(circuits)
        .where(circuits.c.channel == channel)
        .values(
            failure_count=0,
            open_until=None,
            wait_seconds=None,
            last_error=None,
            closed_at=now if row.wait_seconds is not None else row.closed_at,
        )
    )


def open_circuits(connection: Connection) -> list[Circuit]:
    """The channels that are at fault now, by name."""
    rows = connection.execute(
        select(circuits).where(circuits.c.wait_seconds.is_not(None)).order_by(circuits.c.channel)
    )
    return [Circuit(*row) for row in rows]
