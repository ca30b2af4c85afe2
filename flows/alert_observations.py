"""What one evaluation says of a scope, whether its rule mentions it or not.

One reading for the evaluator, which moves what is true, and for the backtest, which moves what would have
been true.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from flows.alert_rules import Candidate, Key, Rule, Verdict
from flows.alert_states import Observation

# Scopes without end, which a rule lists for some days after they last met it: one that it no longer lists is
# clear, if the rule could be asked.
LISTED_WHILE_MET = frozenset({"client", "key", "admin_user"})
# The rules that list so the teams that are not there any more, or that a request only named.
LISTING_TEAMS_WHILE_MET = frozenset({"auth_failures", "unauthorized_access", "rate_limit_violations"})


class Observations:
    """The candidates of an evaluation at `as_of`, by key; `unknown_rules` could not be asked."""

    def __init__(
        self, candidates: Iterable[Candidate], *, unknown_rules: Collection[str], as_of: datetime
    ) -> None:
        self._candidates = {candidate.key: candidate for candidate in candidates}
        self._as_of = as_of
        # rules that cannot be asked, or say of the whole platform that they do not know: a source is absent
        self._silent = set(unknown_rules) | {
            key.rule
            for key, candidate in self._candidates.items()
            if key.scope_kind == "platform" and candidate.verdict is Verdict.unknown
        }
        # how far the data of a rule reaches, at least
        self._reaches: dict[str, datetime] = {}
        for key, candidate in self._candidates.items():
            if candidate.data_as_of is not None:
                known = self._reaches.get(key.rule, candidate.data_as_of)
                self._reaches[key.rule] = min(known, candidate.data_as_of)

    def of(self, key: Key, rule: Rule) -> Observation:
        """What it says of a scope; one that is not mentioned is unknown, or clear where only met ones are."""
        candidate = self._candidates.get(key)
        if candidate is not None:
            return Observation(candidate.verdict, candidate.severity, candidate.data_as_of)
        if _is_listed_while_met(key) and rule.name not in self._silent:
            return Observation(Verdict.clear, rule.severity, self._reaches.get(rule.name, self._as_of))
        return Observation(Verdict.unknown, rule.severity, None)


def _is_listed_while_met(key: Key) -> bool:
    if key.scope_kind == "team":
        return key.rule in LISTING_TEAMS_WHILE_MET
    return key.scope_kind in LISTED_WHILE_MET
