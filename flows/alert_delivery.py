"""Notices into the outbox: one message per operator, in the transaction that moved the incidents."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flows.outbox import ALERT, Delivery, enqueue
from flows.review_issue import recipients_of
from flows.review_scopes import PLATFORM
from reports import message
from reports.notice import Notice
from reports.notice_mail import notice_mail

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from flows.recipients import Recipients
    from flows.settings import Settings

RUNBOOKS = "docs/alerts.md"


def notice_enqueuer(
    settings: Settings, now: Callable[[Connection], datetime]
) -> Callable[[Connection, Notice], None]:
    """What puts a notice into the outbox: a mail for every operator; nothing where none is named."""
    recipients = recipients_of(settings)

    def put(connection: Connection, notice: Notice) -> None:
        if recipients is not None:
            enqueue(connection, now(connection), deliveries_of(notice, recipients))

    return put


def deliveries_of(notice: Notice, recipients: Recipients) -> list[Delivery]:
    """The messages of a notice; the same notice gives the same Message-IDs, and answers its opener's."""
    parts = notice_mail(notice, runbooks=RUNBOOKS)
    domain = recipients.sender.list_domain
    found = []
    for address in recipients.operators:

        def identity(notice_id: str, address: str = address) -> str:
            return message.message_id(domain, ALERT, str(PLATFORM), notice_id, 1, address)

        headers = {"Auto-Submitted": "auto-generated"}
        if notice.replies_to is not None:
            headers |= {"In-Reply-To": identity(notice.replies_to), "References": identity(notice.replies_to)}
        content = message.build(
            message.Mail(
                sender=recipients.sender.address,
                recipient=address,
                reply_to=recipients.sender.reply_to,
                subject=parts.subject,
                html=parts.html,
                text=parts.text,
                message_id=identity(notice.notice_id),
                date=notice.made_at,
                headers=headers,
            )
        )
        found.append(
            Delivery(
                ALERT,
                str(PLATFORM),
                notice.notice_id,
                1,
                address,
                recipients.channel,
                identity(notice.notice_id),
                content,
            )
        )
    return found
