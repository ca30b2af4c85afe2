"""The sign of life for a service that shouts when it stops: a ping after each good night and check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.channels import ChannelDown, NobodyKnows, TryLater
from flows.errors import UsageError
from flows.outbound_http import Guard, parse_target, post

if TYPE_CHECKING:
    from flows.settings import Settings

# Whoever names the URL names it in the environment, where the database's own URL stands: it may be their own.
_GUARD = Guard(allow_private=True, allow_http=True)


def beat(settings: Settings) -> str | None:
    """Ping ALMANAC_HEARTBEAT_URL by a POST; why it did not arrive, or None when it did or none is set.

    Raises nothing: whoever waits for the ping will shout.
    """
    if settings.heartbeat_url is None:
        return None
    try:
        target = parse_target(settings.heartbeat_url, _GUARD, source="ALMANAC_HEARTBEAT_URL")
        answer = post(target, b"ok", {"Content-Type": "text/plain"}, _GUARD, lambda: None)
    except (UsageError, ChannelDown, TryLater, NobodyKnows) as error:
        return str(error)
    return None if 200 <= answer.status < 300 else f"{target} answered {answer.status}"
