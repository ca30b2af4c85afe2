"""A notice of alerts as the payload of a Slack incoming webhook: a coloured bar with plain text beside it.

What people typed stands in `plain_text` blocks alone, where Slack reads neither mentions nor links nor marks,
with `& < >` escaped all the same; the only marked-up text is made of names of rules and a checked base URL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reports.formats import without_signs
from reports.notice import Notice
from reports.notice_lines import (
    IN_FULL,
    Line,
    cut_query,
    facts_of,
    lines_of,
    omitted_text,
    short_text,
    subject_head,
    summary_of,
    whole_sql,
)

# Of the bars; what is over has the colour of what is no matter.
COLORS: Mapping[str, str] = {
    "info": "#36a64f",
    "warning": "#ff9800",
    "error": "#f44336",
    "critical": "#9c27b0",
}
# Slack refuses texts of more than 3000 characters, messages of more than 50 blocks (of this length there are
# fewer than 30), and long ones as a whole.
LONGEST_TEXT = 2_800
LONGEST_MESSAGE = 12_000
LONGEST_SUMMARY = 300


def escaped(text: str) -> str:
    """Text with Slack's three control characters written as it asks."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def slack_payload(notice: Notice, *, runbooks: str) -> bytes:
    """The JSON to post. `runbooks` is where a rule's runbook is found, followed by #rule."""
    lines = lines_of(notice, runbooks)
    room = LONGEST_MESSAGE - 1_000  # for what stands around the incidents
    blocks: list[dict[str, Any]] = []
    short: list[str] = []
    # a text in full takes no critical incident its place in a line
    reserved = sum(_size(short_text(line)) for line in lines if line.member.severity == "critical")
    for number, line in enumerate(lines):
        if line.member.severity == "critical":
            reserved -= _size(short_text(line))
        if number < IN_FULL and not short:
            told = [_plain(_full(line)), *_query(line), _context(line)]
            size = sum(len(json.dumps(block)) for block in told)
            if size <= room - reserved or not blocks:
                blocks += told
                room -= size
                continue
        short.append(short_text(line))
    fitting = 0
    for text in short:
        room -= _size(text)
        if room < 0:
            break
        fitting += 1
    blocks += [_plain(page) for page in _pages(short[:fitting])]
    if left_out := len(short) - fitting:
        blocks.append(_plain(f"{left_out:,} more do not fit here. almanac alerts list shows all."))
    if (omitted := omitted_text(notice.omitted)) is not None:
        blocks.append(_plain(omitted))
    follows = f", follows {notice.replies_to}" if notice.replies_to is not None else ""
    blocks.append(_plain(f"Notice {notice.notice_id}{follows}", kind="context"))
    payload = {
        "text": _summary(notice, lines),
        "mrkdwn": False,
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [
            {"color": COLORS["info" if notice.is_resolved else notice.severity], "blocks": blocks}
        ],
    }
    return json.dumps(payload, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def _summary(notice: Notice, lines: tuple[Line, ...]) -> str:
    """The line of notifications, which Slack reads for links: so names lose what makes one."""
    said = without_signs(summary_of(notice, lines))[:LONGEST_SUMMARY]
    return escaped(f"[{subject_head(notice)}] {said}")


def _size(text: str) -> int:
    """Characters of a line in the payload."""
    return len(json.dumps(escaped(text)))


def _full(line: Line) -> str:
    said = facts_of(line)
    if line.rows:
        said += ["contributing most:", " | ".join(line.columns), *(" | ".join(row) for row in line.rows)]
    return "\n".join(said)


def _query(line: Line) -> list[dict[str, Any]]:
    """The query of the rows with its parameters, and where the whole SQL of the rule is."""
    # its own block, so that a long row takes it no room; signs such as < are written longer
    end = [*([f"with {line.parameters}"] if line.parameters else []), whole_sql(line)]
    room = LONGEST_TEXT - sum(len(escaped(part)) + 1 for part in end) - 20
    query = line.query
    while len(escaped(cut_query(line, len(query)))) > room and query:
        query = query[: len(query) * 9 // 10]
    said = [f"Query of the rows: {cut_query(line, len(query))}"] if line.query else []
    return [_plain("\n".join([*said, *end]))]


def _context(line: Line) -> dict[str, Any]:
    """Where the runbook is: a link where there is a base URL to make one of."""
    said = f"Incident {line.member.incident_id}, looked after by {line.member.owner}."
    if not line.runbook.startswith("https://"):
        return _plain(f"{said} Runbook: {line.runbook}", kind="context")
    link = f"<{escaped(line.runbook)}|Runbook of this rule>"
    context = _plain(said, kind="context")
    context["elements"].append({"type": "mrkdwn", "text": link, "verbatim": True})
    return context


def _plain(text: str, kind: str = "section") -> dict[str, Any]:
    part = {"type": "plain_text", "text": _fitting(text), "emoji": False}
    return {"type": kind, "text": part} if kind == "section" else {"type": kind, "elements": [part]}


def _fitting(text: str) -> str:
    """Escaped text of at most LONGEST_TEXT characters, not cut inside an escape."""
    if len(escaped(text)) <= LONGEST_TEXT:
        return escaped(text)
    kept: list[str] = []
    room = LONGEST_TEXT - 1
    for character in text:
        written = escaped(character)
        if len(written) > room:
            break
        kept.append(written)
        room -= len(written)
    return "".join(kept) + "…"


def _pages(lines: list[str]) -> list[str]:
    """Lines, as many in one text as fit."""
    pages: list[str] = []
    for line in lines:
        if pages and len(escaped(pages[-1])) + len(escaped(line)) < LONGEST_TEXT - 1:
            pages[-1] += f"\n{line}"
        else:
            pages.append(line)
    return pages
