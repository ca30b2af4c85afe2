"""What an evaluation says of scopes that it does not mention."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from flows.alert_observations import Observations
from flows.alert_rules import Cadence, Candidate, Key, Rule, Severity, Verdict
from flows.alert_states import Observation

AT = datetime(2026, 11, 1)
BEHIND = AT - timedelta(hours=3)


def rule(name: str = "auth_failures") -> Rule:
    return Rule(name, "security", name, "n", Severity.error, Cadence.check, 1, 1, (), "nobody", "v1")


def candidate(key: Key, verdict: str = "clear", data_as_of: datetime | None = AT) -> Candidate:
    return Candidate(
        key, key.scope_id, None, Severity.error, Verdict(verdict), None, "n", Decimal(0), "n", ">=",
        Decimal(1), Decimal(1), None, None, None, AT, data_as_of, "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "verdict"),
    [
        (Key("auth_failures", "client", "192.0.2.7"), "clear"),
        (Key("suspicious_usage", "admin_user", "u"), "clear"),
        (Key("auth_failures", "team", "gone"), "clear"),
        (Key("suspicious_usage", "team", "gone"), "unknown"),
        (Key("error_rate_high", "team", "gone"), "unknown"),
    ],
)
def test_only_scopes_that_are_listed_while_they_are_met_are_clear_when_they_are_not(
    key: Key, verdict: str
) -> None:
    asked = Observations([], unknown_rules=(), as_of=AT)
    assert asked.of(key, rule(key.rule)).verdict == verdict


def test_they_are_clear_as_far_as_the_data_of_the_rule_reaches() -> None:
    other = [
        candidate(Key("auth_failures", "client", "a")),
        candidate(Key("auth_failures", "client", "b"), data_as_of=BEHIND),
    ]
    found = Observations(other, unknown_rules=(), as_of=AT).of(Key("auth_failures", "key", "k"), rule())
    assert found == Observation(Verdict.clear, Severity.error, BEHIND)


def test_they_are_unknown_while_the_rule_cannot_be_asked_or_a_source_is_absent() -> None:
    key = Key("auth_failures", "client", "192.0.2.7")
    absent = candidate(Key("auth_failures", "platform", "platform"), "unknown")
    for asked in (
        Observations([], unknown_rules={"auth_failures": "broken"}, as_of=AT),
        Observations([absent], unknown_rules=(), as_of=AT),
    ):
        assert asked.of(key, rule()) == Observation(Verdict.unknown, Severity.error, None)
