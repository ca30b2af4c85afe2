"""A notice of alerts as a title and a short plain text: what Apprise hands to phones and chats.

Such services read text for links and mentions, and each in its own way: names lose the signs that make them.
"""

from __future__ import annotations

import json
from dataclasses import replace

from reports.formats import without_signs
from reports.notice import Notice
from reports.notice_lines import (
    Line,
    cut_query,
    facts_of,
    lines_of,
    omitted_text,
    short_text,
    subject_head,
    summary_of,
)

LONGEST_TITLE = 120
LONGEST_BODY = 1_800  # most services take 2000 characters or more
SHOWN = 6  # members
_LEAST_QUERY = 200  # characters, below which a query that is cut shows nothing

# Apprise's words for what is told.
_TYPES = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}


def notice_text(notice: Notice, *, runbooks: str) -> bytes:
    """The JSON of `title`, `body` and `type`. `runbooks` is where a rule's runbook is found."""
    lines = lines_of(notice, runbooks)
    follows = f", follows {notice.replies_to}" if notice.replies_to is not None else ""
    end = f"Notice {notice.notice_id}{follows}"
    counted = omitted_text(notice.omitted)
    room = LONGEST_BODY - len(end) - len(counted or "") - 60  # of how many more there are
    parts: list[str] = []
    told_lines: list[Line] = []
    short: list[str] = []
    # a text in full takes no critical incident its place in a line
    reserved = sum(len(_short(line)) + 1 for line in lines if line.member.severity == "critical")
    for number, line in enumerate(lines):
        is_critical = line.member.severity == "critical"
        reserved -= len(_short(line)) + 1 if is_critical else 0
        told = _told(line)
        # all before it are told in full, too
        is_next = number == len(parts) < SHOWN
        if is_next and (len(told) + 2 <= room - reserved or not parts):
            parts.append(told)
            told_lines.append(line)
            room -= len(told) + 2
        elif is_critical:
            short.append(_short(line))
    named = 0
    for text in short:
        room -= len(text) + 1
        if room < 1:
            break
        named += 1
    rest = len(lines) - len(parts) - named
    for number, line in enumerate(told_lines):
        evidence = _evidence(line, room - 1)
        if evidence:
            parts[number] += f"\n{evidence}"
            room -= len(evidence) + 1
    if named:
        parts.append("\n".join(short[:named]))
    if rest:
        parts.append(f"{rest:,} more: almanac alerts list shows all.")
    if counted is not None:
        parts.append(counted)
    body = "\n\n".join(parts)
    if len(body) + len(end) + 2 > LONGEST_BODY:
        body = body[: LONGEST_BODY - len(end) - 3].rstrip() + "…"
    title = f"[{subject_head(notice)}] {without_signs(summary_of(notice, lines))}"
    document = {
        "title": title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…",
        "body": f"{body}\n\n{end}",
        "type": "success" if notice.is_resolved else _TYPES[notice.severity],
    }
    return json.dumps(document, ensure_ascii=True).encode("ascii")


def _short(line: Line) -> str:
    return short_text(replace(line, scope=without_signs(line.scope)))


def _told(line: Line) -> str:
    """What a member says of itself; its rows and queries come after it, as far as there is room."""
    first, *facts = facts_of(
        replace(
            line,
            scope=without_signs(line.scope),
            organization=None if line.organization is None else without_signs(line.organization),
            note=None if line.note is None else without_signs(line.note),
        )
    )
    return "\n".join(
        [
            first,
            *facts,
            f"runbook {line.runbook}",
            f"its SQL, and all that is known: {line.explain}",
        ]
    )


def _evidence(line: Line, room: int) -> str:
    """Rows, the query of them and its parameters, in so many characters; what is cut says so."""
    said: list[str] = []
    parameters = f"with {without_signs(line.parameters.replace(' = ', ': '))}" if line.parameters else ""
    # the query first: it gives the rows back
    if line.query:
        begin = "query of the rows: "
        left = room - len(begin) - len(parameters) - 1
        if left < min(len(line.query), _LEAST_QUERY):
            return ""
        said = [begin + cut_query(line, left), *([parameters] if parameters else [])]
        room -= sum(len(part) + 1 for part in said)
    room -= len("contributing most:") + 1
    rows = (
        [" ".join(line.columns), *(without_signs(", ".join(row)) for row in line.rows)] if line.rows else []
    )
    shown: list[str] = []
    for row in rows:
        mark = "more rows are left out"
        if len(row) + 1 + len(mark) + 1 > room:
            shown += [mark] if len(mark) + 1 <= room else []
            break
        shown.append(row)
        room -= len(row) + 1
    return "\n".join([*(["contributing most:"] if shown else []), *shown, *said])
