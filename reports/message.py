"""The mail itself: one recipient's message, from its parts to its bytes.

Knows nothing of reviews. The same parts give the same bytes: boundaries come from the content, date and
Message-ID from the caller. What people typed cannot become a header: control characters and encoded words are
taken apart before, and the finished bytes are read again and compared with what was meant, because Python
before 3.11.10 writes some of them as line ends (CVE-2024-6923).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import format_datetime
from typing import cast

from reports import ReportError
from reports.formats import safe_label

# Bytes: from about 102,000 on Gmail shows a part and a link.
LARGEST_HTML = 60_000
LONGEST_HEADER = 200  # characters of text that people typed

_ENCODED_WORD = re.compile(r"=\?|\?=")
_NO_HEADER_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._+-]{1,200}@[A-Za-z0-9.-]{1,200}>")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_LONGEST_LINE = 998  # bytes, as SMTP has it


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG that the HTML shows as `cid:<name>`; `alt` says what it shows."""

    name: str
    content: bytes
    alt: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that comes with the mail; text is UTF-8."""

    file_name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """Everything a message is made of. `date` is naive UTC."""

    sender: str
    recipient: str
    subject: str
    html: str
    text: str
    message_id: str
    date: datetime
    reply_to: str | None = None
    pictures: tuple[Picture, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def message_id(domain: str, kind: str, scope: str, period: str, edition: int, recipient: str) -> str:
    """The same for every attempt to send the same edition to the same person, and for nothing else."""
    whose = hashlib.sha256(scope.encode()).hexdigest()[:16]
    whom = hashlib.sha256(recipient.lower().encode()).hexdigest()[:16]
    return f"<{kind}.{whose}.{period}.{edition}.{whom}@{domain}>"


def header_text(text: str) -> str:
    """Text that people typed as a header may carry it: one line, no encoded word, not endless."""
    return _ENCODED_WORD.sub(" ", safe_label(text, cap=LONGEST_HEADER))


def build(mail: Mail) -> bytes:
    """The message as SMTP carries it. Raises ReportError when it would not say what was meant."""
    if (size := len(mail.html.encode("utf-8"))) > LARGEST_HTML:
        raise ReportError(
            f"the mail's HTML has {size:,} bytes; more than {LARGEST_HTML:,} do not arrive whole"
        )
    meant = {
        "From": mail.sender,
        "To": mail.recipient,
        **({"Reply-To": mail.reply_to} if mail.reply_to else {}),
        "Subject": mail.subject,
        "Date": format_datetime(mail.date.replace(tzinfo=UTC)),
        "Message-ID": mail.message_id,
        **mail.headers,
    }
    _require_harmless(mail, meant)
    try:
        message = _assembled(mail, meant)
        _set_boundaries(message, mail)
        built = message.as_bytes()
        read = message_from_bytes(built, policy=default)
        people = {name: read[name].addresses for name in ("From", "To", "Reply-To") if name in meant}
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        # what the library's parser of headers raises, besides ValueError, for addresses that are none
        raise ReportError(f"the mail to {mail.recipient[:80]!r} cannot be written: {error}") from error
    for name, addresses in people.items():
        if len(addresses) != 1:
            raise ReportError(f"the mail's header {name} must name one address: {meant[name][:80]!r}")
    if not built.isascii() or max(len(line) for line in built.split(b"\r\n")) >= _LONGEST_LINE:
        raise ReportError("the mail has bytes or lines that not every server takes")
    _require_meant(read, meant)
    return built


def _require_harmless(mail: Mail, meant: Mapping[str, str]) -> None:
    for name, value in meant.items():
        if _NO_HEADER_CHARACTER.search(value) or "=?" in value:
            raise ReportError(f"the mail's header {name} holds what no header may: {value[:80]!r}")
    if not _MESSAGE_ID.fullmatch(mail.message_id):
        raise ReportError(f"{mail.message_id[:80]!r} is no Message-ID")
    for file_name in (*(file.file_name for file in mail.attachments), *(part.name for part in mail.pictures)):
        if not _FILE_NAME.fullmatch(file_name):
            raise ReportError(f"{file_name[:80]!r} is no name for a file of a mail")


def _assembled(mail: Mail, meant: Mapping[str, str]) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    for name, value in meant.items():
        message[name] = value
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    page = message.get_payload()[1]  # type: ignore[index]
    assert isinstance(page, EmailMessage)
    for picture in mail.pictures:
        page.add_related(
            picture.content,
            maintype="image",
            subtype="png",
            cid=f"<{picture.name}>",
            filename=f"{picture.name}.png",
            disposition="inline",
        )
    for attachment in mail.attachments:
        maintype, _, subtype = attachment.media_type.partition("/")
        message.add_attachment(
            attachment.content,
            maintype=maintype,
            subtype=subtype,
            filename=attachment.file_name,
            params={"charset": "utf-8"} if maintype == "text" else None,
        )
    return message


def _set_boundaries(message: EmailMessage, mail: Mail) -> None:
    digest = hashlib.sha256(mail.message_id.encode())
    for part in (mail.html, mail.text):
        digest.update(part.encode("utf-8"))
    seed = digest.hexdigest()[:24]
    number = 0
    for entity in cast(Iterator[EmailMessage], message.walk()):
        if entity.is_multipart():
            number += 1
            # "=_" begins no line of quoted-printable or base64
            entity.set_boundary(f"=_almanac_{number}_{seed}")


def _require_meant(read: EmailMessage, meant: Mapping[str, str]) -> None:
    ours = {"mime-version", "content-type"}
    found = {name: str(value) for name, value in read.items() if name.lower() not in ours}
    if list(found) != list(meant) or len(found) + len(ours & {n.lower() for n in read}) != len(read.keys()):
        raise ReportError(f"the mail's headers read back as {sorted(read.keys())}, not as they were meant")
    for name, value in meant.items():
        if " ".join(found[name].split()) != " ".join(value.split()):
            raise ReportError(f"the mail's header {name} reads back as {found[name][:80]!r}")
    if read.defects:
        raise ReportError(f"the mail reads back with defects: {read.defects}")
