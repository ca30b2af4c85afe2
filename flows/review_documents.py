"""One edition's documents and messages, made in a process of their own: page, PDF, tables, mails.

Nothing here reads or writes anything: what comes in is drawn, and bytes come back. The same order gives the
same bytes, whatever the machine, its clock, zone and locale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flows.review_scopes import parse_scope

if TYPE_CHECKING:
    from reports.review import Review

# Bytes; what is larger stays out of mails, which say so: servers refuse much larger ones.
LARGEST_ATTACHMENT = 5_000_000
PICTURE_WIDTH = 1200  # pixels: shown 400 wide, three times as dense

HTML, PDF, KPIS, PARTS = "review.html", "review.pdf", "kpis.csv", "parts.csv"
MEDIA_TYPES = {HTML: "text/html", PDF: "application/pdf", KPIS: "text/csv", PARTS: "text/csv"}


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose mails they are; see flows.recipients."""

    address: str
    reply_to: str | None
    list_domain: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """One recipient of an edition, and the headers by which one leaves."""

    address: str
    dates: str
    unsubscribe_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made of one review; scope and period as people write them."""

    review: Review
    scope: str
    period: str
    # locales of dates; the first one is that of the files
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
    from reports import render  # Jinja, and WeasyPrint's 0.6 s: only those who render pay

    files: list[Document] = []
    for dates in order.dates:
        files.append(Document(HTML, dates, render.render_html(order.review, dates=dates).encode("utf-8")))
        if order.with_pdf:
            files.append(Document(PDF, dates, render.render_pdf(order.review, dates=dates)))
    files.append(Document(KPIS, order.dates[0], render.kpis_csv(order.review)))
    if order.review.part_rows:
        files.append(Document(PARTS, order.dates[0], render.parts_csv(order.review)))
    pdfs = {file.dates: file.content for file in files if file.name == PDF}
    pictures: dict[str, bytes] = {}
    messages = tuple(
        _message(order, envelope, pdfs.get(envelope.dates), pictures) for envelope in order.envelopes
    )
    return Documents(tuple(files), messages)


def _message(order: Order, envelope: Envelope, pdf: bytes | None, drawn: dict[str, bytes]) -> Message:
    from reports import mail, message
    from reports.png import png

    assert order.sender is not None, "an order with envelopes has a sender"
    verdict = order.review.verdict
    attached = pdf if pdf is not None and len(pdf) <= LARGEST_ATTACHMENT else None
    parts = mail.review_mail(
        order.review,
        dates=envelope.dates,
        has_pdf=attached is not None,
        unsubscribe_url=envelope.unsubscribe_url,
    )
    for picture in parts.pictures:
        if picture.name not in drawn:  # the same for every recipient
            drawn[picture.name] = png(picture.svg, width_px=PICTURE_WIDTH)
    identity = message.message_id(
        order.sender.list_domain,
        verdict.review_kind,
        order.scope,
        order.period,
        order.review.edition.number,
        envelope.address,
    )
    content = message.build(
        message.Mail(
            sender=order.sender.address,
            recipient=envelope.address,
            reply_to=order.sender.reply_to,
            subject=parts.subject,
            html=parts.html,
            text=parts.text,
            pictures=tuple(
                message.Picture(picture.name, drawn[picture.name], picture.alt) for picture in parts.pictures
            ),
            attachments=(
                (message.Attachment(_file_name(order), MEDIA_TYPES[PDF], attached),) if attached else ()
            ),
            message_id=identity,
            date=verdict.built_at_as_of,
            headers={
                "List-Id": f"<{verdict.review_kind}-review.{order.sender.list_domain}>",
                "Auto-Submitted": "auto-generated",
                **envelope.headers,
            },
        )
    )
    return Message(envelope.address, identity, content)


def _file_name(order: Order) -> str:
    scope = parse_scope(order.scope).file_name
    return f"{order.review.verdict.review_kind}-review-{order.period}-{scope}.pdf"
