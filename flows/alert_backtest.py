"""What the alerts would have done on the published history: incidents, and with labels hits and misses.

The rules are asked at moment after moment of the past, on the data as it stands now, and the state machine is
run on what they say. Nothing is stored, nobody is told. Rules on the age of the numbers and on probes cannot
be replayed so.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import PROJECT_DIR, alert_states
from flows.alert_reader import RuleReader, open_rules
from flows.alert_rules import Cadence, Candidate, Key, Verdict
from flows.alert_states import Memory, Observation, Patience
from flows.coverage import local_day, start_of_day
from flows.errors import UsageError
from flows.progress import Progress
from flows.recalculate import last_published

if TYPE_CHECKING:
    from flows.settings import Settings

LABEL_RULES = PROJECT_DIR / "demo" / "label_rules.csv"
# What happens shows a little before its label ends and a little after.
SLACK = timedelta(days=1)
# Hours after a day's end at which its night is published.
NIGHT_HOURS = 2.5
# Rules that say nothing true of a moment before the published night.
NOT_REPLAYED = frozenset({"pipeline_stale"})


@dataclass(slots=True)
class Incident:
    """One incident that would have been."""

    key: Key
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


@dataclass(frozen=True, slots=True)
class Label:
    """Something that is known to have happened; moments are naive UTC."""

    kind: str
    start: datetime
    end: datetime
    team: str | None
    organization: str | None


@dataclass(slots=True)
class Backtest:
    """The result: incidents in order, and how they fit the labels, if there are any."""

    first: datetime
    last: datetime
    evaluation_count: int
    incidents: list[Incident]
    labels: list[Label] | None = None
    # by rule: labels that it covers, and those of them that it found
    covered: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    missed: list[tuple[str, Label]] = field(default_factory=list)

    def false_alarms(self, *rules: str) -> list[Incident]:
        """Incidents that no label explains, of some rules."""
        return [one for one in self.incidents if one.key.rule in rules and one.explained_by is None]

    def __str__(self) -> str:
        lines = [
            f"{self.first:%Y-%m-%d %H:%M} to {self.last:%Y-%m-%d %H:%M} UTC, "
            f"{self.evaluation_count:,} evaluations",
            "",
        ]
        lines += [_told(one, with_labels=self.labels is not None) for one in self.incidents]
        rules = sorted({one.key.rule for one in self.incidents} | set(self.covered))
        lines += ["", f"{'rule':<28} {'incidents':>9}" + self._head()]
        for rule in rules:
            count = sum(one.key.rule == rule for one in self.incidents)
            lines.append(f"{rule:<28} {count:>9}" + self._figures(rule))
        lines += [
            f"missed by {rule}: {label.kind} of {label.team or label.organization or 'the platform'}, "
            f"{label.start:%Y-%m-%d %H:%M} UTC"
            for rule, label in self.missed
        ]
        return "\n".join(lines)

    def _head(self) -> str:
        return "" if self.labels is None else f" {'labels':>7} {'found':>6} {'unexplained':>12}"

    def _figures(self, rule: str) -> str:
        if self.labels is None:
            return ""
        # a rule that no label covers has no false alarms, only incidents
        unexplained = len(self.false_alarms(rule)) if rule in self.covered else "-"
        return f" {self.covered[rule]:>7} {self.found[rule]:>6} {unexplained:>12}"


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
    label_rules: Path = LABEL_RULES,
) -> Backtest:
    """Replay the span before the published night: checks every so many hours, nights once a day.

    With labels (a JSON file with a list `labels` of kind, start, end, team, org) and the rules that cover
    their kinds it also says what was found and what no label explains.
    """
    last = last_published(settings)
    first = last - span
    with open_rules(settings, as_of=last) as rules:
        moments = list(_moments(settings, first, last, every_hours))
        replay = _Replay(rules)
        with progress.stage("replaying", len(moments)) as advance:
            for moment, cadence in moments:
                replay.evaluate(moment, cadence)
                advance(1)
    result = Backtest(first, last, len(moments), replay.incidents)
    if labels is not None:
        _judge(result, _read_labels(labels), _read_rules(label_rules))
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
        self.incidents: list[Incident] = []

    def evaluate(self, moment: datetime, cadence: Cadence) -> None:
        self._rules.at(moment)
        names = [
            rule.name
            for rule in self._rules.book.rules.values()
            if rule.cadence is cadence and rule.name not in NOT_REPLAYED
        ]
        evaluation = self._rules.evaluate((cadence,), rules=names)
        for name, why in evaluation.unknown_rules.items():
            raise UsageError(f"The rule {name} cannot be asked: {why}")
        for candidate in evaluation.candidates:
            memory = self._memories.get(candidate.key)
            if memory is not None or candidate.verdict is Verdict.breach:
                self._step(candidate, memory or Memory(), moment)

    def _step(self, candidate: Candidate, memory: Memory, moment: datetime) -> None:
        rule = self._rules.book.rules[candidate.key.rule]
        after, changes = alert_states.advance(
            memory,
            Observation(candidate.verdict, candidate.severity, candidate.data_as_of),
            Patience(rule.for_evaluations, rule.keep_firing_evaluations),
            new_incident_id=str(len(self.incidents)),
        )
        if "opened" in changes:
            incident = Incident(
                candidate.key,
                candidate.organization_id,
                str(candidate.severity),
                candidate.measure,
                candidate.observed_value,
                candidate.threshold,
                candidate.window_start or moment,
                moment,
            )
            self._open[candidate.key] = incident
            self.incidents.append(incident)
        if "resolved" in changes:
            self._open.pop(candidate.key).resolved_at = moment
        self._memories[candidate.key] = after


# --- labels -------------------------------------------------------------------------------------------------


def _judge(result: Backtest, labels: list[Label], rules: list[tuple[str, str, bool]]) -> None:
    result.labels = labels
    explaining: dict[str, list[str]] = {}
    for kind, rule, _ in rules:
        explaining.setdefault(rule, []).append(kind)
    for incident in result.incidents:
        kinds = explaining.get(incident.key.rule, [])
        fitting = [label for label in labels if label.kind in kinds and _fits(incident, label)]
        if fitting:
            incident.explained_by = f"{fitting[0].kind} {fitting[0].start:%Y-%m-%d}"
    for kind, rule, is_covered in rules:
        for label in labels:
            if label.kind != kind or not is_covered or not result.first <= label.start < result.last:
                continue
            result.covered[rule] += 1
            if any(one.key.rule == rule and _fits(one, label) for one in result.incidents):
                result.found[rule] += 1
            else:
                result.missed.append((rule, label))


def _fits(incident: Incident, label: Label) -> bool:
    """Whether the label can be the cause: its time overlaps with the data, and its scope with the scope."""
    over = incident.resolved_at or datetime.max - SLACK
    if label.start - SLACK > over or label.end + SLACK < incident.seen_from:
        return False
    key = incident.key
    if key.scope_kind in ("platform", "job_type", "model_group", "model"):
        return True
    if key.scope_kind == "organization":
        return label.organization in (None, key.scope_id)
    if label.team is not None:
        return label.team == key.scope_id
    return label.organization in (None, incident.organization_id)


def _read_labels(path: Path) -> list[Label]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        labels = [_label(item) for item in content["labels"]]
    except OSError as error:
        raise UsageError(f"The labels {path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} holds no labels: {type(error).__name__}: {error}. It must be JSON with a list `labels` "
            "of objects with kind, start, end (or null), and perhaps team and org."
        ) from None
    homes = {label.team: label.organization for label in labels if label.team and label.organization}
    return [
        label
        if label.organization or label.team is None
        else Label(label.kind, label.start, label.end, label.team, homes.get(label.team, ""))
        for label in labels
    ]


def _label(item: dict[str, Any]) -> Label:
    start = _moment(item["start"])
    return Label(
        item["kind"],
        start,
        _moment(item["end"]) if item.get("end") else start,
        item.get("team"),
        item.get("org"),
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _read_rules(path: Path) -> list[tuple[str, str, bool]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["kind"], row["rule"], row["is_covered"] == "true") for row in csv.DictReader(file)]


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
