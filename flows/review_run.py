"""Reviews as a run does them: those that are due and ready are issued, others held; then the outbox is sent.

Used by the night, by the scheduled reviews and by the command; each says what it did in one report.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from flows.alert_channels import Hindered, alert_channels
from flows.channels import Channel
from flows.errors import AlmanacError, UsageError
from flows.file_channel import FileChannel
from flows.mail_channel import MailChannel, parse_smtp_url
from flows.ops_store import open_ops_store
from flows.outbox import DeliveryReport, deliver
from flows.progress import Progress
from flows.recipients import Recipients
from flows.review_issue import Issuer, IssueReport, hold, recipients_of
from flows.review_readiness import due_period, why_not_ready
from flows.review_scopes import PLATFORM, Kind, Period, Scope
from flows.warehouse import open_warehouse

if TYPE_CHECKING:
    from flows.settings import Settings


@dataclass(slots=True)
class ReviewReport:
    """What one run did about reviews."""

    issued: IssueReport = field(default_factory=IssueReport)
    # a line for each review that is due and cannot go out
    held: list[str] = field(default_factory=list)
    delivered: DeliveryReport | None = None

    def lines(self) -> list[str]:
        """For people, one thing a line."""
        lines = [f"review     {review.html_path}" for review in self.issued.rendered]
        lines += [
            f"edition    {edition.kind} {edition.period} of {edition.scope}: {edition.reason}"
            for edition in self.issued.editions
            if edition.edition > 1
        ]
        lines += [f"held       {line}" for line in self.held]
        lines += [f"failed     {line}" for line in self.issued.failures]
        if self.delivered is not None and (self.delivered.sent or not self.delivered.is_good):
            lines += [f"mail       {line}" for line in str(self.delivered).splitlines()]
        return lines


def issue_due(
    settings: Settings, as_of: datetime, progress: Progress, *, kinds: Sequence[Kind] = tuple(Kind)
) -> ReviewReport:
    """Issue what is due as of a moment and ready, and what was restated; hold what is due and not ready.

    A kind is due when its last period has ended. The platform's review is drawn always, a tenant's when the
    recipients file names somebody for it.
    """
    recipients = recipients_of(settings)
    store = open_ops_store(settings)
    issuer = Issuer(settings, store, recipients, progress)
    report = ReviewReport()
    for kind in kinds:
        period = due_period(kind, as_of, settings.reporting_timezone)
        with closing(open_warehouse(settings)) as connection:
            reason = why_not_ready(connection, kind, period)
        if reason is None:
            report.issued.add(issuer.issue(kind, period, wanted_scopes(recipients, kind)))
        elif recipients is not None:
            report.held.append(f"{kind} review {period.label}: {reason}")
            hold(store, recipients, kind, period, reason, as_of)
    report.issued.add(issuer.issue_restated(kinds))
    return report


def hold_due(settings: Settings, as_of: datetime, reason: str) -> None:
    """A night failed before anything was published: tell the operators which reviews wait for it, once."""
    # whatever is wrong here must not hide why the night failed
    with suppress(AlmanacError):
        recipients = recipients_of(settings)
        if recipients is None or not recipients.operators:
            return
        store = open_ops_store(settings)
        for kind in Kind:
            period = due_period(kind, as_of, settings.reporting_timezone)
            hold(store, recipients, kind, period, f"the night as of {as_of} UTC failed: {reason}", as_of)
        send_outbox(settings)


def issue_chosen(
    settings: Settings, kind: Kind, period: Period, scopes: Sequence[Scope], progress: Progress
) -> ReviewReport:
    """Issue the reviews that somebody asks for, if their period is ready."""
    store = open_ops_store(settings)
    with closing(open_warehouse(settings)) as connection:
        reason = why_not_ready(connection, kind, period)
    if reason is not None:
        raise AlmanacError(f"The {kind} review {period.label} cannot be sent: {reason}.")
    issuer = Issuer(settings, store, recipients_of(settings), progress)
    return ReviewReport(issued=issuer.issue(kind, period, scopes))


def send_outbox(settings: Settings) -> DeliveryReport:
    """Send what waits in the outbox, over the channels that are set up."""
    return deliver(open_ops_store(settings), channels(settings))


def channels(settings: Settings) -> dict[str, Channel]:
    """The ways out: files always, mails where there is a server and a sender, those of the alerts file."""
    found: dict[str, Channel] = {"file": FileChannel(settings.outbox_dir), **alert_channels(settings)}
    recipients = recipients_of(settings)
    if recipients is not None and settings.smtp_url is not None:
        found["mail"] = MailChannel(
            parse_smtp_url(settings.smtp_url),
            envelope_sender=recipients.sender.bounces,
            ca_file=settings.smtp_ca_file,
        )
    elif recipients is not None and recipients.channel == "mail":
        story = (
            f"The recipients file {settings.recipients} asks for mails, and ALMANAC_SMTP_URL is not set. "
            "Set it, such as smtp://user:password@host:587, or write channel: file."
        )
        if settings.alerts is None:
            raise UsageError(story)
        # the channels of alerts go on
        found["mail"] = Hindered("mail", story)
    return found


def wanted_scopes(recipients: Recipients | None, kind: Kind) -> list[Scope]:
    """Whose reviews a run draws."""
    named = recipients.scopes(kind) if recipients else []
    return [PLATFORM, *(scope for scope in named if scope != PLATFORM)]
