"""The channel that posts to a Slack incoming webhook, or to a program that takes the same payload."""

from __future__ import annotations

from collections.abc import Callable

from flows.channels import Parcel
from flows.outbound_http import Guard, Target, parse_target, post, require_taken

_MAKE_ANOTHER = "make a new incoming webhook in Slack and put its URL into the variable"
_ADVICE = {
    400: "Slack does not take this payload",
    403: f"the webhook was revoked or may not post there: {_MAKE_ANOTHER}",
    404: f"the channel or its webhook is gone: {_MAKE_ANOTHER}",
    410: f"the channel is archived: restore it, or {_MAKE_ANOTHER}",
}


class SlackChannel:
    """Posts to one webhook; the URL is the only key, so it is told nowhere."""

    def __init__(self, name: str, url: str, guard: Guard, *, source: str) -> None:
        """Raises UsageError, which names `source` and not the URL, when that is none."""
        self.name = name
        self._guard = guard
        self._target: Target = parse_target(url, guard, source=source)

    def send(self, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        """One POST; raises what `Channel` says."""
        headers = {"Content-Type": "application/json; charset=utf-8"}
        answer = post(self._target, parcel.content, headers, self._guard, handing_over)
        require_taken(answer, self._target, advice=_ADVICE)

    def was_taken(self, parcel: Parcel) -> None:
        """An incoming webhook cannot be asked."""
        return None

    def close(self) -> None:
        """Nothing is held open."""
