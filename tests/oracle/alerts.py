"""What alerts must do, said once more and otherwise: from the whole history, without counters.

The machine (flows/alert_states.py) goes on from what it remembers. This reads the list of everything that
was seen so far, at every step anew, and says what must be true and what must have been told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

RANKS = {"info": 0, "warning": 1, "error": 2, "critical": 3}


@dataclass(frozen=True)
class Seen:
    """One evaluation of one key: what the rule said, on which data, at which time, and who wanted quiet."""

    verdict: str
    severity: str
    data_as_of: datetime | None
    now: datetime
    # "": nobody; "silence"; or anything else that explains it
    muted: str
    acknowledged: bool


@dataclass(frozen=True)
class Rules:
    """How a rule is to be treated: evaluations to fire and to resolve; hours and limits by severity."""

    fire_after: int
    resolve_after: int
    reminders: dict[str, tuple[int | None, int]]


def counted(history: list[Seen]) -> list[tuple[int, Seen]]:
    """The evaluations that count: known, on data newer than that of any that counted before."""
    found: list[tuple[int, Seen]] = []
    for index, seen in enumerate(history):
        if seen.verdict == "unknown":
            continue
        newest = found[-1][1].data_as_of if found else None
        if newest is None or seen.data_as_of is None or seen.data_as_of > newest:
            found.append((index, seen))
    return found


@dataclass(frozen=True)
class Incident:
    """From the evaluation that opened it to the one that resolved it, which may not have come yet."""

    opened: int
    resolved: int | None
    # by index of evaluation: the highest severity so far
    severities: dict[int, str]


def incidents(history: list[Seen], rules: Rules) -> list[Incident]:
    """Every incident of the history: maximal stretches that N breaches open and M clears in a row end."""
    seen = counted(history)
    found: list[Incident] = []
    place = 0
    while place < len(seen):
        opening = _first_run(seen, place, "breach", rules.fire_after)
        if opening is None:
            break
        ending = _first_run(seen, opening + 1, "clear", rules.resolve_after)
        last = len(seen) if ending is None else ending
        severities: dict[int, str] = {}
        worst = seen[opening][1].severity
        for index, one in seen[opening:last]:
            if one.verdict == "breach" and RANKS[one.severity] > RANKS[worst]:
                worst = one.severity
            severities[index] = worst
        found.append(Incident(seen[opening][0], None if ending is None else seen[ending][0], severities))
        if ending is None:
            break
        place = ending + 1
    return found


def _first_run(seen: list[tuple[int, Seen]], start: int, verdict: str, length: int) -> int | None:
    """Where the first unbroken run of so many verdicts is complete."""
    for end in range(start + length - 1, len(seen)):
        if all(one.verdict == verdict for _, one in seen[end - length + 1 : end + 1]):
            return end
    return None


def state(history: list[Seen], rules: Rules) -> str:
    """The state after the last evaluation."""
    if history and history[-1].verdict == "unknown":
        return "unknown"
    seen = counted(history)
    found = incidents(history, rules)
    last = seen[-1][1].verdict if seen else "clear"
    if found and found[-1].resolved is None:
        return "recovering" if last == "clear" else "firing"
    return "pending" if last == "breach" else "ok"


def told(history: list[Seen], rules: Rules) -> list[tuple[int, str]]:
    """What people must have been told, and at which evaluation."""
    all_incidents = incidents(history, rules)
    notices: list[tuple[int, str, datetime]] = []
    known: str | None = None  # the severity that people know it fires with; None: they know of nothing
    last_severity = "warning"
    was_told_before = False
    reminded = 0
    hushed = False  # a silence was asked for since the last notice, of what people know to fire
    for index, now in enumerate(history):
        current = next(
            (
                one
                for one in all_incidents
                if one.opened <= index and (one.resolved is None or index < one.resolved)
            ),
            None,
        )
        severity = None
        if current is not None:
            severity = [worst for place, worst in current.severities.items() if place <= index][-1]
        hushed = hushed or (now.muted == "silence" and known is not None)
        event = None
        if current is None:
            event = "resolved" if known is not None else None
        elif now.verdict == "unknown":
            event = None
        elif known is None:
            event = "firing"
        elif RANKS[severity or ""] > RANKS[known]:
            event = "escalated"
        elif hushed and not now.muted and not now.acknowledged:
            event = "firing"
        else:
            hours, limit = rules.reminders[severity or ""]
            is_due = hours is not None and now.now - notices[-1][2] >= timedelta(hours=hours)
            if is_due and not now.acknowledged and reminded < limit:
                event = "reminded"
        if event is None:
            longest = max(hours or 24 for hours, _ in rules.reminders.values())
            if current is None and notices and now.now - notices[-1][2] >= timedelta(hours=longest):
                was_told_before, last_severity = False, "warning"  # nobody remembers
            continue
        if now.muted:
            continue
        speaking = severity or last_severity
        is_first_critical = severity == "critical" and not (was_told_before and last_severity == "critical")
        if len(_recent(notices, rules, speaking, now.now)) >= 2 and not is_first_critical:
            continue
        notices.append((index, event, now.now))
        was_told_before, hushed = True, False
        if event == "resolved":
            known, reminded = None, 0
        else:
            reminded += event == "reminded"
            known = last_severity = severity or ""
    return [(place, name) for place, name, _ in notices]


def _recent(
    notices: list[tuple[int, str, datetime]], rules: Rules, severity: str, now: datetime
) -> list[datetime]:
    interval = timedelta(hours=rules.reminders[severity][0] or 24)
    return [moment for _, _, moment in notices if now - moment < interval]
