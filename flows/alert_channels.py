"""The channels that the alerts file names, ready to send; what hinders one is told when it is used.

In the outbox a channel is called by its kind and name, `slack:ops`, so that none is taken for those of mails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flows.alert_config import ApprisePart, ChannelPart, SlackPart, WebhookPart, alert_config_of
from flows.channels import Channel, ChannelDown, Parcel
from flows.errors import UsageError
from flows.settings import read_secret

if TYPE_CHECKING:
    from flows.settings import Settings


def outbox_name(name: str, part: ChannelPart) -> str | None:
    """What a channel is called in the outbox; None for one that uses those of mails and files."""
    return f"{part.kind}:{name}" if isinstance(part, SlackPart | WebhookPart | ApprisePart) else None


def alert_channels(settings: Settings) -> dict[str, Channel]:
    """The channels of one's own, by their name in the outbox; nothing without an alerts file."""
    config = alert_config_of(settings)
    found: dict[str, Channel] = {}
    for name, part in config.channels.items() if config else ():
        if (called := outbox_name(name, part)) is not None:
            try:
                found[called] = open_channel(name, part)
            except UsageError as wrong:
                # the others go on
                found[called] = Hindered(called, str(wrong))
    return found


def open_channel(name: str, part: ChannelPart) -> Channel:
    """A channel of its own. Raises UsageError that says what is wrong with its secrets, without them."""
    called = outbox_name(name, part) or name
    if isinstance(part, SlackPart):
        from flows.slack_channel import SlackChannel

        return SlackChannel(called, _secret(part.url_from), part.guard, source=part.url_from)
    if isinstance(part, WebhookPart):
        from flows.webhook_channel import WebhookChannel

        return WebhookChannel(
            called,
            _secret(part.url_from),
            _secret(part.secret_from),
            part.guard,
            source=part.url_from,
            secret_source=part.secret_from,
        )
    if isinstance(part, ApprisePart):
        from flows.apprise_channel import AppriseChannel

        return AppriseChannel(called, _secret(part.url_from), source=part.url_from)
    raise TypeError(f"{name} is sent over the channels of mails")


class Hindered:
    """A channel that cannot be used as things are: what waits for it stays as it is."""

    def __init__(self, name: str, story: str) -> None:
        self.name = name
        self._story = story

    def send(self, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        """Raises ChannelDown."""
        raise ChannelDown(self._story, is_outage=False)

    def was_taken(self, parcel: Parcel) -> None:
        """Nobody is asked."""
        return None

    def close(self) -> None:
        """Nothing is held open."""


def _secret(variable: str) -> str:
    value = read_secret(variable)
    if value is None:
        raise UsageError(f"{variable}, which the alerts file names, is not set. Set it, or correct the file.")
    return value
