"""The recipients file: whose reviews go to whom, how often, and from whom they come.

YAML, read whole and checked whole: every mistake is told at once, with its line. Nothing is sent to anybody
who is not in it; without the file nothing is sent at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.errors import MessageError
from email.headerregistry import Address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from flows.checked_yaml import Mistake, load
from flows.errors import UsageError
from flows.review_scopes import Kind, Scope, parse_scope

_LOCAL = re.compile(r"[^\s\x00-\x1f\x7f@,;:<>()\[\]\\\"]{1,64}")
_DOMAIN = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


def _address(text: str) -> str:
    """A bare address, its domain in lower case."""
    local, at, domain = text.rpartition("@")
    if not at or "=?" in text or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise ValueError(f"{text[:80]!r} is not a mail address such as ann@example.com")
    return f"{local}@{domain.lower()}"


def _named_address(text: str) -> str:
    """An address, perhaps with a name before it: LLM Almanac <almanac@example.com>."""
    match = re.fullmatch(r"\s*(?P<name>[^<>\r\n\x00]*?)\s*<(?P<address>[^<>]+)>\s*", text)
    if not match:
        return _address(text.strip())
    name = match["name"].strip('"')
    if "=?" in name or not name.isprintable():
        raise ValueError("the name before the address holds characters that a header must not")
    try:
        return str(Address(display_name=name, addr_spec=_address(match["address"])))
    except (MessageError, ValueError) as error:
        raise ValueError(f"{text[:80]!r} is not an address with a name: {error}") from None


def _link(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or not re.fullmatch(r"[!-~]+", text) or ">" in text:
        raise ValueError("it must be a link such as https://almanac.example.com/unsubscribe")
    return text


def _scope(text: str) -> Scope:
    try:
        return parse_scope(text)
    except UsageError as error:
        raise ValueError(str(error)) from None


MailAddress = Annotated[str, AfterValidator(_address)]
# By pydantic's type of error: what its own words do not say.
_PROBLEMS = {
    "extra_forbidden": "there is no such setting; docs/operations.md lists them under Reviews and mail",
    "missing": "is missing",
}

Dates = Literal["en-GB", "en-US", "iso"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SenderPart(_Part):
    """From whom mails come, and how people leave."""

    address: Annotated[str, AfterValidator(_named_address)] = Field(alias="from")
    # the envelope's sender, where servers return what they cannot deliver
    bounces: MailAddress
    reply_to: MailAddress | None = None
    # of Message-ID and List-Id
    list_domain: Annotated[
        str, Field(pattern=_DOMAIN.pattern.replace("(?=.{1,253}$)", "^") + "$", max_length=253)
    ]
    unsubscribe_url: Annotated[str, AfterValidator(_link)] | None = None
    unsubscribe_mailto: MailAddress | None = None


class ReviewPart(_Part):
    """One scope's reviews and who gets them."""

    scope: Annotated[str, AfterValidator(lambda text: str(_scope(text)))]
    to: Annotated[list[MailAddress], Field(min_length=1, max_length=1000)]
    send: Annotated[list[Kind], Field(min_length=1)] = [Kind.WEEKLY, Kind.MONTHLY]
    dates: Dates = "en-GB"


class Recipients(_Part):
    """The whole file."""

    sender: SenderPart
    # file: .eml files in the data folder; mail: ALMANAC_SMTP_URL
    channel: Literal["file", "mail"] = "file"
    operators: list[MailAddress] = []
    # which later editions of a restated period are sent
    corrections: Literal["material", "all", "none"] = "material"
    # what a tenant gets of a period in which it did nothing
    quiet_periods: Literal["short", "none"] = "short"
    reviews: list[ReviewPart] = []

    def scopes(self, kind: Kind) -> list[Scope]:
        """Whose reviews of a kind somebody gets."""
        return sorted({parse_scope(part.scope) for part in self.reviews if kind in part.send})

    def of(self, kind: Kind, scope: Scope) -> list[tuple[str, str]]:
        """Who gets a review: addresses, each with its locale of dates."""
        return [
            (address, part.dates)
            for part in self.reviews
            if part.scope == str(scope) and kind in part.send
            for address in part.to
        ]


def load_recipients(path: Path) -> Recipients:
    """Read the file. Raises UsageError that names each mistake with its line."""
    return load(
        path,
        Recipients,
        name="recipients file",
        setting="ALMANAC_RECIPIENTS",
        problems=_PROBLEMS,
        contradictions=_named_twice,
        ending="nothing was sent",
    )


def _named_twice(recipients: Recipients) -> Iterator[Mistake]:
    """Where somebody would get the same review a second time."""
    seen: set[tuple[str, str, str]] = set()
    for number, part in enumerate(recipients.reviews):
        for position, address in enumerate(part.to):
            keys = {(part.scope, address.lower(), kind.value) for kind in part.send}
            for scope, _, kind in sorted(keys & seen):
                place = ("reviews", number, "to", position)
                yield place, f"{address} would get the {kind} review of {scope} twice"
            seen |= keys
