"""A notice of alerts in words: its members, line by line, as every channel that is read by people has them.

Names and cells are labels (one line, no hidden marks, shortened with …), which each channel escapes in its
own way. A query stands as it is; where a channel has too little room it is cut by `cut_query`, which says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from reports import formats
from reports.formats import safe_label
from reports.notice import TEST, Member, Notice

# Members that are told in full.
IN_FULL = 8
SHOWN_ROWS = 5
SHOWN_CHARACTERS = 60  # of a cell of the evidence, or a name
SHOWN_PARAMETER = 80
SHOWN_QUERY = 2_500  # characters of the query of the rows; the longest of a rule has about 2,100
SHOWN_NOTE = 300
# Moments that are as good as the same: of the data that show it, and of the evaluation that found it.
SAME_MOMENT = timedelta(minutes=5)

_EVENTS = {
    "opened": "Firing",
    "still_firing": "Firing",
    "escalated": "Worse",
    "reminded": "Still firing",
    "resolved": "Resolved",
    "closed": "Closed",
}
_COMPARED = {">": "above", ">=": "at or above", "<=": "at or below"}
_CLEARED = {">": "at or below", ">=": "below", "<=": "above"}
# Units of a value that only says how far it is from the usual.
RELATIVE = ("increase", "fall")


@dataclass(frozen=True, slots=True)
class Line:
    """One member in words."""

    member: Member
    event: str
    scope: str
    # whose it is, with its id; None for what is the platform's
    organization: str | None
    observed: str
    condition: str
    clears: str
    # the value itself where `observed` is relative, and what is usual
    baseline: str | None
    window: str | None
    since: str
    change: str | None
    # which reminder, and what happened meanwhile that nobody was told
    history: str | None
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str | None
    query: str
    parameters: str
    runbook: str

    @property
    def explain(self) -> str:
        """The command that shows everything."""
        return f"almanac alerts explain {self.member.incident_id}"


def lines_of(notice: Notice, runbooks: str) -> tuple[Line, ...]:
    """The members in words, for any channel; names are labels, not yet escaped.

    From IN_FULL on they have no evidence: no channel has the room to tell it.
    """
    return tuple(
        _line(member if number < IN_FULL else replace(member, evidence_rows=(), parameters={}), runbooks)
        for number, member in enumerate(notice.members)
    )


def organization_text(organization_id: str | None, name: str | None) -> str | None:
    """An organization with its name, where that is known, and its id."""
    if organization_id is None:
        return None
    shown = safe_label(organization_id, SHOWN_CHARACTERS)
    if name is None or name == organization_id:
        return f"organization {shown}"
    return f"organization {safe_label(name, SHOWN_CHARACTERS)} ({shown})"


def value_text(value: Decimal | None, unit: str) -> str:
    """A value of a rule with its unit, for people."""
    if value is None:
        return "not known"
    if unit.startswith("share of "):
        return f"{formats.percent(value)} of {unit.removeprefix('share of ')}"
    if unit == "share":
        return formats.percent(value)
    if unit == "increase":
        return f"{formats.signed_percent(value, 0)} on the usual"
    if unit == "fall":
        return f"{formats.percent(value, 0)} below the usual"
    shown: Mapping[str, Callable[[Decimal], str]] = {
        "ms": formats.milliseconds,
        "USD": formats.usd,
    }
    if unit in shown:
        return shown[unit](value)
    return f"{_count(value)} {unit}"


def cut_query(line: Line, room: int) -> str:
    """The query of a member's rows in at most `room` characters: cut, it says so and where all of it is."""
    if len(line.query) <= room:
        return line.query
    mark = f" … (cut; all of it: {line.explain})"
    return f"{line.query[: max(room - len(mark), 0)].rstrip()}{mark}"


def sentence(text: str | None) -> str | None:
    """Text that begins as a sentence does, and is otherwise as it was."""
    return None if not text else f"{text[0].upper()}{text[1:]}"


def whole_sql(line: Line) -> str:
    """Where the whole SQL of the rule is, for a channel that does not carry it."""
    return f"The rule's whole SQL: {line.explain}"


def _line(member: Member, runbooks: str) -> Line:
    rows = tuple(
        tuple("not known" if cell is None else safe_label(cell, SHOWN_CHARACTERS) for cell in row)
        for row in member.evidence_rows[:SHOWN_ROWS]
    )
    unit = member.unit
    return Line(
        member=member,
        event=_EVENTS[member.event],
        scope=_scope(member),
        organization=organization_text(member.organization_id, member.organization_name),
        observed=value_text(member.observed_value, unit),
        condition=f"fires {_COMPARED[member.comparison]} {value_text(member.threshold, unit)}",
        clears=f"clears {_CLEARED[member.comparison]} {value_text(member.clear_threshold, unit)}",
        baseline=_baseline(member),
        window=_window(member),
        since=_since(member),
        change=_change(member),
        history=_history(member),
        columns=tuple(safe_label(name.replace("_", " "), 30) for name in member.evidence_columns),
        rows=rows,
        note=None if member.note is None else safe_label(member.note, SHOWN_NOTE),
        query=member.evidence_query.strip(),
        parameters=", ".join(
            f"{name} = {safe_label(value, SHOWN_PARAMETER)}"
            for name, value in member.parameters.items()
            if value is not None
        ),
        runbook=f"{runbooks}#{member.rule}",
    )


def _baseline(member: Member) -> str | None:
    if member.unit not in RELATIVE:
        usual = member.baseline_value
        return None if usual is None else f"usually {value_text(usual, member.unit)}"
    said = []
    if member.actual_value is not None:
        said.append(value_text(member.actual_value, member.counted_unit or "in all"))
    if member.baseline_value is not None:
        # a published night from before the unit was kept has none
        said.append(f"usually {value_text(member.baseline_value, member.counted_unit or '(unit not kept)')}")
    return ", ".join(said) or None


def _window(member: Member) -> str | None:
    """What was measured: from when to when, and how much."""
    if member.window_end is None:
        return None
    start = "" if member.window_start is None else f"from {formats.moment(member.window_start)} "
    until = f"measured {start}{'to' if start else 'until'} {formats.moment(member.window_end)} UTC"
    if member.volume is None:
        return until
    return f"{until}, {formats.count(member.volume)} {member.counted_unit or 'counted'}"


def _since(member: Member) -> str:
    """When the data show it, and when the incident was opened if that is another moment; with its age."""
    age = member.happened_at - member.opened_at
    lasted = f"{_age(age)}" if age.total_seconds() >= 60 else None
    opened = f"{formats.moment(member.opened_at)} UTC"
    shown = member.shown_at
    if shown is None or abs(member.opened_at - shown) <= SAME_MOMENT:
        return opened + (f", for {lasted}" if lasted else "")
    since = f"{formats.moment(shown)} UTC in the data; incident opened {opened}"
    return since + (f", for {lasted}" if lasted else "")


def _change(member: Member) -> str | None:
    """What has become of the value since the last notice."""
    before, now, unit = member.previous_value, member.observed_value, member.unit
    if before is None:
        return None
    if before == now:
        return "unchanged since the last notice"
    was = f"{value_text(before, unit)} in the last notice"
    if now is None:
        return was
    change = now - before
    if unit in RELATIVE or unit == "share" or unit.startswith("share of "):
        return f"{was}, a change of {formats.signed_points(change)}"
    sign = "+" if change > 0 else formats.MINUS
    return f"{was}, a change of {sign}{value_text(abs(change), unit)}"


def _history(member: Member) -> str | None:
    said = [f"reminder {member.reminder_number}"] if member.reminder_number else []
    if member.untold_changes:
        said.append(f"it changed {formats.count(member.untold_changes)} times since, untold")
    return "; ".join(said) or None


def _scope(member: Member) -> str:
    if member.scope_kind == "platform":
        return "the platform"
    return f"{member.scope_kind.replace('_', ' ')} {safe_label(member.scope_name, SHOWN_CHARACTERS)}"


def _count(value: Decimal) -> str:
    return formats.count(value) if value == value.to_integral_value() else formats.average(value)


def _age(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    if hours < 1:
        return f"{int(hours * 60)} min"
    return f"{int(hours)} h" if hours < 48 else f"{int(hours / 24)} days"


def omitted_text(omitted: Mapping[str, int]) -> str | None:
    """What is only counted; None when nothing is."""
    total = sum(omitted.values())
    if not total:
        return None
    parts = ", ".join(f"{count:,} {severity}" for severity, count in sorted(omitted.items()))
    return f"{total:,} more are not listed here ({parts}). almanac alerts list shows all."


def short_text(line: Line) -> str:
    """One member in one line."""
    history = f" (reminder {line.member.reminder_number})" if line.member.reminder_number else ""
    return (
        f"{line.event} ({line.member.severity}): {line.member.title}, {line.scope}, {line.observed}{history}"
    )


def subject_head(notice: Notice) -> str:
    """How loud it is, in one word."""
    if notice.family == TEST:
        return "TEST"
    return "RESOLVED" if notice.is_resolved else notice.severity.upper()


def subject_of(notice: Notice, lines: tuple[Line, ...]) -> str:
    """The notice in one line."""
    return f"[{subject_head(notice)}] {summary_of(notice, lines)}"


def summary_of(notice: Notice, lines: tuple[Line, ...]) -> str:
    """Its first member in one line, and how many more there are."""
    first = lines[0]
    total = len(lines) + sum(notice.omitted.values())
    more = f" and {total - 1:,} more" if total > 1 else ""
    reminder = f" (reminder {first.member.reminder_number})" if first.member.reminder_number else ""
    return f"{first.member.title}: {first.scope}, {first.observed}{more}{reminder}"


def facts_of(line: Line) -> list[str]:
    """What a member says of itself, in lines of plain text; rows, queries and links are the channel's."""
    member = line.member
    return [
        f"{line.event.upper()} ({member.severity}): {member.title}, {line.scope}",
        *([line.organization] if line.organization else []),
        f"{member.measure}: {line.observed}" + (f"; {line.baseline}" if line.baseline else ""),
        f"{line.condition}, {line.clears}",
        *([line.window] if line.window else []),
        f"since {line.since}" + (f"; {line.change}" if line.change else ""),
        *([line.history] if line.history else []),
        *([line.note] if line.note else []),
    ]


def data_moment(*moments: datetime | None) -> datetime | None:
    """The earliest of some moments, of those that are known."""
    return min((moment for moment in moments if moment is not None), default=None)
