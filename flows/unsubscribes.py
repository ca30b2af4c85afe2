"""Who does not want a review any more: the signed links by which people leave, and the list that is kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime
from urllib.parse import quote

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from flows.errors import UsageError
from flows.ops_store import deliveries

unsubscribes = deliveries.unsubscribes

KINDS = ("weekly", "monthly", "all")


def token(address: str, kind: str, secret: str) -> str:
    """What a link carries: who leaves what, signed."""
    said = json.dumps([address, kind], separators=(",", ":")).encode()
    return f"{_text(said)}.{_text(_signature(said, secret))}"


def parse_token(text: str, secret: str) -> tuple[str, str]:
    """The address and kind of a token that we signed. Raises UsageError for any other."""
    try:
        said, signature = (
            base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in text.split(".")
        )
        if hmac.compare_digest(signature, _signature(said, secret)):
            address, kind = json.loads(said)
            return str(address), str(kind)
    except ValueError:
        pass
    raise UsageError("This unsubscribe link is not one of ours, or was signed with another secret.")


def leave_headers(
    address: str, kind: str, *, secret: str | None, url: str | None, mailto: str | None
) -> tuple[dict[str, str], str | None]:
    """The headers of a mail by which its recipient leaves (RFC 2369, 8058), and the link for its text.

    One click (a POST, without asking back) is only offered where there is a link to post to.
    """
    ways: list[str] = []
    link = None
    if url and secret:
        link = f"{url}{'&' if '?' in url else '?'}token={token(address, kind, secret)}"
        ways.append(f"<{link}>")
    if mailto:
        ways.append(f"<mailto:{mailto}?subject={quote(f'unsubscribe {kind}')}>")
    headers = {"List-Unsubscribe": ", ".join(ways)} if ways else {}
    if link:
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers, link


def unsubscribe(connection: Connection, address: str, kind: str, now: datetime, source: str) -> None:
    """Note that an address leaves; saying so twice is as once."""
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is no kind of review. Write one of {', '.join(KINDS)}.")
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(unsubscribes)
        .values(address=address.lower(), kind=kind, unsubscribed_at=now, source=source)
        .on_conflict_do_nothing()
    )


def resubscribe(connection: Connection, address: str) -> int:
    """Forget that an address left; returns how many kinds it had left."""
    return connection.execute(delete(unsubscribes).where(unsubscribes.c.address == address.lower())).rowcount


def is_unsubscribed(connection: Connection, address: str, kind: str) -> bool:
    """Whether an address wants no review of that kind."""
    return (
        connection.scalar(
            select(unsubscribes.c.address)
            .where(unsubscribes.c.address == address.lower(), unsubscribes.c.kind.in_((kind, "all")))
            .limit(1)
        )
        is not None
    )


def _signature(said: bytes, secret: str) -> bytes:
    return hmac.new(secret.encode(), b"unsubscribe:" + said, hashlib.sha256).digest()


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
