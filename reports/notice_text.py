"""A notice of alerts as a title and a short plain text: what Apprise hands to phones and chats.

Such services read text for links and mentions, and each in its own way: names lose the signs that make them.
"""

from __future__ import annotations

import json
from dataclasses import replace

from reports.formats import without_signs
from reports.notice import Notice
from reports.notice_mail import Line, lines_of, omitted_text, short_text, subject_head, summary_of

LONGEST_TITLE = 120
LONGEST_BODY = 1_800  # most services take 2000 characters or more
SHOWN = 6  # members

# Apprise's words for what is told.
_TYPES = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}


def notice_text(notice: Notice, *, runbooks: str) -> bytes:
    """The JSON of `title`, `body` and `type`. `runbooks` is where a rule's runbook is found."""
    lines = lines_of(notice, runbooks)
    follows = f", follows {notice.replies_to}" if notice.replies_to is not None else ""
    end = f"Notice {notice.notice_id}{follows}"
    counted = omitted_text(notice.omitted)
    room = LONGEST_BODY - len(end) - len(counted or "") - 80  # of how many more there are
    parts: list[str] = []
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
    member = line.member
    return "\n".join(
        [
            f"{line.event.upper()} ({member.severity}): {member.title}, {without_signs(line.scope)}",
            f"{member.measure}: {line.observed}" + (f"; {line.baseline}" if line.baseline else ""),
            f"{line.condition}, {line.clears}",
            f"since {line.since}" + (f"; {line.change}" if line.change else ""),
            f"incident {member.incident_id}",
            f"runbook {line.runbook}",
        ]
    )
