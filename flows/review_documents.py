"""One edition's documents and messages, made in a process of their own: the page, the PDF, the tables, the mails.

Nothing here reads or writes anything: what comes in is drawn, and bytes come back. The same order gives the
same bytes, whatever the machine, its clock, zone and locale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.mail import MailParts
    from reports.review import Review

# Bytes; what is larger is left out of mails, which say so: servers refuse much larger ones.
LARGEST_ATTACHMENT = 5_000_000

HTML, PDF, KPIS = "review.html", "review.pdf", "kpis.csv"
MEDIA_TYPES = {HTML: "text/html", PDF: "application/pdf", KPIS: "text/csv", "mail.eml": "message/rfc822"}
# As mails, lists and file names are read by people and sorted by machines.
PICTURE_WIDTH = 1200  # pixels: 400 wide, three times as dense


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose mails they are; see flows.recipients."""

    address: str
    reply_to: str | None
    list_domain: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """One recipient of an edition, and the headers by which it is left."""

    address: str
    dates: str
    unsubscribe_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made of one review."""

    review: Review
    # whose and when, as the outbox names them
    scope: str
    period: str
    dates: tuple[str, ...]
    sender: Sender | None = None
    envelopes: tuple[Envelope, ...] = ()
    # without, when it could not be drawn: the mail still goes, and says so
    with_pdf: bool = True


@dataclass(frozen=True, slots=True)
class Document:
    """One document of an edition, in one locale of dates."""

    name: str
    dates: str
    content: bytes

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.name]


@dataclass(frozen=True, slots=True)
class Message:
    """One recipient's mail, ready to be sent."""

    address: str
    message_id: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Documents:
    """What came of an order."""

    files: tuple[Document, ...]
    messages: tuple[Message, ...]


def make_documents(order: Order) -> Documents:
    """Draw the documents and write the messages. Raises ReportError for what cannot be drawn whole."""
    from reports import render

    files: list[Document] = []
    for dates in order.dates:
        files.append(Document(HTML, dates, render.render_html(order.review, dates=dates).encode("utf-8")))
        if order.with_pdf:
            files.append(Document(PDF, dates, render.render_pdf(order.review, dates=dates)))
    files.append(Document(KPIS, order.dates[0], render.kpis_csv(order.review)))
    pdfs = {file.dates: file.content for file in files if file.name == PDF}
    messages = tuple(_message(order, envelope, pdfs.get(envelope.dates)) for envelope in order.envelopes)
    return Documents(tuple(files), messages)


def _message(order: Order, envelope: Envelope, pdf: bytes | None) -> Message:
    from reports import mail, message

    assert order.sender is not None, "an order with envelopes has a sender"
    review = order.review
    attached = pdf if pdf is not None and len(pdf) <= LARGEST_ATTACHMENT else None
    parts = mail.mail_parts(
        review,
        dates=envelope.dates,
        unsubscribe_url=envelope.unsubscribe_url,
        has_pdf=attached is not None,
    )
    identity = message.message_id(
        order.sender.list_domain,
        review.verdict.review_kind,
        order.scope,
        order.period,
        str(review.edition.number),
        recipient=envelope.address,
    )
    built = message.build(
        message.Mail(
            sender=order.sender.address,
            recipient=envelope.address,
            reply_to=order.sender.reply_to,
            subject=parts.subject,
            html=parts.html,
            text=parts.text,
            pictures=_pictures(parts),
            attachments=(
                (message.Attachment(_file_name(order), "application/pdf", attached),) if attached else ()
            ),
            message_id=identity,
            date=review.verdict.built_at_as_of,
            headers={
                "List-Id": f"<{review.verdict.review_kind}-review.{order.sender.list_domain}>",
                "Auto-Submitted": "auto-generated",
                **envelope.headers,
            },
        )
    )
    return Message(envelope.address, identity, built)


def _file_name(order: Order) -> str:
    from flows.review_scopes import parse_scope

    return (
        f"{order.review.verdict.review_kind}-review-{order.period}-{parse_scope(order.scope).file_name}.pdf"
    )


def _pictures(parts: MailParts) -> tuple[object, ...]:
    from reports import message

    return tuple(message.Picture(name, _png(svg), alt) for name, svg, alt in parts.pictures)


@cache
def _png(svg: str) -> bytes:
    from markupsafe import Markup

    from reports.png import png

    return png(Markup(svg), width_px=PICTURE_WIDTH)
