"""Moves the alerts: what the rules said becomes states, incidents and notices, in one transaction.

Any number of evaluators may do so at once: the row lock of the ops store lets one in at a time, and what a
later one finds has been moved already. A notice is handed to `enqueue` inside the transaction, so there is no
incident without its notice, and no notice without its incident, wherever a process dies.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from flows import alert_states
from flows.alert_observations import Observations
from flows.alert_rules import (
    Cadence,
    Candidate,
    Evaluation,
    Evidence,
    Inhibition,
    Key,
    Occasion,
    Rule,
    RuleBook,
    Severity,
    Verdict,
    as_json_value,
)
from flows.alert_scopes import RULE_UNKNOWN
from flows.alert_states import Memory, Patience, Telling
from flows.failpoints import failpoint
from flows.ops_store import EVALUATOR, OpsStore, alerting, writers
from reports.notice import Member, Notice
from reports.notice_lines import data_moment

MAX_NOTICES = 20  # of one evaluation; what is left goes into the last of them
DIGEST = "digest"
RECOVERED = "recovered"
LISTED = 200  # members of a notice; critical ones are always listed, others beyond it counted
# What was true so long before is recorded, and nobody is woken for it.
OLDEST_NEWS = timedelta(hours=48)
# A clock that claims to be further ahead than this was wrong.
_LONGEST_AHEAD = timedelta(days=1)
ROWS_AT_ONCE = 500
_ONE = Decimal(1)

_PLATFORM = ("platform", "platform")

# Fires while a rule cannot be asked at all: silence must not look like health.
UNKNOWN_RULE = Rule(
    name=RULE_UNKNOWN,
    family="system",
    title="A rule cannot be asked",
    unit="failed evaluations",
    severity=Severity.error,
    cadence=Cadence.check,
    for_evaluations=2,
    keep_firing_evaluations=1,
    needs=(),
    owner="operations",
    version="1",
)

states, incidents, events = alerting.states, alerting.incidents, alerting.incident_events


@dataclass(slots=True)
class EvaluationReport:
    """What one evaluation came to."""

    as_of: datetime
    candidate_count: int = 0
    breach_count: int = 0
    unknown_count: int = 0
    opened: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    withheld_count: int = 0
    unknown_rules: dict[str, str] = field(default_factory=dict)
    # a newer evaluation came first; nothing was done
    is_overtaken: bool = False

    def __str__(self) -> str:
        if self.is_overtaken:
            return f"A newer evaluation than that as of {self.as_of} UTC has been applied; nothing was done."
        lines = [
            f"as of {self.as_of} UTC: {self.candidate_count:,} asked, {self.breach_count:,} beyond their "
            f"threshold, {self.unknown_count:,} unknown",
            f"{len(self.opened)} incidents opened, {len(self.resolved)} resolved, {len(self.notices)} notices"
            + (f", {self.withheld_count} withheld" if self.withheld_count else ""),
        ]
        lines += [f"rule {name} cannot be asked: {why}" for name, why in self.unknown_rules.items()]
        return "\n".join(lines)


Enqueue = Callable[[Connection, Notice], None]


def apply(
    store: OpsStore,
    evaluation: Evaluation,
    *,
    enqueue: Enqueue,
    evidence_of: Callable[[Candidate], Evidence],
    in_maintenance: frozenset[str] = frozenset(),
    source_databases: frozenset[str] = frozenset(),
    occasion: Occasion = Occasion.check,
    news_as_of: datetime | None = None,
    now: datetime | None = None,
) -> EvaluationReport:
    """Apply an evaluation. `in_maintenance` are components, and so are `source_databases`, the ones that
    probe the database which is landed from; `now` is the store's clock by default.

    What ended more than OLDEST_NEWS before `news_as_of` (by default the evaluation) opens in silence.

    An evaluation of a moment before that of the last one with a cadence of its is left alone.
    """
    candidates = {candidate.key: candidate for candidate in _with_unknown_rules(evaluation)}
    with store.transaction() as connection:
        is_open = {
            Key(*row)
            for row in connection.execute(
                select(incidents.c.rule, incidents.c.scope_kind, incidents.c.scope_id).where(
                    incidents.c.resolved_at.is_(None)
                )
            )
        }
    # it may take a while, and must not hold the lock
    gathered = {
        key: evidence_of(candidate)
        for key, candidate in candidates.items()
        if candidate.verdict is Verdict.breach and key not in is_open and key.rule != UNKNOWN_RULE.name
    }
    failpoint("alerts.gathered")
    with store.transaction() as connection:
        report = _Application(
            store,
            connection,
            evaluation,
            candidates,
            gathered,
            enqueue,
            in_maintenance,
            source_databases,
            occasion,
            news_as_of or evaluation.as_of,
            now,
        ).run()
        failpoint("alerts.before_commit")
    failpoint("alerts.committed")
    return report


def _with_unknown_rules(evaluation: Evaluation) -> Iterable[Candidate]:
    """The candidates, and one per rule for whether it could be asked, and of all that it was asked of."""
    yield from evaluation.candidates
    lost_sources = {
        candidate.key.rule: candidate.unknown_reason
        for candidate in evaluation.candidates
        if _lost_a_source(candidate)
    }
    for name, rule in evaluation.book.rules.items():
        if rule.cadence not in evaluation.cadences:
            continue
        why = evaluation.unknown_rules.get(name) or lost_sources.get(name)
        yield Candidate(
            key=Key(UNKNOWN_RULE.name, "rule", name),
            scope_name=rule.title,
            organization_id=None,
            severity=UNKNOWN_RULE.severity,
            verdict=Verdict.breach if why else Verdict.clear,
            unknown_reason=None,
            measure=why or "it was asked",
            observed_value=None,
            unit=UNKNOWN_RULE.unit,
            comparison=">=",
            threshold=_ONE,
            clear_threshold=_ONE,
            baseline_value=None,
            volume=None,
            window_start=None,
            window_end=evaluation.as_of,
            data_as_of=evaluation.as_of,
            evidence_query="",
        )


def _lost_a_source(candidate: Candidate) -> bool:
    """Whether a rule says of the platform that sources are away that it had; one that never was is not."""
    is_of_sources = candidate.key.scope_kind == "platform" and candidate.counted_unit == "sources"
    return is_of_sources and candidate.verdict is Verdict.unknown and (candidate.volume or 0) > 0


@dataclass(slots=True)
class _Step:
    """One key in the making."""

    key: Key
    rule: Rule
    candidate: Candidate | None
    before: Memory
    memory: Memory
    changes: tuple[alert_states.Change, ...]
    # the memory before anybody was told
    true: Memory
    telling: Telling

    @property
    def incident_id(self) -> str | None:
        # or that of which people are told late
        return self.memory.incident_id or self.before.incident_id or self.before.told_incident_id

    @property
    def severity(self) -> Severity:
        """The highest that it had."""
        return self.true.severity or self.true.told_severity or self.rule.severity


class _Application:
    """One evaluation inside its transaction."""

    def __init__(
        self,
        store: OpsStore,
        connection: Connection,
        evaluation: Evaluation,
        candidates: Mapping[Key, Candidate],
        gathered: Mapping[Key, Evidence],
        enqueue: Enqueue,
        in_maintenance: frozenset[str],
        source_databases: frozenset[str],
        occasion: Occasion,
        news_as_of: datetime,
        now: datetime | None,
    ) -> None:
        self._connection = connection
        self._evaluation = evaluation
        self._book = evaluation.book
        self._candidates = candidates
        self._gathered = gathered
        self._enqueue = enqueue
        self._in_maintenance = in_maintenance
        self._source_databases = source_databases
        self._occasion = occasion
        self._news_as_of = news_as_of
        # the first statement: who waits here sees what the one before has done
        connection.execute(
            update(writers).where(writers.c.name == EVALUATOR).values(token=writers.c.token + 1)
        )
        self._now = self._monotonic(now or store.now(connection))
        self._open: dict[Key, Any] = {}
        self._observations = Observations(
            candidates.values(), unknown_rules=evaluation.unknown_rules, as_of=evaluation.as_of
        )

    def _monotonic(self, now: datetime) -> datetime:
        """Not before the last evaluation, unless that one's clock was plainly wrong."""
        last = self._connection.scalar(select(func.max(alerting.evaluations.c.evaluated_at)))
        return last if last is not None and now < last <= now + _LONGEST_AHEAD else now

    def run(self) -> EvaluationReport:
        report = EvaluationReport(self._evaluation.as_of, unknown_rules=dict(self._evaluation.unknown_rules))
        if self._is_overtaken():
            report.is_overtaken = True
            return report
        report.candidate_count = len(self._evaluation.candidates)
        for candidate in self._evaluation.candidates:
            report.breach_count += candidate.verdict is Verdict.breach
            report.unknown_count += candidate.verdict is Verdict.unknown
        steps = self._steps()
        self._write_incidents(steps)
        failpoint("alerts.incidents_written")
        self._tell(steps, report)
        failpoint("alerts.enqueued")
        self._write_states(steps)
        self._note(report)
        report.opened = [step.memory.incident_id or "" for step in steps if "opened" in step.changes]
        report.resolved = [step.before.incident_id or "" for step in steps if "resolved" in step.changes]
        return report

    def _is_overtaken(self) -> bool:
        table = alerting.evaluations
        names = [str(cadence) for cadence in self._evaluation.cadences]
        query = select(func.max(table.c.as_of)).where(table.c.cadence.in_(names))
        limit = self._now + _LONGEST_AHEAD
        if self._evaluation.as_of <= limit:
            # one that was asked as of a far future, by a wrong clock or by hand, is nobody's successor
            query = query.where(table.c.as_of <= limit)
        newest = self._connection.scalar(query)
        return newest is not None and newest > self._evaluation.as_of

    # --- what is true -------------------------------------------------------------------------------------

    def _steps(self) -> list[_Step]:
        memories = {
            Key(row.rule, row.scope_kind, row.scope_id): self._believable(alert_states.from_json(row.memory))
            for row in self._connection.execute(select(states))
        }
        self._open = {
            Key(row.rule, row.scope_kind, row.scope_id): row
            for row in self._connection.execute(select(incidents).where(incidents.c.resolved_at.is_(None)))
        }
        steps = []
        for key, candidate in self._candidates.items():
            memory = memories.get(key)
            if memory is None and candidate.verdict is not Verdict.breach:
                continue
            steps.append(self._step(key, candidate, memory or Memory()))
        for key, memory in memories.items():
            # a scope that its rule no longer mentions is not a clear one
            if key not in self._candidates and self._covers(key.rule):
                steps.append(self._step(key, None, memory))
        return steps

    def _believable(self, memory: Memory) -> Memory:
        """Without data of a far future: nothing would be new after it until that came."""
        limit = max(self._now, self._evaluation.as_of) + _LONGEST_AHEAD
        if memory.data_as_of is None or memory.data_as_of <= limit:
            return memory
        return replace(memory, data_as_of=None)

    def _covers(self, rule: str) -> bool:
        known = self._rule(rule)
        return known is not None and known.cadence in self._evaluation.cadences

    def _rule(self, name: str) -> Rule | None:
        return UNKNOWN_RULE if name == UNKNOWN_RULE.name else self._book.rules.get(name)

    def _step(self, key: Key, candidate: Candidate | None, memory: Memory) -> _Step:
        rule = self._rule(key.rule)
        assert rule is not None
        after, changes = alert_states.advance(
            memory,
            self._observations.of(key, rule),
            Patience(rule.for_evaluations, rule.keep_firing_evaluations),
            new_incident_id=_incident_id(key, self._evaluation.as_of),
        )
        return _Step(key, rule, candidate, memory, after, changes, after, Telling(None))

    # --- incidents ----------------------------------------------------------------------------------------

    def _write_incidents(self, steps: list[_Step]) -> None:
        opened = [self._incident(step) for step in steps if "opened" in step.changes]
        for batch in _batches(opened):
            self._connection.execute(insert(incidents), batch)
        for step in steps:
            if "resolved" in step.changes:
                values: dict[str, Any] = {
                    "resolved_at": self._now,
                    "resolved_as_of": self._evaluation.as_of,
                    "resolution": RECOVERED,
                }
            elif (
                step.candidate is not None
                and step.candidate.verdict is Verdict.breach
                and step.before.is_open
            ):
                values = {"last_breach_at": self._now, "severity": str(step.memory.severity)}
            else:
                continue
            self._connection.execute(
                update(incidents).where(incidents.c.incident_id == step.incident_id).values(**values)
            )

    def _incident(self, step: _Step) -> dict[str, Any]:
        candidate = step.candidate
        assert candidate is not None
        evidence = self._gathered.get(step.key) or Evidence(
            step.rule.version, "", {}, candidate.evidence_query, (), (), "its rows were not gathered"
        )
        kept = {
            "evidence": asdict(evidence),
            "candidate": {
                name: as_json_value(value)
                for name, value in asdict(candidate).items()
                if name not in ("key", "evidence_query")
            },
        }
        return {
            "incident_id": step.memory.incident_id,
            "rule": step.key.rule,
            "rule_version": step.rule.version,
            "family": step.rule.family,
            "scope_kind": step.key.scope_kind,
            "scope_id": step.key.scope_id,
            "scope_name": candidate.scope_name,
            "organization_id": candidate.organization_id,
            "severity": str(step.memory.severity),
            "opened_at": self._now,
            "opened_as_of": self._evaluation.as_of,
            "last_breach_at": self._now,
            "evidence": json.dumps(kept),
        }

    # --- telling ------------------------------------------------------------------------------------------

    def _tell(self, steps: list[_Step], report: EvaluationReport) -> None:
        muter = _Muter(
            self._connection,
            self._now,
            self._book,
            steps,
            self._in_maintenance,
            self._source_databases,
            self._news_as_of,
        )
        acknowledged = {row.incident_id for row in self._open.values() if row.acknowledged_at is not None}
        groups: dict[tuple[str, str], list[_Step]] = {}
        for step in steps:
            value = step.candidate.observed_value if step.candidate else None
            step.true = step.memory
            step.memory, step.telling = alert_states.tell(
                step.true,
                self._book.reminders,
                now=self._now,
                value=None if value is None else str(value),
                muted=muter.why(step),
                is_silence=muter.silence_of(step.key) is not None,
                is_acknowledged=step.incident_id in acknowledged,
            )
            if step.telling.event:
                groups.setdefault((step.rule.family, self._organization(step) or ""), []).append(step)
            report.withheld_count += step.telling.withheld is not None and bool(step.changes)
        in_notice = {}
        for notice, members in self._notices(groups):
            self._enqueue(self._connection, notice)
            report.notices.append(notice)
            for step in members:
                in_notice[step.key] = notice.notice_id
                if step.telling.event == "opened" or (
                    # another one than people know, and not the same after a silence
                    step.telling.event == "still_firing"
                    and step.true.told_incident_id != step.memory.incident_id
                ):
                    step.memory = replace(step.memory, opening_notice_id=notice.notice_id)
        self._write_events(steps, in_notice)

    def _organization(self, step: _Step) -> str | None:
        if step.candidate is not None:
            return step.candidate.organization_id
        row = self._open.get(step.key)
        return row.organization_id if row is not None else None

    def _notices(self, groups: dict[tuple[str, str], list[_Step]]) -> Iterable[tuple[Notice, list[_Step]]]:
        """One per organization and family, the most severe first; beyond MAX_NOTICES a digest of the rest."""
        for members in groups.values():
            members.sort(key=lambda step: (-step.severity.rank, str(step.key)))
        ordered = sorted(groups.items(), key=lambda item: (-item[1][0].severity.rank, -len(item[1]), item[0]))
        whole = ordered if len(ordered) <= MAX_NOTICES else ordered[: MAX_NOTICES - 1]
        for (family, organization_id), members in whole:
            yield self._notice(family, organization_id or None, members), members
        rest = [step for _, members in ordered[len(whole) :] for step in members]
        if rest:
            rest.sort(key=lambda step: (-step.severity.rank, str(step.key)))
            yield self._notice(DIGEST, None, rest), rest

    def _notice(self, family: str, organization_id: str | None, members: list[_Step]) -> Notice:
        critical = sum(1 for step in members if step.severity is Severity.critical)
        listed = members[: max(LISTED, critical)]
        first = listed[0].true
        moment = f"{self._evaluation.as_of:%Y%m%dT%H%M%S}"
        mark = json.dumps([moment, family, organization_id, self._now.isoformat()])
        return Notice(
            notice_id=f"{moment}-{hashlib.sha256(mark.encode()).hexdigest()[:12]}",
            family=family,
            organization_id=organization_id,
            organization_name=self._evaluation.organization_names.get(organization_id or ""),
            made_at=self._now,
            as_of=self._evaluation.as_of,
            members=tuple(self._member(step) for step in listed),
            omitted=Counter(str(step.severity) for step in members[len(listed) :]),
            replies_to=first.opening_notice_id if first.told == "firing" else None,
        )

    def _member(self, step: _Step) -> Member:
        row = self._incident_of(step)
        kept = json.loads(row.evidence)
        evidence, opened = kept["evidence"], kept["candidate"]
        now = step.candidate
        assert step.telling.event is not None
        return Member(
            event=step.telling.event,
            incident_id=row.incident_id,
            rule=step.rule.name,
            title=step.rule.title,
            owner=step.rule.owner,
            severity=str(step.severity),
            scope_kind=step.key.scope_kind,
            scope_id=step.key.scope_id,
            scope_name=row.scope_name,
            organization_id=row.organization_id,
            organization_name=self._evaluation.organization_names.get(row.organization_id or ""),
            measure=now.measure if now else opened["measure"],
            observed_value=now.observed_value if now else None,
            previous_value=_number(step.true.told_value),
            unit=step.rule.unit,
            comparison=opened["comparison"],
            threshold=now.threshold if now else Decimal(opened["threshold"]),
            clear_threshold=now.clear_threshold if now else Decimal(opened["clear_threshold"]),
            baseline_value=now.baseline_value if now else None,
            volume=now.volume if now else None,
            window_start=now.window_start if now else None,
            window_end=now.window_end if now else None,
            opened_at=row.opened_at,
            # a clock may stand before what its data say
            shown_at=data_moment(
                _moment(opened["data_as_of"]), _moment(opened["window_end"]), row.opened_as_of
            ),
            happened_at=self._now,
            untold_changes=max(step.true.untold_changes - 1, 0),
            reminder_number=step.memory.reminder_count if step.telling.event == "reminded" else 0,
            evidence_columns=tuple(evidence["columns"]),
            evidence_rows=tuple(tuple(values) for values in evidence["rows"]),
            counted_unit=now.counted_unit if now else opened.get("counted_unit"),
            actual_value=now.actual_value if now else None,
            evidence_query=evidence["evidence_query"],
            sql=evidence["sql"],
            parameters=evidence["parameters"],
            note=evidence["note"],
        )

    def _incident_of(self, step: _Step) -> Any:
        query = select(incidents).order_by(incidents.c.opened_at.desc(), incidents.c.opened_as_of.desc())
        if step.incident_id is not None:
            query = query.where(incidents.c.incident_id == step.incident_id)
        else:
            # remembered by a version that did not know which one people had been told of
            query = query.where(
                incidents.c.rule == step.key.rule,
                incidents.c.scope_kind == step.key.scope_kind,
                incidents.c.scope_id == step.key.scope_id,
            )
        return self._connection.execute(query.limit(1)).one()

    # --- rows ---------------------------------------------------------------------------------------------

    def _write_events(self, steps: list[_Step], notices: Mapping[Key, str]) -> None:
        rows = []
        for step in steps:
            incident_id = step.incident_id
            if incident_id is None:
                continue
            value = step.candidate.observed_value if step.candidate else None
            detail: dict[str, Any] = {"value": None if value is None else str(value)}
            if step.telling.withheld:
                detail["nobody was told"] = step.telling.withheld
            if step.candidate is not None and step.candidate.unknown_reason:
                detail["unknown"] = step.candidate.unknown_reason
            # what is told of something that changed before is an event of its own
            is_late = step.telling.event is not None and step.telling.event not in step.changes
            kinds = [*step.changes, *([f"told: {step.telling.event}"] if is_late else [])]
            rows += [
                {
                    "incident_id": incident_id,
                    "kind": kind,
                    "happened_at": self._now,
                    "notice_id": notices.get(step.key),
                    "detail": json.dumps(detail),
                }
                for kind in kinds
            ]
        for batch in _batches(rows):
            self._connection.execute(insert(events), batch)

    def _write_states(self, steps: list[_Step]) -> None:
        changed = [step for step in steps if step.memory != step.before or step.memory.is_blank]
        for step in changed:
            self._connection.execute(
                delete(states).where(
                    states.c.rule == step.key.rule,
                    states.c.scope_kind == step.key.scope_kind,
                    states.c.scope_id == step.key.scope_id,
                )
            )
        rows = [
            {
                **asdict(step.key),
                "state": str(step.memory.state),
                "memory": alert_states.to_json(step.memory),
                "incident_id": step.memory.incident_id,
                "data_as_of": step.memory.data_as_of,
                "evaluated_at": self._now,
            }
            for step in changed
            if not step.memory.is_blank
        ]
        for batch in _batches(rows):
            self._connection.execute(insert(states), batch)

    def _note(self, report: EvaluationReport) -> None:
        self._connection.execute(
            insert(alerting.evaluations),
            [
                {
                    "cadence": str(cadence),
                    "occasion": str(self._occasion),
                    "as_of": self._evaluation.as_of,
                    "evaluated_at": self._now,
                    "candidate_count": report.candidate_count,
                    "breach_count": report.breach_count,
                    "unknown_count": report.unknown_count,
                }
                for cadence in sorted(self._evaluation.cadences)
            ],
        )


class _Muter:
    """Why nobody is told of a key: a silence, maintenance, something that explains it, or old news."""

    def __init__(
        self,
        connection: Connection,
        now: datetime,
        book: RuleBook,
        steps: list[_Step],
        in_maintenance: frozenset[str],
        source_databases: frozenset[str],
        news_as_of: datetime,
    ) -> None:
        table = alerting.silences
        self._silences = connection.execute(
            select(table).where(table.c.starts_at <= now, table.c.ends_at > now)
        ).all()
        self._in_maintenance = in_maintenance
        self._source_databases = source_databases
        self._news_as_of = news_as_of
        self._inhibitions: dict[str, list[Inhibition]] = {}
        for inhibition in book.inhibitions:
            self._inhibitions.setdefault(inhibition.inhibited_rule, []).append(inhibition)
        # of each rule the scopes that fire: thousands, of which one is looked up at a time
        self._firing_scopes: dict[str, dict[tuple[str, str], Severity]] = {}
        for key, severity in self._firing(connection, steps):
            self._firing_scopes.setdefault(key.rule, {})[key.scope_kind, key.scope_id] = severity

    @staticmethod
    def _firing(connection: Connection, steps: list[_Step]) -> list[tuple[Key, Severity]]:
        """The keys with an open incident, each with its severity."""
        stepped = {step.key for step in steps}
        firing = [(step.key, step.severity) for step in steps if step.memory.is_open]
        others = connection.execute(
            select(
                incidents.c.rule, incidents.c.scope_kind, incidents.c.scope_id, incidents.c.severity
            ).where(incidents.c.resolved_at.is_(None))
        )
        for rule, scope_kind, scope_id, severity in others:
            key = Key(rule, scope_kind, scope_id)
            if key not in stepped:
                firing.append((key, Severity(severity)))
        return firing

    def silence_of(self, key: Key) -> str | None:
        """Whose silence covers it, in words."""
        for silence in self._silences:
            if all(
                wanted is None or wanted == given
                for wanted, given in (
                    (silence.rule, key.rule),
                    (silence.scope_kind, key.scope_kind),
                    (silence.scope_id, key.scope_id),
                )
            ):
                return f"silence {silence.silence_id} of {silence.owner}: {silence.reason}"
        return None

    def why(self, step: _Step) -> str | None:
        key = step.key
        if (silence := self.silence_of(key)) is not None:
            return silence
        if key.scope_kind == "component" and key.scope_id in self._in_maintenance:
            return "maintenance"
        organization = step.candidate.organization_id if step.candidate else None
        for inhibition in self._inhibitions.get(key.rule, []):
            firing = self._firing_scopes.get(inhibition.rule, {})
            for kind, scope_id in self._sources(inhibition.inhibits, key, organization):
                severity = firing.get((kind, scope_id))
                is_itself = (inhibition.rule, kind, scope_id) == (key.rule, key.scope_kind, key.scope_id)
                # what is louder than its explanation is not explained by it
                if severity is not None and not is_itself and step.severity.rank <= severity.rank:
                    return f"{inhibition.rule} of {kind} {scope_id} explains it"
        moment = step.candidate.window_end if step.candidate else None
        if moment is not None and self._news_as_of - moment > OLDEST_NEWS and step.memory.told != "firing":
            return f"its data ends {moment} UTC, too long ago to wake anybody"
        return None

    def _sources(self, kind: str, key: Key, organization_id: str | None) -> Iterable[tuple[str, str]]:
        """The scopes whose incident explains one of `key`."""
        if kind == "same_scope":
            yield key.scope_kind, key.scope_id
            return
        if kind == "everything":
            # one table or another component that is silent says nothing of the rest
            yield _PLATFORM
            yield from (("component", name) for name in sorted(self._source_databases))
            return
        if key.scope_kind != "platform":
            yield _PLATFORM
        if key.scope_kind == "team" and organization_id is not None:
            yield "organization", organization_id


def _incident_id(key: Key, as_of: datetime) -> str:
    """The same for the same opening, however often it is computed."""
    text = json.dumps([key.rule, key.scope_kind, key.scope_id, as_of.isoformat()])
    return f"inc-{as_of:%Y%m%dT%H%M%S}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _batches(rows: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]
