"""The state of one rule on one scope, and how an evaluation moves it: pure, without a clock or a store.

OK, PENDING (it holds, not long enough), FIRING, RECOVERING (clear, not long enough), UNKNOWN. What is true is
moved by `advance`, on new data only; what people have been told of it is a second thing, moved by `tell`: it
follows the truth as fast as silences and damping let it, and in the end always says the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from flows.alert_rules import Reminders, Severity, Verdict

# Notices of one rule and scope in one reminder interval: it fires, it is over.
NOTICES_PER_INTERVAL = 2
# Hours of that interval where a severity has no reminders.
QUIET_HOURS = 24

Told = Literal["nothing", "firing", "resolved"]
Event = Literal["opened", "escalated", "reminded", "resolved", "still_firing"]


class State(StrEnum):
    ok = "ok"
    pending = "pending"
    firing = "firing"
    recovering = "recovering"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered of a rule and a scope; moments are naive UTC."""

    state: State = State.ok
    # the state that an unknown one goes on from
    known_state: State = State.ok
    # one after the other, on new data
    breach_count: int = 0
    clear_count: int = 0
    # of the newest data that was counted
    data_as_of: datetime | None = None
    incident_id: str | None = None
    # the highest since it opened
    severity: Severity | None = None
    told: Told = "nothing"
    told_severity: Severity | None = None
    # of the notices of the longest interval, oldest first
    told_at: tuple[datetime, ...] = ()
    reminder_count: int = 0
    # how often it fired or was resolved since the last notice, that one not counted
    untold_changes: int = 0
    # the incident that people know as firing, the notice that opened it for them, and the value, as text
    told_incident_id: str | None = None
    opening_notice_id: str | None = None
    told_value: str | None = None
    # somebody asked for silence since the last notice
    was_silenced: bool = False

    @property
    def is_open(self) -> bool:
        return self.incident_id is not None

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to remember."""
        return self.state is State.ok and self.told != "firing" and not self.told_at


@dataclass(frozen=True, slots=True)
class Observation:
    """What a rule said of the scope; `data_as_of` None counts as new."""

    verdict: Verdict
    severity: Severity
    data_as_of: datetime | None


@dataclass(frozen=True, slots=True)
class Patience:
    """Evaluations on new data that must agree before it fires, and before it is resolved; at least 1."""

    fire_after: int
    resolve_after: int


Change = Literal["opened", "escalated", "resolved", "unknown", "known"]


def advance(
    memory: Memory, observed: Observation, patience: Patience, *, new_incident_id: str
) -> tuple[Memory, tuple[Change, ...]]:
    """What is true after an evaluation, and what changed by it.

    What is unknown changes nothing but the state's name. Data that was counted already is not counted again.
    Within the hysteresis (holding) nothing opens and nothing resolves; it ends a PENDING and a RECOVERING.
    """
    if observed.verdict is Verdict.unknown:
        if memory.state is State.unknown:
            return memory, ()
        changes: tuple[Change, ...] = ("unknown",) if memory.is_open else ()
        return replace(memory, state=State.unknown, known_state=memory.state), changes
    changes = ()
    if memory.state is State.unknown:
        memory = replace(memory, state=memory.known_state)
        changes = ("known",) if memory.is_open else ()
    if not _is_new(memory, observed):
        return memory, changes
    memory = replace(memory, data_as_of=observed.data_as_of)
    if observed.verdict is Verdict.breach:
        memory, more = _breached(memory, observed.severity, patience, new_incident_id)
    elif observed.verdict is Verdict.clear:
        memory, more = _cleared(memory, patience)
    else:
        is_open = memory.is_open
        memory = replace(memory, state=State.firing if is_open else State.ok, breach_count=0, clear_count=0)
        more = ()
    return memory, (*changes, *more)


def _is_new(memory: Memory, observed: Observation) -> bool:
    return memory.data_as_of is None or observed.data_as_of is None or observed.data_as_of > memory.data_as_of


def _breached(
    memory: Memory, severity: Severity, patience: Patience, new_incident_id: str
) -> tuple[Memory, tuple[Change, ...]]:
    memory = replace(memory, breach_count=memory.breach_count + 1, clear_count=0)
    if memory.is_open:
        assert memory.severity is not None
        is_worse = severity.rank > memory.severity.rank
        highest = severity if is_worse else memory.severity
        return replace(memory, state=State.firing, severity=highest), (("escalated",) if is_worse else ())
    if memory.breach_count < patience.fire_after:
        return replace(memory, state=State.pending), ()
    opened = replace(memory, state=State.firing, incident_id=new_incident_id, severity=severity)
    return _changed(opened), ("opened",)


def _cleared(memory: Memory, patience: Patience) -> tuple[Memory, tuple[Change, ...]]:
    if not memory.is_open:
        return replace(memory, state=State.ok, breach_count=0, clear_count=0), ()
    memory = replace(memory, breach_count=0, clear_count=memory.clear_count + 1)
    if memory.clear_count < patience.resolve_after:
        return replace(memory, state=State.recovering), ()
    return close(memory), ("resolved",)


def close(memory: Memory) -> Memory:
    """The incident ends: because it is over, or because somebody says so."""
    is_known = memory.state is not State.unknown
    return _changed(
        replace(
            memory,
            state=State.ok if is_known else State.unknown,
            known_state=State.ok,
            breach_count=0,
            clear_count=0,
            incident_id=None,
            severity=None,
        )
    )


def _changed(memory: Memory) -> Memory:
    return replace(memory, untold_changes=memory.untold_changes + 1)


# --- what people are told -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Telling:
    """What is told now, or why it is not."""

    event: Event | None
    # why nobody is told of what there would be to tell
    withheld: str | None = None


def tell(
    memory: Memory,
    reminders: dict[Severity, Reminders],
    *,
    now: datetime,
    value: str | None,
    muted: str | None = None,
    is_silence: bool = False,
    is_acknowledged: bool = False,
) -> tuple[Memory, Telling]:
    """What is told at `now`, and the memory of it.

    `muted` says why nobody is to be told (a silence, an inhibition, maintenance); it is caught up with when
    that ends. After a silence (`is_silence`) what people know to fire, and still does, is told once more. An
    acknowledgement ends that and reminders, nothing else. At most NOTICES_PER_INTERVAL notices leave in one
    interval of reminders, a first critical one besides.
    """
    if muted is not None and is_silence and memory.told == "firing":
        memory = replace(memory, was_silenced=True)
    event = _wanted(memory, reminders, now, is_acknowledged, is_quiet=muted is not None)
    if event is None:
        return _forgetting(memory, reminders, now), Telling(None)
    if muted is not None:
        return memory, Telling(None, muted)
    severity = memory.severity or memory.told_severity or Severity.warning
    recent = _recent(memory, reminders, now, severity)
    is_first_critical = (
        severity is Severity.critical and memory.is_open and memory.told_severity is not severity
    )
    if len(recent) >= NOTICES_PER_INTERVAL and not is_first_critical:
        return memory, Telling(None, "it changes too often")
    is_firing = memory.is_open
    return (
        replace(
            memory,
            told="firing" if is_firing else "resolved",
            told_severity=memory.severity if is_firing else memory.told_severity,
            told_at=(*_within(memory, _longest(reminders), now), now),
            reminder_count=memory.reminder_count + (event == "reminded") if is_firing else 0,
            untold_changes=0,
            told_incident_id=memory.incident_id if is_firing else memory.told_incident_id,
            told_value=value,
            was_silenced=False,
        ),
        Telling(event),
    )


def _wanted(
    memory: Memory,
    reminders: dict[Severity, Reminders],
    now: datetime,
    is_acknowledged: bool,
    *,
    is_quiet: bool,
) -> Event | None:
    if not memory.is_open:
        return "resolved" if memory.told == "firing" else None
    if memory.state is State.unknown:
        return None  # nobody knows whether it still fires
    assert memory.severity is not None
    if memory.told != "firing":
        # one change since the last notice is its opening, just now or while nobody was to be told
        return "opened" if memory.untold_changes <= 1 else "still_firing"
    if memory.told_severity is None or memory.severity.rank > memory.told_severity.rank:
        return "escalated"
    if memory.was_silenced and not is_acknowledged and not is_quiet:
        return "still_firing"
    plan = reminders[memory.severity]
    if is_acknowledged or plan.hours is None or memory.reminder_count >= plan.limit or not memory.told_at:
        return None
    return "reminded" if now - memory.told_at[-1] >= timedelta(hours=plan.hours) else None


def _recent(
    memory: Memory, reminders: dict[Severity, Reminders], now: datetime, severity: Severity
) -> tuple[datetime, ...]:
    return _within(memory, reminders[severity].hours or QUIET_HOURS, now)


def _within(memory: Memory, hours: int, now: datetime) -> tuple[datetime, ...]:
    return tuple(moment for moment in memory.told_at if now - moment < timedelta(hours=hours))


def _longest(reminders: dict[Severity, Reminders]) -> int:
    return max(plan.hours or QUIET_HOURS for plan in reminders.values())


def _forgetting(memory: Memory, reminders: dict[Severity, Reminders], now: datetime) -> Memory:
    """Without the notices of an interval that is over, once nothing is open: the row may then go."""
    if memory.is_open or not memory.told_at:
        return memory
    if _within(memory, _longest(reminders), now):
        return memory
    return replace(
        memory,
        told="nothing",
        told_at=(),
        told_severity=None,
        untold_changes=0,
        told_incident_id=None,
        opening_notice_id=None,
        was_silenced=False,
    )


# --- as text ------------------------------------------------------------------------------------------------


def to_json(memory: Memory) -> str:
    """A memory as the ops store keeps it."""
    values = asdict(memory)
    values["data_as_of"] = memory.data_as_of.isoformat() if memory.data_as_of else None
    values["told_at"] = [moment.isoformat() for moment in memory.told_at]
    return json.dumps(values, sort_keys=True)


def from_json(text: str) -> Memory:
    """The memory that `to_json` wrote."""
    values: dict[str, Any] = json.loads(text)
    values["state"] = State(values["state"])
    values["known_state"] = State(values["known_state"])
    for name in ("severity", "told_severity"):
        values[name] = Severity(values[name]) if values[name] else None
    values["data_as_of"] = datetime.fromisoformat(values["data_as_of"]) if values["data_as_of"] else None
    values["told_at"] = tuple(datetime.fromisoformat(moment) for moment in values["told_at"])
    return Memory(**values)
