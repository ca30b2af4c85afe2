"""Where messages go: what every channel does, and how it says that it could not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

MAIL = "message/rfc822"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message for one recipient, as bytes of its media type; where it goes besides."""

    kind: str
    scope: str
    period: str
    edition: int
    recipient: str
    message_id: str
    content: bytes
    media_type: str = MAIL


class TryLater(Exception):
    """This message was not taken now and may be later.

    `wait`: how long the receiver asks to be left alone. `is_outage`: the channel is at fault, not the
    message.
    """

    def __init__(self, story: str, *, wait: timedelta | None = None, is_outage: bool = False) -> None:
        super().__init__(story)
        self.wait = wait
        self.is_outage = is_outage


class Refused(Exception):
    """This message will never be taken."""


class NobodyKnows(Exception):
    """The message was handed over and nothing confirmed it: it may have arrived. `is_outage` as above."""

    def __init__(self, story: str, *, is_outage: bool = False) -> None:
        super().__init__(story)
        self.is_outage = is_outage


class ChannelDown(Exception):
    """The channel takes nothing at all: no server, wrong password, no trustworthy connection.

    `is_outage` is false when nothing was tried because a setting is missing: the next run reads it anew.
    """

    def __init__(self, story: str, *, is_outage: bool = True) -> None:
        super().__init__(story)
        self.is_outage = is_outage


class Channel(Protocol):
    """One way out. `send` returns when the message is taken, and raises one of the above otherwise."""

    name: str

    def send(self, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        """Send; calls `handing_over` once, right before what makes the message the receiver's."""
        ...

    def was_taken(self, parcel: Parcel) -> bool | None:
        """Whether a message that somebody may have sent has arrived; None where nobody can be asked."""
        ...

    def close(self) -> None: ...
