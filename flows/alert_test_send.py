"""A test notice through each channel, now: it is no incident, is kept nowhere, and says that it is a test."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from flows.alert_config import alert_config_of
from flows.alert_delivery import OPERATORS, deliveries_of, require_sender
from flows.channel_circuits import close_circuit
from flows.channels import MAIL, Channel, ChannelDown, NobodyKnows, Parcel, Refused, TryLater
from flows.errors import AlmanacError, UsageError
from flows.ops_store import open_ops_store
from flows.review_issue import recipients_of
from flows.review_run import channels
from reports.notice import TEST, Member, Notice

if TYPE_CHECKING:
    from flows.outbox import Delivery
    from flows.settings import Settings


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one message of the test; `trouble` is None when it was taken."""

    channel: str
    recipient: str
    trouble: str | None


def notice_of_test(now: datetime) -> Notice:
    """A notice of nothing; each one has an id of its own."""
    number = uuid.uuid4().hex[:12]
    member = Member(
        event="opened",
        incident_id=f"test-{number}",
        rule="channels",
        title="This is a test: nothing is wrong",
        owner="operations",
        severity="info",
        scope_kind="platform",
        scope_id="platform",
        scope_name="platform",
        organization_id=None,
        organization_name=None,
        measure="test messages",
        observed_value=Decimal(1),
        previous_value=None,
        unit="message",
        comparison=">=",
        threshold=Decimal(1),
        clear_threshold=Decimal(1),
        baseline_value=None,
        volume=None,
        window_start=None,
        window_end=None,
        opened_at=now,
        shown_at=None,
        happened_at=now,
        note="sent by almanac alerts test-send; no incident was opened, and there is nothing to do",
    )
    return Notice(f"test-{number}", TEST, None, None, now, now, (member,))


def send_tests(settings: Settings, *, only: str | None = None) -> list[Tried]:
    """Send a test through every channel of the alerts file, or to the operators where there is none.

    A channel that takes it has its circuit closed. Raises UsageError when there is nobody to send to.
    """
    config, recipients = alert_config_of(settings), recipients_of(settings)
    require_sender(config, recipients)
    store = open_ops_store(settings)
    with store.transaction() as connection:
        now = store.now(connection)
    names = list(config.channels) if config else [OPERATORS]
    if only is not None and only not in names:
        raise UsageError(f"There is no channel {only!r}. There are: {', '.join(names)}.")
    if only is not None and config is not None:
        # by itself: an address that another channel mails too is told all the same
        config = config.model_copy(update={"channels": {only: config.channels[only]}})
    wanted = dict(deliveries_of(notice_of_test(now), recipients, config, runbook_url=settings.runbook_url))
    if not any(wanted.values()):
        raise UsageError(
            "Nobody is told of alerts: set ALMANAC_ALERTS, or name operators in the recipients file."
        )
    open_channels = channels(settings)
    tried = []
    try:
        for name, entries in wanted.items():
            for entry in entries:
                trouble = _trouble(open_channels, entry)
                tried.append(Tried(name, entry.recipient, trouble))
                if trouble is None:
                    with suppress(AlmanacError), store.transaction() as connection:
                        close_circuit(connection, entry.channel, store.now(connection))
    finally:
        for channel in open_channels.values():
            channel.close()
    return tried


def _trouble(open_channels: Mapping[str, Channel], entry: Delivery) -> str | None:
    """Send one message; why it was not taken, or None."""
    channel = open_channels.get(entry.channel)
    if channel is None:
        return "ALMANAC_SMTP_URL is not set" if entry.channel == "mail" else "the channel is not set up"
    parcel = Parcel(
        entry.kind,
        entry.scope,
        entry.period,
        entry.edition,
        entry.recipient,
        entry.message_id,
        entry.content,
        entry.media_type or MAIL,
    )
    try:
        channel.send(parcel, lambda: None)
    except (ChannelDown, TryLater, Refused) as failed:
        return str(failed)
    except NobodyKnows as nobody:
        return f"nobody knows whether it arrived: {nobody}"
    return None
