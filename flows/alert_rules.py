"""What a rule is and what it finds, as Python carries it; the rules themselves are SQL (models/alerts)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How loud; `rank` orders them."""

    info = "info"
    warning = "warning"
    error = "error"
    critical = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class Verdict(StrEnum):
    """What a rule says of a scope: `holding` neither opens nor resolves anything."""

    breach = "breach"
    holding = "holding"
    clear = "clear"
    unknown = "unknown"


class Cadence(StrEnum):
    """When a rule can meet new data."""

    night = "night"
    check = "check"


class Occasion(StrEnum):
    """What the rules are asked for: a night, a check between two, a round of probes."""

    night = "night"
    check = "check"
    probe = "probe"


@dataclass(frozen=True, slots=True)
class Key:
    """What there is at most one open incident of."""

    rule: str
    scope_kind: str
    scope_id: str


@dataclass(frozen=True, slots=True)
class Reminders:
    """After how many hours a firing incident is told again (None: never), and how often at most."""

    hours: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of alert_rules, and the version of its view."""

    name: str
    family: str
    title: str
    unit: str
    severity: Severity
    cadence: Cadence
    for_evaluations: int
    keep_firing_evaluations: int
    needs: tuple[str, ...]
    owner: str
    # the first 12 hexadecimal digits of the SHA-256 of its SQL
    version: str


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While `rule` fires nobody is told of `inhibited_rule`, unless that is louder.

    `inhibits`: same_scope; members of the organization or platform; everything, if `rule` fires for the
    platform or for the database that is landed from.
    """

    rule: str
    inhibited_rule: str
    inhibits: str


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules, and how they treat each other."""

    rules: dict[str, Rule]
    inhibitions: tuple[Inhibition, ...]
    reminders: dict[Severity, Reminders]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of alert_candidates (models/alerts/_alerts__models.yml); moments are naive UTC."""

    key: Key
    scope_name: str
    organization_id: str | None
    severity: Severity
    verdict: Verdict
    unknown_reason: str | None
    # what was measured, in words
    measure: str
    observed_value: Decimal | None
    unit: str
    comparison: str
    threshold: Decimal
    clear_threshold: Decimal
    baseline_value: Decimal | None
    volume: int | None
    window_start: datetime | None
    window_end: datetime | None
    data_as_of: datetime | None
    evidence_query: str
    # of the volume; None in what was published before there was one, as is the next
    counted_unit: str | None = None
    # where the observed value only says how far it is from the usual: the value itself, in counted_unit
    actual_value: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What showed it: the rule's SQL, what it was asked with, and the rows that contribute most."""

    rule_version: str
    sql: str
    # ISO texts: almanac_as_of, scope_id, window_start, window_end
    parameters: dict[str, str | None]
    evidence_query: str
    columns: tuple[str, ...]
    # at most five, as text for people; None is not known
    rows: tuple[tuple[str | None, ...], ...]
    # why there are no rows, if there are none
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What all rules of some cadences said at one moment."""

    as_of: datetime
    cadences: frozenset[Cadence]
    book: RuleBook
    candidates: tuple[Candidate, ...]
    # by rule: why nothing of it could be asked (its SQL failed, its source is stale)
    unknown_rules: dict[str, str]
    # names of organizations by id, as far as they are known
    organization_names: Mapping[str, str] = field(default_factory=dict)


def as_json_value(value: Any) -> Any:
    """Decimals and moments as texts that give them back."""
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
