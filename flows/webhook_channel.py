"""The channel that posts JSON to a receiver of one's own, signed as Standard Webhooks says.

The id of a message stays the same however often it is sent: a receiver that keeps the ids it has seen takes
each once. The signature covers id, time and body, and is made anew for each try.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime

from flows.channels import Parcel
from flows.errors import UsageError
from flows.outbound_http import Guard, parse_target, post, require_taken

FEWEST_BYTES, MOST_BYTES = 24, 64  # of a secret, as the specification has it

_ADVICE = {
    401: "the receiver does not accept the signature: compare the secrets",
    403: "the receiver does not accept the signature, or nothing from here",
    404: "nothing is there: correct the URL",
    410: "the receiver wants no more: correct the URL, or take the channel out of the alerts file",
    413: "the receiver takes no message as large as this one",
}


def parse_secret(text: str, *, source: str) -> bytes:
    """The key of a `whsec_…` secret. Raises UsageError, which names `source` and not the secret."""
    encoded = text.removeprefix("whsec_").rstrip("=")
    try:
        # strictly: left-out characters, those of URL-safe base64 among them, would make another key
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith("whsec_") or not FEWEST_BYTES <= len(key) <= MOST_BYTES:
        raise UsageError(
            f"{source} holds no signing secret: whsec_ and the base64 (with + and /, not - and _) of "
            f"{FEWEST_BYTES} to {MOST_BYTES} random bytes. "
            'Make one: echo "whsec_$(openssl rand -base64 32)"'
        )
    return key


class WebhookChannel:
    """Posts to one receiver."""

    def __init__(
        self,
        name: str,
        url: str,
        secret: str,
        guard: Guard,
        *,
        source: str,
        secret_source: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Raises UsageError, which names the sources alone, when URL or secret is none."""
        from standardwebhooks import Webhook

        self.name = name
        self._guard = guard
        self._target = parse_target(url, guard, source=source)
        self._webhook = Webhook(parse_secret(secret, source=secret_source))
        self._now = now

    def send(self, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        """One POST; raises what `Channel` says."""
        moment = self._now()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": parcel.message_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": self._webhook.sign(
                parcel.message_id, moment, parcel.content.decode("utf-8")
            ),
        }
        answer = post(self._target, parcel.content, headers, self._guard, handing_over)
        require_taken(answer, self._target, advice=_ADVICE)

    def was_taken(self, parcel: Parcel) -> None:
        """The receiver is not asked: it knows what it has by its id."""
        return None

    def close(self) -> None:
        """Nothing is held open."""
