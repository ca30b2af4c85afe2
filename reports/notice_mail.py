"""A notice of alerts as a mail: what fires, where, since when, with which evidence, and when it is over.

The first members are told in full, with the query of their rows; the whole SQL of their rules comes with the
mail as a file for each. However many there are, the page stays as large as mail programs show whole: what
has no place in it is named by a file.
"""

from __future__ import annotations

import json

from markupsafe import escape

from reports import formats
from reports.mail import MailParts, inlined, wrapped
from reports.message import LARGEST_HTML, Attachment, header_text
from reports.notice import Member, Notice
from reports.notice_lines import (
    IN_FULL,
    SHOWN_QUERY,
    Line,
    cut_query,
    facts_of,
    lines_of,
    omitted_text,
    organization_text,
    sentence,
    short_text,
    subject_of,
)
from reports.render import environment

# Bytes of the files of SQL in one mail; those of further members are read with `almanac alerts explain`.
LARGEST_SQL_FILES = 120_000
# Bytes of the page for those that are only named in it, when there are any; of the tags about each.
_ROOM_FOR_NAMES = 20_000
_LARGEST_TAGS = 70
_NAMES_FILE = "incidents.txt"


def notice_mail(notice: Notice, *, runbooks: str) -> MailParts:
    """The mail of one notice. `runbooks` is where a rule's runbook is found, followed by #rule."""
    lines = lines_of(notice, runbooks)
    files = _sql_files(notice, lines[:IN_FULL])
    in_full = min(len(lines), IN_FULL)
    while True:
        parts = _parts(notice, lines, in_full, 0, files)
        room = LARGEST_HTML - len(parts.html.encode("utf-8"))
        if room >= (_ROOM_FOR_NAMES if len(lines) > in_full else 0) or in_full == 1:
            break
        in_full -= 1
    in_short = 0
    for line in lines[in_full:]:
        room -= len(escape(short_text(line)).encode("utf-8")) + _LARGEST_TAGS
        if room < 0:
            break
        in_short += 1
    return _parts(notice, lines, in_full, in_short, files) if in_short else parts


def _parts(
    notice: Notice, lines: tuple[Line, ...], in_full: int, in_short: int, files: tuple[Attachment, ...]
) -> MailParts:
    """The mail with so many members in full, and so many of the others named in it."""
    subject = header_text(subject_of(notice, lines))
    preheader = "; ".join(f"{line.scope}: {line.observed}" for line in lines[:3])
    attached = {file.file_name for file in files}
    told = lines[:in_full]
    named = lines[in_full : in_full + in_short]
    rest = len(lines) - in_full - in_short
    elsewhere = None
    if rest:
        elsewhere = f"{rest:,} more are named in the attached {_NAMES_FILE}."
        files = (*files, _names_file(lines))
    given = {
        "notice": notice,
        "subject": subject,
        "preheader": preheader,
        "lines": lines,
        "organization": organization_text(notice.organization_id, notice.organization_name),
        "in_full": [
            {
                "line": line,
                "measure": sentence(line.member.measure),
                "window": sentence(line.window),
                "note": sentence(line.note),
                "query": cut_query(line, SHOWN_QUERY),
                "where": _where(line, attached),
            }
            for line in told
        ],
        "in_short": named,
        "elsewhere": elsewhere,
        "omitted": omitted_text(notice.omitted),
    }
    page = environment("en-GB").get_template("notice.html.j2").render(given)
    text = _text(notice, told, named, elsewhere, attached)
    return MailParts(subject, preheader, inlined(page), text, attachments=files)


def _where(line: Line, attached: set[str]) -> str:
    """Where the whole SQL of the member's rule is."""
    name = _file_name(line.member)
    if not line.member.sql:
        return f"All that is known of it: {line.explain}"
    if name in attached:
        return f"The rule's whole SQL: the attached {name}, or {line.explain}"
    return f"The rule's whole SQL is not attached: {line.explain}"


def _text(
    notice: Notice,
    in_full: tuple[Line, ...],
    in_short: tuple[Line, ...],
    elsewhere: str | None,
    attached: set[str],
) -> str:
    parts = [f"Alerts as of {formats.moment(notice.as_of)} UTC"]
    for line in in_full:
        first, *facts = facts_of(line)
        said = [first, *(f"  {fact}" for fact in facts)]
        if line.rows:
            said.append("  Contributing most:")
            said += [f"    {' | '.join(cells)}" for cells in (line.columns, *line.rows)]
        if line.query:
            said.append("  Query of the rows:")
            said += [f"    {part}" for part in cut_query(line, SHOWN_QUERY).splitlines()]
        if line.parameters:
            said.append(f"  with {line.parameters}")
        said.append(f"  {_where(line, attached)}")
        said.append(f"  incident {line.member.incident_id}, looked after by {line.member.owner}")
        said.append(f"  runbook {line.runbook}")
        parts.append("\n".join(said))
    if in_short:
        parts.append("\n".join(short_text(line) for line in in_short))
    parts += [wrapped(said) for said in (elsewhere, omitted_text(notice.omitted)) if said is not None]
    parts.append(f"Notice {notice.notice_id}")
    return "\n\n".join([*parts, ""])


def _names_file(lines: tuple[Line, ...]) -> Attachment:
    """All members in a line each, for those that the mail has no room for."""
    named = "\n".join(f"{line.member.incident_id}  {short_text(line)}" for line in lines)
    return Attachment(_NAMES_FILE, "text/plain", f"{named}\n".encode())


def _file_name(member: Member) -> str:
    return f"{member.incident_id}.sql"


def _sql_files(notice: Notice, lines: tuple[Line, ...]) -> tuple[Attachment, ...]:
    """The SQL of the first members, as far as there is room: a file each."""
    files: list[Attachment] = []
    room = LARGEST_SQL_FILES
    for line in lines:
        if not line.member.sql or any(file.file_name == _file_name(line.member) for file in files):
            continue
        content = _sql_file(line.member).encode("utf-8", "replace")
        if len(content) <= room:
            room -= len(content)
            files.append(Attachment(_file_name(line.member), "text/plain", content))
    return tuple(files)


def _sql_file(member: Member) -> str:
    """The query of the rows and that of the rule, after a comment with what they are asked with."""
    # JSON has no line ends, so that nothing that people typed leaves the comment
    given = [f"--   {name} = {json.dumps(value)}" for name, value in member.parameters.items()]
    return "\n".join(
        [
            f"-- Incident {member.incident_id}, rule {member.rule}: parameters, as it was opened",
            *given,
            "-- Both read a published night: set almanac_as_of for the session first, in DuckDB by",
            "--   set variable almanac_as_of = timestamp '...'",
            "-- in PostgreSQL by",
            "--   select set_config('almanac.as_of', '...', false)",
            "",
            "-- The rows that contribute most; $scope_id, $window_start and $window_end are parameters.",
            f"{member.evidence_query.strip() or 'select null as no_query'};",
            "",
            "-- The rule, of all its scopes.",
            f"{member.sql.strip().rstrip(';')};",
            "",
        ]
    )
