"""What people are told of alerts: one notice of one group, whatever channel carries it. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

# The family of what only shows that a channel works.
TEST = "test"

Event = Literal["opened", "escalated", "reminded", "resolved", "still_firing", "closed"]


@dataclass(frozen=True, slots=True)
class Member:
    """One incident of a notice; moments are naive UTC, values in `unit` (shares are fractions)."""

    event: Event
    incident_id: str
    rule: str
    title: str
    owner: str
    severity: str
    scope_kind: str
    scope_id: str
    scope_name: str
    organization_id: str | None
    organization_name: str | None
    measure: str
    observed_value: Decimal | None
    # of the notice before; None in the first
    previous_value: Decimal | None
    unit: str
    comparison: str
    threshold: Decimal
    clear_threshold: Decimal
    baseline_value: Decimal | None
    volume: int | None
    window_start: datetime | None
    window_end: datetime | None
    opened_at: datetime
    # how far the data reached that opened it; None where that was not kept
    shown_at: datetime | None
    # of what the notice tells
    happened_at: datetime
    # of the volume; where the observed value only says how far it is from the usual, also of the next and of
    # the baseline
    counted_unit: str | None = None
    actual_value: Decimal | None = None
    # how often it fired and cleared since the last notice, when nobody was told
    untold_changes: int = 0
    reminder_number: int = 0
    evidence_columns: tuple[str, ...] = ()
    evidence_rows: tuple[tuple[str | None, ...], ...] = ()
    # the query of those rows: its parameters are $scope_id, $window_start and $window_end
    evidence_query: str = ""
    # of the rule, whole
    sql: str = ""
    parameters: dict[str, str | None] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One message: the members of one organization (None: the platform's) and one family, in one evaluation.

    A digest holds what else there was when there are too many: its family is `digest`, its organization None.
    """

    notice_id: str
    family: str
    organization_id: str | None
    organization_name: str | None
    made_at: datetime
    as_of: datetime
    # the most severe first
    members: tuple[Member, ...]
    # incidents that are only counted, by severity; never critical ones
    omitted: dict[str, int] = field(default_factory=dict)
    # the notice that it follows up: that which opened its first member
    replies_to: str | None = None

    @property
    def severity(self) -> str:
        """The highest of its members."""
        order = ("info", "warning", "error", "critical")
        return max((member.severity for member in self.members), key=order.index, default="info")

    @property
    def is_resolved(self) -> bool:
        """Whether nothing in it fires any more."""
        return all(member.event in ("resolved", "closed") for member in self.members) and not self.omitted
