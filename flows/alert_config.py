"""The alerts file: through which channels notices leave, and which each of them gets.

YAML, read whole and checked whole, as the recipients file is. It holds no secret: a channel's URL or signing
secret is named by the environment variable that holds it. Without the file, operators are mailed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from flows.alert_rules import Severity
from flows.checked_yaml import Mistake, load
from flows.outbound_http import Guard
from flows.recipients import MailAddress
from flows.settings import SECRET_PREFIX, runbook_link

if TYPE_CHECKING:
    from flows.settings import Settings

KINDS = ("slack", "webhook", "apprise", "mail", "file")
Family = Literal["system", "usage", "security"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_VARIABLE = re.compile(rf"{SECRET_PREFIX}[A-Z0-9_]{{1,80}}")
# By pydantic's type of error: what its own words do not say.
_PROBLEMS = {
    "extra_forbidden": "there is no such setting; docs/operations.md lists them under Channels of alerts",
    "missing": "is missing",
    "union_tag_invalid": f"is of no kind that is known: {', '.join(KINDS)}",
    "union_tag_not_found": f"has no `kind`: {', '.join(KINDS)}",
}


def _variable(text: str) -> str:
    # what stands here may be the secret itself, so it is not repeated
    if not _VARIABLE.fullmatch(text):
        raise ValueError(
            f"it must be the name of an environment variable: {SECRET_PREFIX} and capital letters, digits "
            f"or _, such as {SECRET_PREFIX}SLACK_URL. The secret itself does not belong into this file"
        )
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a channel's name is up to 40 small letters, digits, - and _, such as ops-slack")
    return text


def _file(path: Path) -> Path:
    return path.expanduser().absolute()


Variable = Annotated[str, AfterValidator(_variable)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ChannelPart(_Part):
    """What every channel says: which notices it gets."""

    min_severity: Severity = Severity.info
    # all when it is left out
    families: Annotated[list[Family], Field(min_length=1)] | None = None
    # ids; of all and of the platform when it is left out
    organizations: Annotated[list[str], Field(min_length=1, max_length=1000)] | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the environment variables that it needs."""
        return ()


class _HttpPart(ChannelPart):
    url_from: Variable
    # a receiver in one's own network
    allow_private: bool = False
    allow_http: bool = False
    # of an authority of one's own
    ca_file: Annotated[Path, AfterValidator(_file)] | None = None

    @property
    def guard(self) -> Guard:
        """What its URL may reach."""
        return Guard(self.allow_private, self.allow_http, self.ca_file)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.url_from,)


class SlackPart(_HttpPart):
    """An incoming webhook of Slack, or of a program that takes the same."""

    kind: Literal["slack"]


class WebhookPart(_HttpPart):
    """A POST of JSON, signed as Standard Webhooks says."""

    kind: Literal["webhook"]
    secret_from: Variable

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.url_from, self.secret_from)


class ApprisePart(ChannelPart):
    """Any service that the Apprise library knows by URL."""

    kind: Literal["apprise"]
    url_from: Variable

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.url_from,)


class MailPart(ChannelPart):
    """Mails, over the channel of the recipients file."""

    kind: Literal["mail"]
    # the operators when it is left out
    to: Annotated[list[MailAddress], Field(min_length=1, max_length=100)] | None = None


class FilePart(ChannelPart):
    """A JSON file for each notice, in the data folder."""

    kind: Literal["file"]


AnyPart = Annotated[SlackPart | WebhookPart | ApprisePart | MailPart | FilePart, Field(discriminator="kind")]


class AlertConfig(_Part):
    """The whole file."""

    runbook_base_url: Annotated[str, AfterValidator(runbook_link)] | None = None
    channels: Annotated[
        dict[Annotated[str, AfterValidator(_name)], AnyPart], Field(min_length=1, max_length=100)
    ]

    @property
    def secrets(self) -> set[str]:
        """The names of all environment variables that it names."""
        return {name for part in self.channels.values() for name in part.secrets}


def load_alert_config(path: Path) -> AlertConfig:
    """Read the file. Raises UsageError that names each mistake with its line."""
    return load(
        path,
        AlertConfig,
        name="alerts file",
        setting="ALMANAC_ALERTS",
        problems=_PROBLEMS,
        contradictions=_contradictions,
        ending="nothing was told",
        place_of=_place,
    )


def alert_config_of(settings: Settings) -> AlertConfig | None:
    """The alerts file, read and checked; None when none is set."""
    return load_alert_config(settings.alerts) if settings.alerts else None


def _place(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Where it stands in the file: pydantic adds the kind of a channel, and the word [key], to the path."""
    kept = [part for number, part in enumerate(place) if not (number == 2 and part in KINDS)]
    return tuple(part for part in kept if part != "[key]")


def _contradictions(config: AlertConfig) -> Iterator[Mistake]:
    used: dict[str, str] = {}
    for name, part in config.channels.items():
        if isinstance(part, _HttpPart) and part.allow_http and not part.allow_private:
            yield (
                ("channels", name, "allow_http"),
                "unencrypted HTTP is for a receiver in your own network: set allow_private too",
            )
        if isinstance(part, _HttpPart | ApprisePart):
            if part.url_from in used:
                yield (
                    ("channels", name, "url_from"),
                    f"channel {used[part.url_from]} posts there too, and everything would arrive twice",
                )
            used[part.url_from] = name
