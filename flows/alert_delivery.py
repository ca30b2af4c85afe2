"""Notices into the outbox: a message per channel that wants it, as one with what moved the incidents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from flows.alert_channels import outbox_name
from flows.alert_config import (
    AlertConfig,
    ApprisePart,
    ChannelPart,
    FilePart,
    MailPart,
    SlackPart,
    alert_config_of,
)
from flows.alert_evaluator import DIGEST
from flows.alert_rules import Severity
from flows.channels import JSON
from flows.errors import UsageError
from flows.outbox import ALERT, Delivery, enqueue
from flows.review_issue import recipients_of
from flows.review_scopes import PLATFORM
from reports import message
from reports.notice import TEST, Notice
from reports.notice_json import notice_json
from reports.notice_mail import notice_mail
from reports.notice_slack import slack_payload
from reports.notice_text import notice_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from flows.recipients import Recipients
    from flows.settings import Settings

RUNBOOKS = "docs/alerts.md"
# The channel of those who have no alerts file.
OPERATORS = "operators"


def notice_enqueuer(
    settings: Settings, now: Callable[[Connection], datetime]
) -> Callable[[Connection, Notice], None]:
    """What puts a notice into the outbox, for every channel that wants it; nothing where nobody is named."""
    recipients = recipients_of(settings)
    config = alert_config_of(settings)
    require_sender(config, recipients)

    def put(connection: Connection, notice: Notice) -> None:
        wanted = deliveries_of(notice, recipients, config, runbook_url=settings.runbook_url)
        enqueue(connection, now(connection), [entry for _, found in wanted for entry in found])

    return put


def require_sender(config: AlertConfig | None, recipients: Recipients | None) -> None:
    """Raise UsageError when channels mail and nobody is named as the sender."""
    for name, part in config.channels.items() if config else ():
        if isinstance(part, MailPart) and recipients is None:
            raise UsageError(
                f"Channel {name} of the alerts file mails, and ALMANAC_RECIPIENTS, whose file names the "
                "sender, is not set. Set it, or take the channel out."
            )
        if isinstance(part, MailPart) and part.to is None and recipients and not recipients.operators:
            raise UsageError(
                f"Channel {name} of the alerts file mails the operators, and the recipients file names none. "
                "Name them there, or write `to:` here."
            )


def deliveries_of(
    notice: Notice,
    recipients: Recipients | None,
    config: AlertConfig | None,
    *,
    runbook_url: str | None = None,
) -> Iterator[tuple[str, list[Delivery]]]:
    """Channels by name, each with its messages of a notice; the same notice gives the same ids.

    An address that several channels mail gets one mail, of the first of them, with what all of them want.
    `runbook_url` is ALMANAC_RUNBOOK_URL, which that of the alerts file overrules.
    """
    if config is None:
        if recipients is not None:
            yield OPERATORS, _mails(notice, recipients, recipients.operators, runbook_url or RUNBOOKS)
        return
    runbooks = config.runbook_base_url or runbook_url or RUNBOOKS
    mailed = _mailed(notice, recipients, config)
    for name, part in config.channels.items():
        if isinstance(part, MailPart):
            assert recipients is not None
            yield (
                name,
                [
                    mail
                    for address, (first, wanted) in mailed.items()
                    if first == name
                    for mail in _mails(wanted, recipients, [address], runbooks)
                ],
            )
        elif (wanted := wanted_part(notice, part)) is None:
            yield name, []
        else:
            yield name, [_post(wanted, name, part, runbooks)]


def _mailed(
    notice: Notice, recipients: Recipients | None, config: AlertConfig
) -> Mapping[str, tuple[str, Notice]]:
    """By address: the first channel that mails it something of a notice, and all that it is mailed."""
    found: dict[str, tuple[str, Notice]] = {}
    for name, part in config.channels.items():
        if not isinstance(part, MailPart) or (wanted := wanted_part(notice, part)) is None:
            continue
        assert recipients is not None
        for address in part.to or recipients.operators:
            first, before = found.get(address, (name, wanted))
            found[address] = (first, _both(notice, before, wanted))
    return found


def _both(notice: Notice, one: Notice, other: Notice) -> Notice:
    """What either of two parts of a notice holds, in its order."""
    wanted = {(member.incident_id, member.event) for member in (*one.members, *other.members)}
    members = tuple(member for member in notice.members if (member.incident_id, member.event) in wanted)
    replies_to = notice.replies_to if members[0] is notice.members[0] else None
    return replace(notice, members=members, omitted={**one.omitted, **other.omitted}, replies_to=replies_to)


def wanted_part(notice: Notice, part: ChannelPart) -> Notice | None:
    """What of a notice a channel gets: incidents severe enough, of its families and organizations.

    A digest, whose incidents are of all families, passes any choice of families. A test passes everything.
    """
    if notice.family == TEST:
        return notice
    if part.families is not None and notice.family not in (*part.families, DIGEST):
        return None
    loud = {str(severity) for severity in Severity if severity.rank >= part.min_severity.rank}
    members = tuple(
        member
        for member in notice.members
        if member.severity in loud
        and (part.organizations is None or member.organization_id in part.organizations)
    )
    # the counts of a digest are not known by organization
    omitted = {
        severity: count
        for severity, count in notice.omitted.items()
        if severity in loud and part.organizations is None
    }
    if not members:
        return None
    # what it follows up is what opened its first member
    replies_to = notice.replies_to if members[0] is notice.members[0] else None
    return replace(notice, members=members, omitted=omitted, replies_to=replies_to)


def _mails(notice: Notice, recipients: Recipients, addresses: Sequence[str], runbooks: str) -> list[Delivery]:
    """A mail for each address, in answer to that of the opener."""
    parts = notice_mail(notice, runbooks=runbooks)
    domain = recipients.sender.list_domain
    found = []
    for address in addresses:

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
                attachments=parts.attachments,
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


def _post(notice: Notice, name: str, part: ChannelPart, runbooks: str) -> Delivery:
    """The one message of a channel that is no mail."""
    if isinstance(part, SlackPart):
        content = slack_payload(notice, runbooks=runbooks)
    elif isinstance(part, ApprisePart):
        content = notice_text(notice, runbooks=runbooks)
    else:
        content = notice_json(notice, runbooks=runbooks)
    channel = "file" if isinstance(part, FilePart) else outbox_name(name, part)
    assert channel is not None
    # the webhook-id of every try: it says nothing, and fits a header
    digest = hashlib.sha256(f"{notice.notice_id} {channel} {name}".encode()).hexdigest()
    return Delivery(
        ALERT, str(PLATFORM), notice.notice_id, 1, name, channel, f"msg_{digest[:32]}", content, JSON
    )
