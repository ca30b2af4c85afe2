"""A notice of alerts as a mail: what fires, where, since when, with which evidence, and when it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from reports import formats
from reports.formats import safe_label
from reports.mail import MailParts, inlined, wrapped
from reports.message import header_text
from reports.notice import TEST, Member, Notice
from reports.render import environment

# Members that are told in full; a mail is cut off by the reader's program at about 100,000 bytes.
IN_FULL = 8
SHOWN_ROWS = 5
SHOWN_CHARACTERS = 60  # of a cell of the evidence
SHOWN_SQL = 1500  # characters; `almanac alerts explain` has all of it

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


@dataclass(frozen=True, slots=True)
class Line:
    """One member in words."""

    member: Member
    event: str
    scope: str
    observed: str
    condition: str
    clears: str
    baseline: str | None
    since: str
    change: str | None
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sql: str
    parameters: str
    runbook: str


def notice_mail(notice: Notice, *, runbooks: str) -> MailParts:
    """The mail of one notice. `runbooks` is where a rule's runbook is found, followed by #rule."""
    lines = lines_of(notice, runbooks)
    subject = header_text(subject_of(notice, lines))
    preheader = "; ".join(f"{line.scope}: {line.observed}" for line in lines[:3])
    given = {
        "notice": notice,
        "subject": subject,
        "preheader": preheader,
        "lines": lines,
        "in_full": lines[:IN_FULL],
        "in_short": lines[IN_FULL:],
        "omitted": omitted_text(notice.omitted),
    }
    page = environment("en-GB").get_template("notice.html.j2").render(given)
    return MailParts(subject, preheader, inlined(page), _text(notice, lines))


def lines_of(notice: Notice, runbooks: str) -> tuple[Line, ...]:
    """The members in words, for any channel; names are labels, not yet escaped."""
    return tuple(_line(member, runbooks) for member in notice.members)


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
    number = formats.count(value) if value == value.to_integral_value() else formats.average(value)
    return f"{number} {unit}"


def _line(member: Member, runbooks: str) -> Line:
    unit = member.unit
    age = member.happened_at - member.opened_at
    change = None
    if member.previous_value is not None and member.observed_value is not None:
        change = f"{value_text(member.previous_value, unit)} when it was last told"
    rows = tuple(
        tuple("not known" if cell is None else safe_label(cell, SHOWN_CHARACTERS) for cell in row)
        for row in member.evidence_rows[:SHOWN_ROWS]
    )
    return Line(
        member=member,
        event=_EVENTS[member.event],
        scope=_scope(member),
        observed=value_text(member.observed_value, unit),
        condition=f"fires {_COMPARED[member.comparison]} {value_text(member.threshold, unit)}",
        clears=f"clears {_CLEARED[member.comparison]} {value_text(member.clear_threshold, unit)}",
        baseline=None if member.baseline_value is None else _baseline(member),
        since=f"{formats.moment(member.opened_at)} UTC"
        + (f", for {_age(age)}" if age.total_seconds() >= 60 else ""),
        change=change,
        columns=tuple(safe_label(name.replace("_", " "), 30) for name in member.evidence_columns),
        rows=rows,
        sql=member.sql[:SHOWN_SQL] + (" …" if len(member.sql) > SHOWN_SQL else ""),
        parameters=", ".join(
            f"{name} = {safe_label(value, 80)}"
            for name, value in member.parameters.items()
            if value is not None
        ),
        runbook=f"{runbooks}#{member.rule}",
    )


def _baseline(member: Member) -> str:
    assert member.baseline_value is not None
    if member.unit in ("increase", "fall"):
        return f"usually {formats.average(member.baseline_value)}"
    return f"usually {value_text(member.baseline_value, member.unit)}"


def _scope(member: Member) -> str:
    if member.scope_kind == "platform":
        return "the platform"
    return f"{member.scope_kind.replace('_', ' ')} {safe_label(member.scope_name, 60)}"


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
    return f"{line.event} ({line.member.severity}): {line.member.title}, {line.scope}, {line.observed}"


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


def _text(notice: Notice, lines: tuple[Line, ...]) -> str:
    parts = [f"Alerts as of {formats.moment(notice.as_of)} UTC"]
    for line in lines[:IN_FULL]:
        member = line.member
        said = [
            f"{line.event.upper()} ({member.severity}): {member.title}, {line.scope}",
            f"  {member.measure}: {line.observed}" + (f"; {line.baseline}" if line.baseline else ""),
            f"  {line.condition}, {line.clears}",
            f"  since {line.since}" + (f"; {line.change}" if line.change else ""),
        ]
        if member.untold_changes:
            said.append(f"  it changed {member.untold_changes} times since, untold")
        if line.rows:
            said.append("  " + " | ".join(line.columns))
            said += ["  " + " | ".join(row) for row in line.rows]
        said.append(f"  incident {member.incident_id}; almanac alerts explain {member.incident_id}")
        said.append(f"  runbook {line.runbook}")
        parts.append("\n".join(said))
    short = [short_text(line) for line in lines[IN_FULL:]]
    if short:
        parts.append("\n".join(short))
    if (omitted := omitted_text(notice.omitted)) is not None:
        parts.append(wrapped(omitted))
    return "\n\n".join([*parts, ""])
