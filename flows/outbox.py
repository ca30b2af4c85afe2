"""The outbox: what is to be sent to whom, and what became of it.

A row is one message for one recipient of one edition; a second row for the same cannot exist. Its states:
`pending` (to be sent, perhaps later), `sending` (handed over, not yet confirmed), `sent`, `dead` (will never
be taken), `unknown` (handed over, never confirmed). An unknown message is sent once more, after a while, with
the same id, and a mail with a mark in its subject; it is never dropped in silence, and never sent a third
time.

A channel that fails again and again is left alone for a while (flows.channel_circuits); what waits for it
meanwhile uses up neither attempts nor time.
"""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flows.archive import Edition, keep_document, media_type_of, read_document
from flows.channel_circuits import Circuit, CircuitBook
from flows.channels import MAIL, Channel, ChannelDown, NobodyKnows, Parcel, Refused, TryLater
from flows.errors import AlmanacError
from flows.failpoints import failpoint
from flows.ops_store import OpsStore, deliveries
from flows.redaction import redact
from flows.unsubscribes import is_unsubscribed

outbox = deliveries.outbox

STATES = ("pending", "sending", "sent", "dead", "unknown")
# The kinds of what operators are told; nobody unsubscribes from them.
HELD = "held"
ALERT = "alert"

LEASE = timedelta(minutes=15)  # longer than any message may take, its connection included
GRACE = timedelta(minutes=15)  # before an unconfirmed message is sent once more
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=6)  # also of what a receiver may ask for
GIVE_UP_AFTER = timedelta(hours=24)
# before that: a message that waited a day for a server that was away is not lost to its first "try later"
FEWEST_ATTEMPTS = 5
# A run waits for a channel that asked to be left alone for no longer than this, and no more often.
LONGEST_REST = timedelta(minutes=1)
MOST_RESTS = 5
# No row is due later than this; one that seems to be was written by a clock that has been set back since.
_FURTHEST_WAIT = LONGEST_WAIT * 1.2
# Seconds between the tries to note that a message was taken: an answer that is lost here makes a duplicate.
_NOTING_WAITS = (0.0, 1.0, 5.0, 20.0)
DUPLICATE_MARK = b"[may be a duplicate] "

_SUBJECT = re.compile(rb"(?im)^subject:[ ]?")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to be put into the outbox."""

    kind: str
    scope: str
    period: str
    edition: int
    recipient: str
    channel: str
    message_id: str
    content: bytes
    media_type: str = MAIL


@dataclass(slots=True)
class DeliveryReport:
    """What one run of a sender did."""

    sent: int = 0
    retried: int = 0
    dead: int = 0
    unknown: int = 0
    # by channel: why it took nothing
    channels_down: dict[str, str] = field(default_factory=dict)
    # by channel: that it asked to be left alone, and until when
    resting: dict[str, str] = field(default_factory=dict)
    # one line each, for operators
    troubles: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not (self.dead or self.unknown or self.channels_down)

    def __str__(self) -> str:
        counts = [f"{self.sent} sent"]
        for count, word in ((self.retried, "to try again"), (self.dead, "dead"), (self.unknown, "unknown")):
            if count:
                counts.append(f"{count} {word}")
        lines = [", ".join(counts)]
        lines += [f"channel {name} is down: {why}" for name, why in self.channels_down.items()]
        lines += [f"channel {name} {why}" for name, why in self.resting.items()]
        return "\n".join([*lines, *self.troubles[:10]])


def enqueue(connection: Connection, now: datetime, entries: Sequence[Delivery]) -> int:
    """Put messages into the outbox, in the caller's transaction; one that is there already stays as it is.

    Returns how many are new.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    added = 0
    for entry in entries:
        statement = (
            dialect.insert(outbox)
            .values(
                kind=entry.kind,
                scope=entry.scope,
                period=entry.period,
                edition=entry.edition,
                recipient=entry.recipient,
                channel=entry.channel,
                message_sha256=keep_document(connection, entry.media_type, entry.content),
                message_id=entry.message_id,
                state="pending",
                attempt_count=0,
                is_resend=False,
                due_at=now,
                created_at=now,
            )
            .on_conflict_do_nothing()
            .returning(outbox.c.delivery_id)
        )
        added += len(connection.execute(statement).fetchall())
    return added


def deliver(
    store: OpsStore,
    channels: Mapping[str, Channel],
    *,
    now: Callable[[Connection], datetime] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    grace: timedelta = GRACE,
    limit: int = 100_000,
) -> DeliveryReport:
    """Send what is due, one message at a time; any number of senders may do so at once.

    A channel that is down is left alone for the rest of the run, its rows as they were; one that is not among
    `channels` is reported when rows wait for it, and one that asks for a short rest is waited for. `limit`
    bounds the messages of one run, `now` is the clock (naive UTC; the store's own by default). Raises
    AlmanacError when the store cannot be used.
    """
    sender = _Sender(store, channels, now or store.now, sleep, grace)
    try:
        rests = 0
        for _ in range(limit):
            if sender.send_one():
                continue
            rest = sender.shortest_rest() if rests < MOST_RESTS else None
            if rest is None or rest > LONGEST_REST:
                break
            rests += 1
            sleep(rest.total_seconds())
        sender.look_for_other_channels()
        sender.tell_of_circuits()
    finally:
        for channel in channels.values():
            channel.close()
    return sender.report


def waiting(connection: Connection) -> dict[str, int]:
    """How many rows are in each state."""
    rows = connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))
    return {str(state): int(count) for state, count in rows}


def entries(connection: Connection, *, state: str | None = None, limit: int = 1000) -> list[Any]:
    """Rows of the outbox, newest first."""
    query = select(outbox).order_by(outbox.c.delivery_id.desc()).limit(limit)
    return list(connection.execute(query if state is None else query.where(outbox.c.state == state)))


def deliveries_of(connection: Connection, edition: Edition) -> list[Any]:
    """The rows of one edition, by recipient."""
    return list(
        connection.execute(
            select(outbox)
            .where(
                outbox.c.kind == edition.kind,
                outbox.c.scope == edition.scope,
                outbox.c.period == edition.period,
                outbox.c.edition == edition.edition,
            )
            .order_by(outbox.c.recipient)
        )
    )


class _Overtaken(Exception):
    """Another sender holds the row: this one stood still for longer than its lease."""


class _Sender:
    """One sender's turn: claims a row, sends it, notes what came of it, and again."""

    def __init__(
        self,
        store: OpsStore,
        channels: Mapping[str, Channel],
        now: Callable[[Connection], datetime],
        sleep: Callable[[float], None],
        grace: timedelta,
    ) -> None:
        self._store = store
        self._channels = channels
        self._now = now
        self._sleep = sleep
        self._grace = grace
        self._holder = uuid.uuid4().hex
        self._circuits = CircuitBook(LEASE, LONGEST_WAIT)
        # of the channel of the row at work, as it was when the row was claimed
        self._circuit: Circuit | None = None
        self.report = DeliveryReport()

    def send_one(self) -> bool:
        """Whether there was a row to work on."""
        row = self._claim()
        if row is None:
            return False
        try:
            self._work_on(row)
        finally:
            self._circuits.let_go(self._store, row.channel, self._circuit)
        return True

    def _work_on(self, row: Any) -> None:
        failpoint("outbox.claimed")
        try:
            parcel = self._parcel(row)
        except AlmanacError as damaged:
            # a document that the archive lost holds up nobody else's
            if row.state == "sending":
                self._doubt(row, NobodyKnows(str(damaged)))
            else:
                self._retry(row, TryLater(str(damaged)))
            return
        if parcel is None:
            return
        channel = self._channels[row.channel]
        if row.state == "sending":
            self._settle_abandoned(row, parcel, channel)
            return
        try:
            channel.send(parcel, lambda: self._hand_over(row))
        except _Overtaken:
            pass  # the row is the other sender's now
        except ChannelDown as down:
            with self._store.transaction() as connection:
                # as it was, whatever handing over has made of it
                self._update(
                    connection,
                    row,
                    state=row.state,
                    is_resend=row.is_resend,
                    attempt_count=row.attempt_count,
                )
                if down.is_outage:
                    self._note_failure(connection, row, str(down))
            self.report.channels_down[row.channel] = str(down)
        except TryLater as later:
            self._retry(row, later, was_tried=True)
        except Refused as refused:
            self._bury(row, str(refused))
        except NobodyKnows as nobody:
            self._doubt(row, nobody)
        else:
            failpoint("outbox.taken")
            self._note_sent(row)
            failpoint("outbox.marked")

    def look_for_other_channels(self) -> None:
        """Report rows that wait for a channel that is not set up, and give up alerts that did for a day."""
        waits_in_vain = and_(
            outbox.c.channel.not_in(list(self._channels)),
            or_(
                outbox.c.state.in_(("pending", "sending")),
                and_(outbox.c.state == "unknown", outbox.c.is_resend.is_(False)),
            ),
        )
        with self._store.transaction() as connection:
            now = self._now(connection)
            is_old = and_(
                waits_in_vain,
                outbox.c.kind == ALERT,
                outbox.c.created_at <= now - GIVE_UP_AFTER,
                _is_free(now),
            )
            self._give_up_other_channels(connection, is_old)
            rows = connection.execute(
                select(outbox.c.channel, func.count()).where(waits_in_vain).group_by(outbox.c.channel)
            )
            for channel, count in rows:
                self.report.channels_down[channel] = f"it is not set up, and {count} messages wait for it"

    def _give_up_other_channels(self, connection: Connection, is_old: ColumnElement[bool]) -> None:
        # what may have arrived stays in doubt
        ends = {"dead": outbox.c.state == "pending", "unknown": outbox.c.state.in_(("sending", "unknown"))}
        given_up: Counter[str] = Counter()
        for end, is_so in ends.items():
            changed = connection.execute(
                update(outbox)
                .where(is_old, is_so)
                .values(
                    state=end,
                    is_resend=end == "unknown",
                    last_error="its channel is not set up any more",
                    lease_until=None,
                    lease_holder=None,
                )
                .returning(outbox.c.channel)
            )
            channels = [row.channel for row in changed]
            given_up.update(channels)
            self.report.dead += len(channels) if end == "dead" else 0
            self.report.unknown += len(channels) if end == "unknown" else 0
        for channel, count in sorted(given_up.items()):
            self.report.troubles.append(
                f"channel {channel} is not set up any more: {count} alerts that waited for a day are given up"
            )

    def tell_of_circuits(self) -> None:
        """Report channels that are left alone while messages wait for them."""
        with self._store.transaction() as connection:
            now = self._now(connection)
            for circuit in self._circuits.at_rest(connection, now).values():
                count = connection.scalar(
                    select(func.count()).where(
                        outbox.c.channel == circuit.channel,
                        or_(
                            outbox.c.state == "pending",
                            and_(outbox.c.state == "unknown", outbox.c.is_resend.is_(False)),
                        ),
                    )
                )
                if count and circuit.channel in self._channels:
                    told = self.report.channels_down if circuit.is_open else self.report.resting
                    told[circuit.channel] = f"{circuit.told(now)}; {count} messages wait for it"

    def _note_failure(self, connection: Connection, row: Any, why: str) -> datetime | None:
        """Until when its channel is left alone because of it; None when it is not."""
        return self._circuits.note_failure(
            connection, row.channel, self._circuit, self._now(connection), redact(why)
        )

    def _claim(self) -> Any:
        with self._store.transaction() as connection:
            now = self._now(connection)
            at_rest = self._circuits.at_rest(connection, now)
            usable = [
                name
                for name in self._channels
                if name not in self.report.channels_down and name not in at_rest
            ]
            query = (
                select(outbox)
                .where(outbox.c.channel.in_(usable), _is_free(now), self._is_due(now))
                .order_by(outbox.c.due_at, outbox.c.delivery_id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            row = connection.execute(query).first()
            if row is not None:
                connection.execute(
                    update(outbox)
                    .where(outbox.c.delivery_id == row.delivery_id)
                    .values(lease_until=now + LEASE, lease_holder=self._holder)
                )
                self._circuit = self._circuits.claim(connection, row.channel, now)
            return row

    def shortest_rest(self) -> timedelta | None:
        """How long until something can be sent over a channel that asked to be left alone; None: nothing."""
        with self._store.transaction() as connection:
            now = self._now(connection)
            rests = {
                circuit.channel: circuit.open_until - now
                for circuit in self._circuits.at_rest(connection, now).values()
                if circuit.open_until is not None
                and not circuit.is_open
                and circuit.channel in self._channels
                and circuit.channel not in self.report.channels_down
            }
            ready = connection.scalars(
                select(outbox.c.channel)
                .where(outbox.c.channel.in_(list(rests)), _is_free(now), self._is_due(now))
                .distinct()
            )
            return min((rests[channel] for channel in ready), default=None)

    def _is_due(self, now: datetime) -> ColumnElement[bool]:
        is_time = _is_over(outbox.c.due_at, now, max(_FURTHEST_WAIT, self._grace))
        # unknown: once more when its grace is over; abandoned while handed over: unknown from now on
        return or_(
            and_(outbox.c.state == "pending", is_time),
            and_(outbox.c.state == "unknown", outbox.c.is_resend.is_(False), is_time),
            outbox.c.state == "sending",
        )

    def _parcel(self, row: Any) -> Parcel | None:
        """What is sent; None when its recipient has left since."""
        with self._store.transaction() as connection:
            if row.kind not in (HELD, ALERT) and is_unsubscribed(connection, row.recipient, row.kind):
                self._update(connection, row, state="dead", last_error="unsubscribed")
                return None
            content = read_document(connection, row.message_sha256)
            media_type = media_type_of(connection, row.message_sha256) or MAIL
        if row.state == "unknown" and media_type == MAIL:
            content = _SUBJECT.sub(lambda found: found[0] + DUPLICATE_MARK, content, count=1)
        return Parcel(
            row.kind,
            row.scope,
            row.period,
            row.edition,
            row.recipient,
            row.message_id,
            content,
            media_type,
        )

    def _hand_over(self, row: Any) -> None:
        """The last moment at which nothing has left; from here on a crash leaves a doubt."""
        with self._store.transaction() as connection:
            is_ours = self._update(
                connection,
                row,
                lease_until=self._now(connection) + LEASE,
                state="sending",
                attempt_count=row.attempt_count + 1,
                is_resend=row.state == "unknown",
            )
        if not is_ours:
            raise _Overtaken
        failpoint("outbox.handed_over")

    def _settle_abandoned(self, row: Any, parcel: Parcel, channel: Channel) -> None:
        """A sender died between handing over and noting the answer."""
        was_taken = channel.was_taken(parcel)
        if was_taken:
            self._note_sent(row)
        elif was_taken is False:
            self._set(row, state="pending", is_resend=False)
        else:
            self._doubt(row, NobodyKnows("the sender ended before the server's answer was noted"))

    def _retry(self, row: Any, later: TryLater, *, was_tried: bool = False) -> None:
        """Put a message off; `was_tried`: the channel has said so, not the archive."""
        why = str(later)
        attempt = row.attempt_count + 1
        with self._store.transaction() as connection:
            now = self._now(connection)
            wanted = min(later.wait or timedelta(0), LONGEST_WAIT)
            opened_until = None
            due_at = now + max(_wait(row.delivery_id, attempt), wanted)
            if was_tried and later.is_outage:
                opened_until = self._note_failure(connection, row, why)
            elif was_tried and later.wait is not None:
                self._circuits.rest(connection, row.channel, now, wanted, redact(why))
                # all of the channel waits, and nothing overtakes what was first
                due_at = row.due_at
            elif was_tried:
                self._circuits.note_answer(connection, row.channel, self._circuit, now)
            if opened_until is not None and self._circuit is not None and self._circuit.is_trial:
                # the trial of a channel that is still at fault: no failure of the message
                self._update(
                    connection,
                    row,
                    state="unknown" if row.state == "unknown" else "pending",
                    is_resend=False,
                    attempt_count=row.attempt_count,
                    due_at=opened_until,
                    last_error=redact(why),
                )
                self.report.retried += 1
                return
            worked_since = row.created_at
            if self._circuit is not None and self._circuit.closed_at is not None:
                worked_since = max(worked_since, self._circuit.closed_at)
            if now - worked_since >= GIVE_UP_AFTER and attempt >= FEWEST_ATTEMPTS:
                # what may have arrived stays in doubt
                is_doubtful = row.state == "unknown"
                self._update(
                    connection,
                    row,
                    state=row.state if is_doubtful else "dead",
                    is_resend=is_doubtful,
                    attempt_count=attempt,
                    last_error=redact(why),
                )
                self.report.unknown += is_doubtful
                self.report.dead += not is_doubtful
                self.report.troubles.append(f"{row.recipient}: given up after {attempt} attempts: {why}")
                return
            self._update(
                connection,
                row,
                # a resend that is put off stays what it is
                state="unknown" if row.state == "unknown" else "pending",
                is_resend=False,
                attempt_count=attempt,
                due_at=due_at,
                last_error=redact(why),
            )
        self.report.retried += 1

    def _bury(self, row: Any, why: str) -> None:
        with self._store.transaction() as connection:
            self._update(
                connection, row, state="dead", attempt_count=row.attempt_count + 1, last_error=redact(why)
            )
            # whoever refuses is there
            self._circuits.note_answer(connection, row.channel, self._circuit, self._now(connection))
        self.report.dead += 1
        self.report.troubles.append(f"{row.recipient}: {why}")

    def _doubt(self, row: Any, nobody: NobodyKnows) -> None:
        why = str(nobody)
        with self._store.transaction() as connection:
            if nobody.is_outage:
                self._note_failure(connection, row, why)
            due_at = self._now(connection) + self._grace
            self._update(connection, row, state="unknown", due_at=due_at, last_error=redact(why))
        self.report.unknown += 1
        self.report.troubles.append(f"{row.recipient}: nobody knows whether it arrived: {why}")

    def _note_sent(self, row: Any) -> None:
        """Note the server's word, which outweighs what others made of this sender's silence."""
        for wait in _NOTING_WAITS:
            self._sleep(wait)
            try:
                with self._store.transaction() as connection:
                    self._circuits.note_answer(connection, row.channel, self._circuit, self._now(connection))
                    connection.execute(
                        update(outbox)
                        .where(
                            outbox.c.delivery_id == row.delivery_id,
                            or_(outbox.c.lease_holder == self._holder, outbox.c.lease_holder.is_(None)),
                        )
                        .values(
                            state="sent",
                            sent_at=self._now(connection),
                            last_error=None,
                            lease_until=None,
                            lease_holder=None,
                        )
                    )
            except AlmanacError:
                if wait == _NOTING_WAITS[-1]:
                    raise
            else:
                break
        self.report.sent += 1

    def _set(self, row: Any, **values: Any) -> None:
        with self._store.transaction() as connection:
            self._update(connection, row, **values)

    def _update(self, connection: Connection, row: Any, **values: Any) -> bool:
        """Whether the row was still this sender's: whoever lost the lease decides nothing any more."""
        if "lease_until" not in values:
            values |= {"lease_until": None, "lease_holder": None}
        changed = connection.execute(
            update(outbox)
            .where(outbox.c.delivery_id == row.delivery_id, outbox.c.lease_holder == self._holder)
            .values(**values)
        )
        return changed.rowcount == 1


def _is_free(now: datetime) -> ColumnElement[bool]:
    """Whether no sender is at work on a row."""
    # what seems further ahead than can be was written before the clock was set back; by a second or a minute,
    # as clocks are corrected, does not end the lease of a sender that is at work
    return or_(outbox.c.lease_until.is_(None), _is_over(outbox.c.lease_until, now, 2 * LEASE))


def _is_over(moment: ColumnElement[datetime], now: datetime, longest: timedelta) -> ColumnElement[bool]:
    """Whether a moment that lay at most `longest` ahead has come."""
    return or_(moment <= now, moment > now + longest)


def _wait(delivery_id: int, attempt: int) -> timedelta:
    """Twice as long each time, a fifth more or less by the row, so that many do not come back at once."""
    share = int(hashlib.sha256(f"{delivery_id} {attempt}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    seconds = min(FIRST_WAIT.total_seconds() * 2 ** min(attempt - 1, 20), LONGEST_WAIT.total_seconds())
    return timedelta(seconds=seconds * (0.8 + 0.4 * share))
