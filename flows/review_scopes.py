"""Which reviews there are, as people write them: kinds, scopes such as `team:ID`, and their periods."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from flows.errors import UsageError
from flows.periods import Month, Week, parse_month, parse_week

Period = Week | Month

_TENANT = re.compile(r"(organization|team):(.+)", re.DOTALL)
_LONGEST_ID = 500
_SAFE = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NAME = 60


class Kind(StrEnum):
    """How often a review comes."""

    WEEKLY = "weekly"
    MONTHLY = "monthly"

    def parse(self, text: str) -> Period:
        """The period as people write it; UsageError for anything else."""
        return parse_week(text) if self is Kind.WEEKLY else parse_month(text)

    def containing(self, day: date) -> Period:
        """The period of this kind that a day lies in."""
        return Week.containing(day) if self is Kind.WEEKLY else Month.containing(day)

    @property
    def noun(self) -> str:
        return "week" if self is Kind.WEEKLY else "month"


@dataclass(frozen=True, order=True, slots=True)
class Scope:
    """Whose figures: the platform's, an organization's, a team's."""

    kind: str
    id: str

    def __str__(self) -> str:
        return self.kind if self == PLATFORM else f"{self.kind}:{self.id}"

    @property
    def file_name(self) -> str:
        """A name for its files, of letters, digits, - and _; no two scopes share one."""
        if self == PLATFORM:
            return self.kind
        plain = _SAFE.sub("-", self.id)[:_LONGEST_NAME]
        if plain == self.id:
            return f"{self.kind}-{plain}"
        # lower and upper case are one on some file systems, and cut or replaced ids may meet
        return f"{self.kind}-{plain}-{hashlib.sha256(self.id.encode()).hexdigest()[:12]}"


PLATFORM = Scope("platform", "platform")


def parse_scope(text: str) -> Scope:
    """`platform`, `organization:ID` or `team:ID`; UsageError for anything else."""
    if text == PLATFORM.kind:
        return PLATFORM
    match = _TENANT.fullmatch(text)
    if match and len(match[2]) <= _LONGEST_ID and match[2].isprintable():
        return Scope(match[1], match[2])
    raise UsageError(f"{text[:80]!r} is no scope. Write platform, organization:ID or team:ID.")
