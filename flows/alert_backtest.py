"""What the alerts would have done on the published history: incidents, and with labels hits and misses.

The rules are asked at moment after moment of the past, on the data as it stands now, and the state machine is
run on what they say. Nothing is stored, nobody is told. Rules on the age of the numbers cannot be replayed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from flows import alert_states
from flows.alert_labels import Label, LabelRules, placed, read_labels, read_rules
from flows.alert_observations import Observations
from flows.alert_reader import RuleReader, open_rules
from flows.alert_rules import Cadence, Candidate, Key, Verdict
from flows.alert_states import Memory, Patience
from flows.coverage import local_day, start_of_day
from flows.errors import UsageError
from flows.progress import Progress
from flows.recalculate import last_published

if TYPE_CHECKING:
    from flows.settings import Settings

# An incident finds a label when it opens between so long before the label starts and so long after it ends:
# people round, and a night that shows the last hour of a day opens its incident the day after. A label also
# explains one that opens later, on data of its time: a small team's rates are those of a week.
EARLY = timedelta(days=1)
LATE = timedelta(days=2)
# Hours after a day's end at which its night is published.
NIGHT_HOURS = 2.5
# Rules that say nothing true of a moment before the published night, and why.
NOT_REPLAYED = {"pipeline_stale": "only the published night is there, not those of the past"}


@dataclass(slots=True)
class Incident:
    """One incident that would have been."""

    key: Key
    scope_name: str
    organization_id: str | None
    severity: str
    measure: str
    observed_value: Decimal | None
    threshold: Decimal
    # from when the data that opened it is
    seen_from: datetime
    opened_at: datetime
    resolved_at: datetime | None = None
    explained_by: str | None = None


@dataclass(slots=True)
class Backtest:
    """The result: incidents in order, and how they fit the labels, if there are any."""

    first: datetime
    last: datetime
    evaluation_count: int
    incidents: list[Incident]
    # what was replayed
    rules: tuple[str, ...]
    # by rule: why it had nothing to say in the span
    mute: dict[str, str] = field(default_factory=dict)
    labels: list[Label] | None = None
    labels_path: Path | None = None
    # why there are none, for people
    without_labels: str = ""
    # by rule: labels that it covers, and those of them that it found
    covered: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    missed: list[tuple[str, Label]] = field(default_factory=list)
    # those that fell into an incident that was open already, and since when
    held: list[tuple[str, Label, datetime]] = field(default_factory=list)
    # labels of the span, by kind, that no rule covers; `unheard_of`: kinds that the label rules do not name
    uncovered: Counter[str] = field(default_factory=Counter)
    unheard_of: frozenset[str] = frozenset()

    def false_alarms(self, *rules: str) -> list[Incident]:
        """Incidents that no label explains, of some rules."""
        return [one for one in self.incidents if one.key.rule in rules and one.explained_by is None]

    def labels_in_span(self) -> list[Label]:
        return [label for label in self.labels or () if self.first <= label.start < self.last]

    def __str__(self) -> str:
        lines = [
            f"{self.first:%Y-%m-%d %H:%M} to {self.last:%Y-%m-%d %H:%M} UTC, "
            f"{self.evaluation_count:,} evaluations",
            self._about_labels(),
            "",
        ]
        lines += [_told(one, with_labels=self.labels is not None) for one in self.incidents]
        lines += ["", f"{'rule':<28} {'incidents':>9}" + self._head()]
        lines += [self._line(rule) for rule in self.rules]
        lines += self._explanation()
        lines += [f"missed by {rule}: {label}" for rule, label in self.missed]
        lines += [
            f"not found by {rule}: {label}: an incident was open since {since:%Y-%m-%d %H:%M} UTC"
            for rule, label, since in self.held
        ]
        lines += self._about_kinds()
        lines += [f"not replayed: {rule}: {why}" for rule, why in NOT_REPLAYED.items()]
        lines += [f"nothing to say: {rule}: {why}" for rule, why in self.mute.items()]
        return "\n".join(lines)

    def _about_labels(self) -> str:
        if self.labels is None:
            return f"no labels: {self.without_labels or 'none were given'}"
        return (
            f"labels of {self.labels_path}: {len(self.labels):,}, of which "
            f"{len(self.labels_in_span()):,} start in that time"
        )

    def _head(self) -> str:
        return (
            "" if self.labels is None else f" {'labels':>7} {'found':>6} {'recall':>7} {'false alarms':>13}"
        )

    def _line(self, rule: str) -> str:
        line = f"{rule:<28} {sum(one.key.rule == rule for one in self.incidents):>9}"
        if self.labels is None:
            return line
        covered, found = self.covered[rule], self.found[rule]
        # of no labels there is no share
        recall = f"{Decimal(found) / covered:.3f}" if covered else "-"
        return f"{line} {covered:>7} {found:>6} {recall:>7} {len(self.false_alarms(rule)):>13}"

    def _explanation(self) -> list[str]:
        if self.labels is None:
            return []
        return [
            f"An incident finds a label of its scope when it opens from {_hours(EARLY)} before the label "
            f"starts to {_hours(LATE)} after it ends.",
            "A false alarm is an incident that no label explains: neither so, nor by data of its time. Where "
            "nobody wrote labels of what a rule sees, that is each of them.",
        ]

    def _about_kinds(self) -> list[str]:
        if not self.uncovered:
            return []
        named = [
            f"{kind} ({count}{', a kind that is not known' if kind in self.unheard_of else ''})"
            for kind, count in sorted(self.uncovered.items(), key=lambda item: (-item[1], item[0]))
        ]
        return [
            f"labels that no rule covers: {', '.join(named)}",
            "--label-rules FILE says which rules cover which kinds",
        ]


def parse_span(text: str) -> timedelta:
    """8w or 30d; UsageError for anything else, and for more than ten years."""
    match = re.fullmatch(r"([1-9]\d{0,3})([wd])", text)
    span = timedelta(days=int(match[1]) * (7 if match[2] == "w" else 1)) if match else timedelta(0)
    if not timedelta(0) < span <= timedelta(days=3660):
        raise UsageError(f"{text!r} is no span. Write weeks or days, such as 8w or 30d.")
    return span


def backtest(
    settings: Settings,
    span: timedelta,
    *,
    every_hours: int,
    progress: Progress,
    labels: Path | None = None,
    without_labels: str = "",
    label_rules: Path | None = None,
) -> Backtest:
    """Replay the span before the published night: checks every so many hours, nights once a day.

    With a file of labels (flows/alert_labels.py) it also says what was found and what no label explains;
    `without_labels` says why there is none. `label_rules` adds to which rules cover which kinds of label.
    """
    read = None if labels is None else read_labels(labels)
    last = last_published(settings)
    first = last - span
    with open_rules(settings, as_of=last) as rules:
        known = read_rules(label_rules, known=rules.book.rules)
        moments = list(_moments(settings, first, last, every_hours))
        replay = _Replay(rules)
        with progress.stage("replaying", len(moments)) as advance:
            for moment, cadence in moments:
                replay.evaluate(moment, cadence)
                advance(1)
        homes = rules.homes_of_teams()
    result = Backtest(
        first,
        last,
        len(moments),
        replay.incidents,
        tuple(sorted(set(rules.book.rules) - set(NOT_REPLAYED))),
        mute=replay.mute(),
        labels_path=labels,
        without_labels=without_labels,
    )
    if read is not None:
        result.labels = placed(read, homes=homes, admins=replay.admins)
        _judge(result, known)
    return result


def _moments(
    settings: Settings, first: datetime, last: datetime, every_hours: int
) -> Iterator[tuple[datetime, Cadence]]:
    """When would have been evaluated what, in order."""
    zone = settings.reporting_timezone
    found = []
    moment = first
    while moment <= last:
        found.append((moment, Cadence.check))
        moment += timedelta(hours=every_hours)
    day = local_day(first, zone)
    while (night := start_of_day(day, zone) + timedelta(hours=NIGHT_HOURS)) <= last + timedelta(
        hours=NIGHT_HOURS
    ):
        if night >= first:
            found.append((night, Cadence.night))
        day += timedelta(days=1)
    return iter(sorted(found))


class _Replay:
    """The states of a replay, and the incidents so far."""

    def __init__(self, rules: RuleReader) -> None:
        self._rules = rules
        self._memories: dict[Key, Memory] = {}
        self._open: dict[Key, Incident] = {}
        # rules that said something of some scope; why the others did not, as they said it last
        self._heard: set[str] = set()
        self._reasons: dict[str, str] = {}
        self.incidents: list[Incident] = []
        # the names of admins, by id
        self.admins: dict[str, str] = {}

    def evaluate(self, moment: datetime, cadence: Cadence) -> None:
        self._rules.at(moment)
        names = {
            rule.name
            for rule in self._rules.book.rules.values()
            if rule.cadence is cadence and rule.name not in NOT_REPLAYED
        }
        evaluation = self._rules.evaluate((cadence,), rules=names)
        for name, why in evaluation.unknown_rules.items():
            raise UsageError(f"The rule {name} cannot be asked: {why}")
        observations = Observations(
            evaluation.candidates, unknown_rules=evaluation.unknown_rules, as_of=evaluation.as_of
        )
        candidates = {candidate.key: candidate for candidate in evaluation.candidates}
        for key, candidate in candidates.items():
            self._hear(candidate)
            if key in self._memories or candidate.verdict is Verdict.breach:
                self._step(key, candidate, observations, moment)
        for key in [key for key in self._memories if key.rule in names and key not in candidates]:
            self._step(key, None, observations, moment)

    def mute(self) -> dict[str, str]:
        """The rules that knew nothing of any scope in the whole span, and why."""
        return {
            name: self._reasons.get(name, "there was nothing that it looks at")
            for name in sorted(self._rules.book.rules)
            if name not in self._heard and name not in NOT_REPLAYED
        }

    def _hear(self, candidate: Candidate) -> None:
        if candidate.verdict is Verdict.unknown:
            self._reasons[candidate.key.rule] = candidate.unknown_reason or "it is unknown"
        else:
            self._heard.add(candidate.key.rule)
        if candidate.key.scope_kind == "admin_user":
            self.admins[candidate.key.scope_id] = candidate.scope_name

    def _step(
        self, key: Key, candidate: Candidate | None, observations: Observations, moment: datetime
    ) -> None:
        rule = self._rules.book.rules[key.rule]
        after, changes = alert_states.advance(
            self._memories.get(key, Memory()),
            observations.of(key, rule),
            Patience(rule.for_evaluations, rule.keep_firing_evaluations),
            new_incident_id=str(len(self.incidents)),
        )
        if "opened" in changes:
            assert candidate is not None
            incident = Incident(
                key,
                candidate.scope_name,
                candidate.organization_id,
                str(candidate.severity),
                candidate.measure,
                candidate.observed_value,
                candidate.threshold,
                candidate.window_start or moment,
                moment,
            )
            self._open[key] = incident
            self.incidents.append(incident)
        if "resolved" in changes:
            self._open.pop(key).resolved_at = moment
        self._memories[key] = after


# --- labels -------------------------------------------------------------------------------------------------


def _judge(result: Backtest, rules: LabelRules) -> None:
    for incident in result.incidents:
        fitting = [
            label
            for label in result.labels or ()
            if incident.key.rule in rules.explaining.get(label.kind, ()) and _explains(label, incident)
        ]
        if fitting:
            nearest = min(fitting, key=lambda label: (abs(incident.opened_at - label.start), label.start))
            incident.explained_by = f"{nearest.kind} {nearest.start:%Y-%m-%d}"
    for label in sorted(result.labels_in_span(), key=lambda label: label.start):
        covering = [rule for rule in rules.covering.get(label.kind, ()) if rule in result.rules]
        if not covering:
            result.uncovered[label.kind] += 1
        for rule in covering:
            result.covered[rule] += 1
            of_it = [one for one in result.incidents if one.key.rule == rule and _is_of(one, label)]
            if any(_finds(one, label) for one in of_it):
                result.found[rule] += 1
            elif since := [one.opened_at for one in of_it if _is_open_through(one, label)]:
                result.held.append((rule, label, min(since)))
            else:
                result.missed.append((rule, label))
    result.missed.sort(key=lambda item: item[0])
    result.held.sort(key=lambda item: item[0])
    result.unheard_of = frozenset(result.uncovered) - set(rules.explaining)


def _finds(incident: Incident, label: Label) -> bool:
    return label.start - EARLY <= incident.opened_at <= label.end + LATE


def _explains(label: Label, incident: Incident) -> bool:
    """Whether it can be the cause: the incident opens in its time or on data of it, and is of its scope."""
    is_of_its_time = _finds(incident, label) or (
        label.start - EARLY <= incident.opened_at and incident.seen_from <= label.end + EARLY
    )
    return is_of_its_time and _is_of(incident, label)


def _is_open_through(incident: Incident, label: Label) -> bool:
    """Whether it was open when the label began: nothing could open."""
    return incident.opened_at < label.start and (incident.resolved_at or datetime.max) > label.start


def _is_of(incident: Incident, label: Label) -> bool:
    kind, scope, home = incident.key.scope_kind, incident.key.scope_id, incident.organization_id
    named = bool(label.teams or label.organizations)
    if kind in ("platform", "job_type", "model_group", "model"):
        return True
    if kind == "admin_user":
        # whom nobody is known by, it may be any of them
        return not named if label.user is None else scope in label.users or not label.users
    if label.user is not None and not named:
        return False
    if kind == "client" and label.client is not None:
        return label.client == scope
    if kind == "team" and label.teams:
        return scope in label.teams
    if kind == "organization":
        return scope in label.organizations if named else True
    # a client is of no organization, and a key's may not be known
    is_anybodys = home is None and kind in ("client", "key")
    return not label.organizations or home in label.organizations or is_anybodys


def _told(incident: Incident, *, with_labels: bool) -> str:
    until = "still open" if incident.resolved_at is None else f"until {incident.resolved_at:%Y-%m-%d %H:%M}"
    value = "not known" if incident.observed_value is None else f"{incident.observed_value.normalize():f}"
    line = (
        f"{incident.opened_at:%Y-%m-%d %H:%M}  {incident.severity:<8} {incident.key.rule} "
        f"{incident.key.scope_kind} {incident.key.scope_id}: {incident.measure} {value} "
        f"({incident.threshold.normalize():f}), {until}"
    )
    return line + (f"  [{incident.explained_by or 'no label'}]" if with_labels else "")


def unexplained(result: Backtest, rules: Sequence[str]) -> list[str]:
    """The incidents of some rules that no label explains, in words."""
    return [_told(one, with_labels=False) for one in result.false_alarms(*rules)]


def _hours(span: timedelta) -> str:
    return f"{span / timedelta(hours=1):g} hours"
