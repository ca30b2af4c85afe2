"""A replay moves scopes that a rule no longer lists as an evaluation does."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from flows.alert_backtest import _Replay
from flows.alert_reader import RuleReader
from flows.alert_rules import Cadence, Candidate, Evaluation, Key, Rule, RuleBook, Severity, Verdict

AT = datetime(2026, 11, 1)
HOUR = timedelta(hours=1)
RULE = Rule("auth_failures", "security", "x", "n", Severity.error, Cadence.check, 1, 1, (), "nobody", "v1")
BOOK = RuleBook({RULE.name: RULE}, (), {})
CLIENT, TEAM = ("client", "192.0.2.7"), ("team", "gone")
PLATFORM = ("platform", "platform")

# What the rule says of which scope.
Said = dict[tuple[str, str], str]


class Reader:
    """Says hour after hour what it was given."""

    book = BOOK

    def __init__(self, *said: Said) -> None:
        self._said = list(said)

    def at(self, as_of: datetime) -> None:
        self._as_of = as_of

    def evaluate(self, cadences: Any, *, rules: Any) -> Evaluation:
        found = tuple(self._candidate(scope, verdict) for scope, verdict in self._said.pop(0).items())
        return Evaluation(self._as_of, frozenset(cadences), BOOK, found, {})

    def _candidate(self, scope: tuple[str, str], verdict: str) -> Candidate:
        why = "no source: the log" if verdict == "unknown" else None
        return Candidate(
            Key(RULE.name, *scope), scope[1], None, Severity.error, Verdict(verdict), why, "n", Decimal(0),
            "n", ">=", Decimal(1), Decimal(1), None, None, None, self._as_of, self._as_of, "",
        )  # fmt: skip


def replayed(*said: Said) -> _Replay:
    replay = _Replay(cast(RuleReader, Reader(*said)))
    for number in range(len(said)):
        replay.evaluate(AT + number * HOUR, Cadence.check)
    return replay


def test_a_client_and_a_team_that_are_no_longer_listed_are_resolved() -> None:
    replay = replayed({CLIENT: "breach", TEAM: "breach"}, {}, {CLIENT: "breach"})
    assert [(one.key.scope_id, one.resolved_at) for one in replay.incidents] == [
        ("192.0.2.7", AT + HOUR),
        ("gone", AT + HOUR),
        ("192.0.2.7", None),
    ]


def test_they_stay_open_while_the_source_is_absent() -> None:
    replay = replayed({CLIENT: "breach"}, {PLATFORM: "unknown"}, {TEAM: "clear"})
    assert [one.resolved_at for one in replay.incidents] == [AT + 2 * HOUR]


def test_a_rule_that_never_knew_anything_says_why() -> None:
    assert replayed({PLATFORM: "unknown"}).mute() == {"auth_failures": "no source: the log"}
    assert replayed({}).mute() == {"auth_failures": "there was nothing that it looks at"}
    assert replayed({PLATFORM: "unknown"}, {CLIENT: "clear"}).mute() == {}
