"""Evaluations in the ops store: one notice for each opening, whoever evaluates, dies, or does so at once."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text, insert, select

from flows.alert_evaluator import MAX_NOTICES, EvaluationReport, apply
from flows.alert_rules import (
    Cadence,
    Candidate,
    Evaluation,
    Evidence,
    Inhibition,
    Key,
    Reminders,
    Rule,
    RuleBook,
    Severity,
    Verdict,
)
from flows.alert_silences import acknowledge, active_silences, close, end_silence, silence
from flows.errors import AlmanacError, UsageError
from flows.ops_store import OpsStore, alerting, open_ops_store
from flows.settings import Settings
from reports.message import LARGEST_HTML
from reports.notice import Notice
from reports.notice_mail import notice_mail
from tests.oracle import alerts as model
from tests.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parent.parent.parent
START = datetime(2026, 11, 1)
EVALUATORS = 8
ROUNDS = 12
DEADLINE_SECONDS = 120

# A table beside the store's own: what was handed over, in the same transaction.
told_metadata = MetaData(schema="ops")
told = Table("told_notices", told_metadata, Column("notice_id", Text), Column("told", Text))


def rule(name: str, family: str = "usage", severity: Severity = Severity.warning) -> Rule:
    return Rule(name, family, name, "credits", severity, Cadence.check, 1, 1, (), "nobody", "v1")


BOOK = RuleBook(
    rules={
        "low": rule("low"),
        "empty": rule("empty", severity=Severity.critical),
        "failing": rule("failing", "system", Severity.error),
        "auth_failures": rule("auth_failures", "security", Severity.error),
        "ending": rule("ending"),
        "stale": rule("stale", "system", Severity.error),
    },
    inhibitions=(
        Inhibition("low", "ending", "same_scope"),
        Inhibition("stale", "ending", "everything"),
        Inhibition("stale", "failing", "everything"),
        Inhibition("empty", "low", "same_scope"),
        Inhibition("failing", "failing", "members"),
    ),
    reminders={
        Severity.info: Reminders(None, 0),
        Severity.warning: Reminders(24, 3),
        Severity.error: Reminders(12, 6),
        Severity.critical: Reminders(4, 12),
    },
)


def candidate(
    name: str,
    scope_id: str,
    verdict: str = "breach",
    *,
    at: datetime = START,
    kind: str = "team",
    org: str = "o",
    severity: Severity | None = None,
) -> Candidate:
    return Candidate(
        key=Key(name, kind, scope_id),
        scope_name=scope_id,
        organization_id=org,
        severity=severity or BOOK.rules[name].severity,
        verdict=Verdict(verdict),
        unknown_reason="why" if verdict == "unknown" else None,
        measure="credits",
        observed_value=None if verdict == "unknown" else Decimal("1.5"),
        unit="credits",
        comparison="<=",
        threshold=Decimal(2),
        clear_threshold=Decimal(3),
        baseline_value=None,
        volume=None,
        window_start=None,
        window_end=at,
        data_as_of=at,
        evidence_query="select 1",
    )


def evidence(found: Candidate) -> Evidence:
    return Evidence("v1", "select 1", {"almanac_as_of": "x"}, "select 1", ("a",), (("1",),))


@pytest.fixture(params=["sqlite", "postgres"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer
) -> Iterator[Settings]:
    if request.param == "sqlite":
        yield Settings(data_dir=tmp_path)
        return
    name = f"alerts_{random.SystemRandom().randrange(10**9)}"
    postgres_server.execute(f"create database {name}")
    yield Settings(data_dir=tmp_path, target="postgres", warehouse_url=postgres_server.url(name))


@pytest.fixture
def store(settings: Settings) -> OpsStore:
    opened = open_ops_store(settings)
    with opened.transaction() as connection:
        told_metadata.create_all(connection)
    return opened


def enqueue(connection: Connection, notice: Notice) -> None:
    events = [[member.event, member.rule, member.scope_id, member.incident_id] for member in notice.members]
    connection.execute(insert(told).values(notice_id=notice.notice_id, told=json.dumps(events)))


def evaluated(
    store: OpsStore,
    *candidates: Candidate,
    at: datetime = START,
    unknown: dict[str, str] | None = None,
    now: datetime | None = None,
    in_maintenance: frozenset[str] = frozenset(),
    source_databases: frozenset[str] = frozenset(),
    cadence: Cadence = Cadence.check,
    names: dict[str, str] | None = None,
) -> EvaluationReport:
    return apply(
        store,
        Evaluation(at, frozenset({cadence}), BOOK, candidates, unknown or {}, names or {}),
        enqueue=enqueue,
        evidence_of=evidence,
        now=now or at,
        in_maintenance=in_maintenance,
        source_databases=source_databases,
    )


def all_told(store: OpsStore) -> list[list[str]]:
    with store.transaction() as connection:
        return [event for row in connection.execute(select(told)) for event in json.loads(row.told)]


def events_of(report: EvaluationReport) -> list[tuple[str, str]]:
    return [(member.event, member.scope_id) for notice in report.notices for member in notice.members]


def hours(number: float) -> datetime:
    return START + timedelta(hours=number)


def test_an_incident_is_opened_with_its_evidence_and_resolved_once(store: OpsStore) -> None:
    first = evaluated(store, candidate("low", "a"))
    assert events_of(first) == [("opened", "a")]
    assert events_of(evaluated(store, candidate("low", "a", at=hours(1)), at=hours(1))) == []
    last = evaluated(store, candidate("low", "a", "clear", at=hours(2)), at=hours(2))
    assert events_of(last) == [("resolved", "a")]
    assert last.notices[0].replies_to == first.notices[0].notice_id
    assert last.notices[0].members[0].incident_id == first.opened[0]
    with store.transaction() as connection:
        (row,) = connection.execute(select(alerting.incidents)).all()
    kept = json.loads(row.evidence)
    assert kept["evidence"]["sql"] == "select 1"
    assert kept["candidate"]["observed_value"] == "1.5"
    assert (row.opened_at, row.resolved_at, row.resolution) == (hours(0), hours(2), "recovered")


def test_an_unknown_or_missing_scope_resolves_nothing(store: OpsStore) -> None:
    evaluated(store, candidate("low", "a"), candidate("low", "b"))
    for number in range(1, 60):
        report = evaluated(store, candidate("low", "a", "unknown", at=hours(number)), at=hours(number))
        assert report.resolved == []
    with store.transaction() as connection:
        states = {row.scope_id: row.state for row in connection.execute(select(alerting.states))}
    assert states == {"a": "unknown", "b": "unknown"}


def test_an_address_that_is_no_longer_listed_is_clear_if_its_rule_has_its_source(store: OpsStore) -> None:
    def without_source(at: datetime) -> Candidate:
        return candidate("low", "platform", "unknown", at=at, kind="platform")

    evaluated(store, candidate("low", "192.0.2.7", kind="client"), candidate("low", "t"))
    assert events_of(evaluated(store, without_source(hours(1)), at=hours(1))) == []
    assert events_of(evaluated(store, at=hours(2), unknown={"low": "broken"})) == []
    told_of = events_of(evaluated(store, candidate("low", "other", "clear", at=hours(3)), at=hours(3)))
    assert told_of == [("resolved", "192.0.2.7")], "and a team that is missing is unknown"


def test_a_team_that_a_rule_of_security_no_longer_lists_is_clear_as_far_as_its_data_reaches(
    store: OpsStore,
) -> None:
    evaluated(store, candidate("auth_failures", "gone"))
    # the log was not read since
    behind = replace(candidate("auth_failures", "other", "clear", at=hours(1)), data_as_of=START)
    assert events_of(evaluated(store, behind, at=hours(1))) == []
    read = candidate("auth_failures", "other", "clear", at=hours(2))
    assert events_of(evaluated(store, read, at=hours(2))) == [("resolved", "gone")]


def test_a_source_that_is_absent_opens_and_tells_nothing(store: OpsStore) -> None:
    for number in range(5):
        report = evaluated(
            store,
            candidate("low", "platform", "unknown", at=hours(number), kind="platform"),
            at=hours(number),
        )
        assert (report.opened, report.notices, report.unknown_count) == ([], [], 1)


def test_a_source_that_goes_away_is_an_incident_of_its_rule(store: OpsStore) -> None:
    def away(at: datetime, count: int) -> Candidate:
        unknown = candidate("auth_failures", "platform", "unknown", at=at, kind="platform")
        return replace(unknown, volume=count, counted_unit="sources")

    assert events_of(evaluated(store, away(START, 1))) == []
    report = evaluated(store, away(hours(1), 1), at=hours(1))
    assert events_of(report) == [("opened", "auth_failures")]
    assert report.notices[0].members[0].rule == "rule_unknown"
    report = evaluated(store, away(hours(2), 0), at=hours(2))
    assert events_of(report) == [("resolved", "auth_failures")]
    # a platform that is too young to be judged has jobs, and has lost nothing
    for number in range(3, 6):
        young = candidate("low", "platform", "unknown", at=hours(number), kind="platform")
        young = replace(young, volume=134, counted_unit="jobs")
        assert evaluated(store, young, at=hours(number)).opened == []


def test_an_evaluation_as_of_a_far_future_stops_nothing(store: OpsStore) -> None:
    year = START + timedelta(days=365)
    evaluated(
        store, candidate("low", "a", "clear", at=year), candidate("low", "b", at=year), at=year, now=START
    )
    for number, verdict in enumerate(("breach", "clear"), start=1):
        at = hours(number)
        report = evaluated(
            store, candidate("low", "a", verdict, at=at), candidate("low", "b", verdict, at=at), at=at
        )
        assert not report.is_overtaken
        assert ("opened" if verdict == "breach" else "resolved", "a") in events_of(report)
        assert (("resolved", "b") in events_of(report)) == (verdict == "clear")


def test_an_evaluation_a_little_ahead_overtakes(store: OpsStore) -> None:
    evaluated(store, at=hours(2), now=START)
    assert evaluated(store, candidate("low", "a", at=hours(1)), at=hours(1), now=hours(1)).is_overtaken


def test_where_every_moment_lies_ahead_of_the_clock_the_newest_counts(store: OpsStore) -> None:
    evaluated(store, at=hours(100), now=START)
    assert evaluated(store, at=hours(99), now=START).is_overtaken


def test_a_silence_that_ends_is_followed_by_a_word_on_what_still_fires(store: OpsStore) -> None:
    evaluated(store, candidate("low", "a"))
    silence(
        store, rule="low", scope_kind=None, scope_id=None, hours=48, owner="ann", reason="known", now=hours(1)
    )
    for number in (2, 20, 40):
        assert events_of(evaluated(store, candidate("low", "a", at=hours(number)), at=hours(number))) == []
    assert events_of(evaluated(store, candidate("low", "a", at=hours(50)), at=hours(50))) == [
        ("still_firing", "a")
    ]
    assert events_of(evaluated(store, candidate("low", "a", at=hours(51)), at=hours(51))) == []


def test_an_end_that_was_kept_quiet_is_told_later_of_the_incident_that_people_know(store: OpsStore) -> None:
    first = evaluated(store, candidate("low", "a"))
    quiet: dict[str, Any] = {"owner": "ann", "reason": "known", "hours": 10, "now": hours(1)}
    silence(store, rule="low", scope_kind=None, scope_id=None, **quiet)
    for number, verdict in ((2, "clear"), (3, "breach"), (4, "clear")):
        at = hours(number)
        assert events_of(evaluated(store, candidate("low", "a", verdict, at=at), at=at)) == []
    report = evaluated(store, candidate("low", "a", "clear", at=hours(12)), at=hours(12))
    assert events_of(report) == [("resolved", "a")]
    assert report.notices[0].members[0].incident_id == first.opened[0]
    assert report.notices[0].replies_to == first.notices[0].notice_id


def test_after_a_silence_the_end_still_answers_the_first_notice(store: OpsStore) -> None:
    first = evaluated(store, candidate("low", "a"))
    quiet: dict[str, Any] = {"owner": "ann", "reason": "known", "hours": 10, "now": hours(1)}
    silence(store, rule="low", scope_kind=None, scope_id=None, **quiet)
    for number in (2, 30):
        report = evaluated(store, candidate("low", "a", at=hours(number)), at=hours(number))
    assert events_of(report) == [("still_firing", "a")]
    report = evaluated(store, candidate("low", "a", "clear", at=hours(60)), at=hours(60))
    assert report.notices[0].replies_to == first.notices[0].notice_id


def test_the_store_and_the_model_agree_whatever_the_clock_does(store: OpsStore) -> None:
    """Histories of one scope each, side by side through the store: values, errors, silences, clock steps."""
    rules = model.Rules(1, 1, {str(name): (plan.hours, plan.limit) for name, plan in BOOK.reminders.items()})
    scopes, steps = [f"s{number}" for number in range(60)], 20
    chance = random.Random(20261130)
    histories: dict[str, list[model.Seen]] = {scope: [] for scope in scopes}
    found: dict[str, list[tuple[int, str]]] = {scope: [] for scope in scopes}
    silenced_until = dict.fromkeys(scopes, START)
    at, clock = START, START
    for _ in range(steps):
        at += timedelta(minutes=chance.choice([15, 60, 60, 300, 1500]))
        # a clock set back by minutes or hours; or somebody asks as of next year, where nothing is known
        now = at - timedelta(minutes=chance.choice([0, 0, 0, 10, 180]))
        is_of_next_year = chance.random() < 0.15
        clock = clock if now < clock <= now + timedelta(days=1) else now
        candidates = []
        for scope in scopes:
            if chance.random() < 0.06:
                length = chance.choice([1, 5, 40])
                silence(
                    store, rule="low", scope_kind="team", scope_id=scope, hours=length, owner="ann",
                    reason="test", now=clock,
                )  # fmt: skip
                silenced_until[scope] = max(silenced_until[scope], clock + timedelta(hours=length))
            verdict = chance.choices(["breach", "clear", "holding", "unknown"], (5, 4, 1, 1))[0]
            verdict = "unknown" if is_of_next_year else verdict
            muted = "silence" if clock < silenced_until[scope] else ""
            histories[scope].append(model.Seen(verdict, "warning", at, clock, muted, False))
            candidates.append(candidate("low", scope, verdict, at=at, org=scope))
        as_of = at + timedelta(days=365) if is_of_next_year else at
        report = evaluated(store, *candidates, at=as_of, now=now)
        assert not report.is_overtaken
        for event, scope in events_of(report):
            told_as = "firing" if event in ("opened", "still_firing") else event
            found[scope].append((len(histories[scope]) - 1, told_as))
    for scope in scopes:
        assert found[scope] == model.told(histories[scope], rules), scope


def test_a_rule_that_cannot_be_asked_is_an_incident_of_its_own(store: OpsStore) -> None:
    evaluated(store, candidate("low", "a"))
    assert events_of(evaluated(store, at=hours(1), unknown={"low": "no such table"})) == []
    assert events_of(evaluated(store, at=hours(2), unknown={"low": "no such table"})) == [("opened", "low")]
    report = evaluated(store, candidate("low", "a", at=hours(3)), at=hours(3))
    assert events_of(report) == [("resolved", "low")]


def test_a_notice_carries_its_query_names_units_and_both_moments(store: OpsStore) -> None:
    names = {"o": "Org <One>"}
    shown, opened = START - timedelta(days=7), START
    found = replace(
        candidate("low", "o", kind="organization", at=shown),
        scope_name="Org <One>",
        window_end=START,
        counted_unit="USD",
        actual_value=Decimal("39.70"),
    )
    of_team = replace(candidate("low", "a", at=shown), window_end=START)
    first = evaluated(store, found, of_team, now=opened, names=names)
    (told_first,) = first.notices
    assert (told_first.organization_id, told_first.organization_name) == ("o", "Org <One>")
    one, team = sorted(told_first.members, key=lambda member: member.scope_kind)
    assert (one.scope_name, one.organization_name) == ("Org <One>", "Org <One>")
    assert (team.scope_name, team.organization_name) == ("a", "Org <One>")
    assert (one.evidence_query, one.sql, one.parameters) == ("select 1", "select 1", {"almanac_as_of": "x"})
    assert (one.counted_unit, one.actual_value) == ("USD", Decimal("39.70"))
    assert (one.shown_at, one.opened_at) == (shown, opened)
    # a day later it is told again, and both moments are still those of the opening
    later = evaluated(store, found, of_team, at=START + timedelta(hours=25), names={})
    assert {member.event for notice in later.notices for member in notice.members} == {"reminded"}
    reminded = next(m for notice in later.notices for m in notice.members if m.scope_kind == "organization")
    assert (reminded.shown_at, reminded.opened_at, reminded.reminder_number) == (shown, opened, 1)
    assert (reminded.scope_name, reminded.organization_name) == ("Org <One>", None)
    assert reminded.evidence_query == "select 1"


def test_one_notice_per_organization_and_family(store: OpsStore) -> None:
    report = evaluated(
        store,
        candidate("low", "a", org="x"),
        candidate("low", "b", org="x"),
        candidate("low", "c", org="y"),
        candidate("failing", "a", org="x"),
    )
    groups = [(notice.organization_id, notice.family, len(notice.members)) for notice in report.notices]
    assert sorted(groups) == [
        ("x", "system", 1), ("x", "usage", 2), ("y", "usage", 1),
    ]  # fmt: skip


def test_a_storm_is_twenty_messages_and_no_critical_incident_is_only_counted(store: OpsStore) -> None:
    storm = [candidate("low", f"team {number}", org=f"org {number % 3000}") for number in range(10_000 - 500)]
    critical = [candidate("empty", f"broke {number}", org=f"org {number}") for number in range(500)]
    report = evaluated(store, *storm, *critical)
    assert len(report.opened) == 10_000
    assert len(report.notices) <= MAX_NOTICES == 20
    named = {member.scope_id for notice in report.notices for member in notice.members}
    assert {found.key.scope_id for found in critical} <= named
    listed = sum(len(notice.members) for notice in report.notices)
    assert listed + sum(sum(notice.omitted.values()) for notice in report.notices) == 10_000
    assert all("critical" not in notice.omitted for notice in report.notices)
    mails = [notice_mail(notice, runbooks="docs/alerts.md") for notice in report.notices]
    assert max(len(mail.html.encode()) for mail in mails) <= LARGEST_HTML
    assert sum(len(file.content) for mail in mails for file in mail.attachments) < 500_000
    said = "".join(mail.text + "".join(file.content.decode() for file in mail.attachments) for mail in mails)
    assert {found.key.scope_id for found in critical} <= set(re.findall(r"broke \d+", said))


def test_what_explains_an_incident_keeps_it_quiet_until_it_is_over(store: OpsStore) -> None:
    report = evaluated(store, candidate("low", "a"), candidate("empty", "a"), candidate("low", "b"))
    assert sorted(events_of(report)) == [("opened", "a"), ("opened", "b")]
    assert {
        member.rule for notice in report.notices for member in notice.members if member.scope_id == "a"
    } == {"empty"}
    later = evaluated(
        store, candidate("low", "a", at=hours(1)), candidate("empty", "a", "clear", at=hours(1)), at=hours(1)
    )
    assert sorted((member.rule, member.event) for one in later.notices for member in one.members) == [
        ("empty", "resolved"), ("low", "opened"),
    ]  # fmt: skip


def test_an_organizations_outage_is_not_told_again_for_its_teams(store: OpsStore) -> None:
    report = evaluated(
        store,
        candidate("failing", "o", kind="organization"),
        candidate("failing", "a"),
        candidate("failing", "b", org="other"),
    )
    assert sorted(events_of(report)) == [("opened", "b"), ("opened", "o")]


def rules_told(report: EvaluationReport) -> set[str]:
    return {member.rule for notice in report.notices for member in notice.members}


@pytest.mark.parametrize(
    ("explains", "explained", "is_told"),
    [
        (Severity.info, Severity.warning, True),
        (Severity.warning, Severity.error, True),
        (Severity.error, Severity.critical, True),
        (Severity.info, Severity.info, False),
        (Severity.warning, Severity.warning, False),
        (Severity.critical, Severity.warning, False),
        (Severity.critical, Severity.critical, False),
    ],
)
def test_nothing_hides_what_is_louder(
    store: OpsStore, explains: Severity, explained: Severity, is_told: bool
) -> None:
    low = candidate("low", "a", severity=explains)
    report = evaluated(store, low, candidate("ending", "a", severity=explained))
    assert rules_told(report) == ({"low", "ending"} if is_told else {"low"})


def test_what_explains_is_as_loud_as_it_became_and_counts_where_it_is_not_asked(store: OpsStore) -> None:
    evaluated(store, candidate("low", "a", severity=Severity.info))
    # a night asks other rules than the check before it
    night = evaluated(store, candidate("ending", "a", at=hours(1)), at=hours(1), cadence=Cadence.night)
    assert rules_told(night) == {"ending"}
    evaluated(store, candidate("low", "b", at=hours(2)), at=hours(2))
    night = evaluated(store, candidate("ending", "b", at=hours(3)), at=hours(3), cadence=Cadence.night)
    assert rules_told(night) == set()
    both = [
        candidate(name, "a", at=hours(4), severity=severity)
        for name, severity in (("low", Severity.error), ("ending", Severity.error))
    ]
    assert rules_told(evaluated(store, *both, at=hours(4))) == {"low"}, "both became louder"


@pytest.mark.parametrize(
    ("kind", "scope_id", "is_told"),
    [
        ("platform", "platform", False),
        ("component", "source_db", False),
        ("component", "proxy", True),
        ("table", "jobs", True),
    ],
)
def test_only_the_platform_and_its_database_explain_everything(
    store: OpsStore, kind: str, scope_id: str, is_told: bool
) -> None:
    stale = candidate("stale", scope_id, kind=kind)
    report = evaluated(
        store,
        stale,
        candidate("ending", "a"),
        candidate("failing", "b"),
        candidate("failing", "c", severity=Severity.critical),
        source_databases=frozenset({"source_db"}),
    )
    told_of = {scope for _, scope in events_of(report)}
    assert told_of == {scope_id, "c", *(("a", "b") if is_told else ())}
    over = candidate("stale", scope_id, "clear", kind=kind, at=hours(1))
    later = evaluated(
        store,
        over,
        candidate("ending", "a", at=hours(1)),
        candidate("failing", "b", at=hours(1)),
        at=hours(1),
    )
    assert ("opened", "a") in events_of(later) or is_told


def test_maintenance_keeps_its_component_quiet(store: OpsStore) -> None:
    down = candidate("failing", "db", kind="component")
    assert events_of(evaluated(store, down, in_maintenance=frozenset({"db"}))) == []
    down = replace(down, data_as_of=hours(1), window_end=hours(1))
    assert events_of(evaluated(store, down, at=hours(1))) == [("opened", "db")]


def test_silences_have_an_owner_and_an_end(store: OpsStore) -> None:
    quiet: dict[str, Any] = {"owner": "ann", "reason": "load test", "now": START}
    number = silence(store, rule="low", scope_kind="team", scope_id="a", hours=2, **quiet)
    report = evaluated(store, candidate("low", "a"), candidate("low", "b"), at=hours(1))
    assert events_of(report) == [("opened", "b")]
    assert [row.silence_id for row in active_silences(store, hours(1))] == [number]
    end_silence(store, number, hours(1.5))
    assert active_silences(store, hours(1.6)) == []
    report = evaluated(store, candidate("low", "a", at=hours(1.6)), at=hours(1.6))
    assert events_of(report) == [("opened", "a")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rule": None, "scope_kind": None, "scope_id": None},
        {"scope_kind": None},
        {"hours": 0},
        {"hours": 24 * 91},
        {"owner": " "},
        {"reason": "x" * 501},
        {"reason": "a\x1b[31m"},
    ],
)
def test_a_silence_that_says_too_little_or_too_much_is_refused(
    settings: Settings, wrong: dict[str, object]
) -> None:
    given: dict[str, Any] = {
        "rule": "low", "scope_kind": "team", "scope_id": "a", "owner": "ann", "reason": "test", "hours": 1,
        "now": START, **wrong,
    }  # fmt: skip
    with pytest.raises(UsageError):
        silence(open_ops_store(settings), **given)


def test_acknowledged_is_not_reminded_of_and_still_resolved(store: OpsStore) -> None:
    opened = evaluated(store, candidate("low", "a")).opened[0]
    acknowledge(store, opened[:-2], "ann", hours(1))
    assert events_of(evaluated(store, candidate("low", "a", at=hours(30)), at=hours(30))) == []
    report = evaluated(store, candidate("low", "a", "clear", at=hours(60)), at=hours(60))
    assert events_of(report) == [("resolved", "a")]


def test_closed_by_hand_is_over_and_opens_again_when_it_still_fires(store: OpsStore) -> None:
    opened = evaluated(store, candidate("low", "gone")).opened[0]
    close(store, opened, "ann", "the team was deleted", hours(1))
    assert events_of(evaluated(store, at=hours(2))) == []
    with pytest.raises(UsageError, match="no open incident"):
        close(store, opened, "ann", "again", hours(3))
    assert events_of(evaluated(store, candidate("low", "gone", at=hours(4)), at=hours(4))) == [
        ("opened", "gone")
    ]


def test_an_older_evaluation_is_left_alone(store: OpsStore) -> None:
    evaluated(store, candidate("low", "a", "clear", at=hours(2)), at=hours(2))
    report = evaluated(store, candidate("low", "a", at=hours(1)), at=hours(1), now=hours(3))
    assert report.is_overtaken
    assert all_told(store) == []


def test_a_clock_that_is_set_back_repeats_nothing_and_blocks_nothing_for_long(store: OpsStore) -> None:
    evaluated(store, candidate("low", "a"), now=hours(100))
    for number in range(1, 6):
        moment = hours(number)
        assert events_of(evaluated(store, candidate("low", "a", at=moment), at=moment, now=moment)) == []
    # an hour later by the right clock
    report = evaluated(store, candidate("low", "a", at=hours(125)), at=hours(125), now=hours(125))
    assert events_of(report) == [("reminded", "a")]


def test_old_news_opens_in_silence(store: OpsStore) -> None:
    report = evaluated(store, candidate("low", "a", at=START - timedelta(hours=49)))
    assert (len(report.opened), events_of(report), report.withheld_count) == (1, [], 1)


def test_what_is_clear_costs_nothing(store: OpsStore) -> None:
    clear = [candidate("low", f"team {number}", "clear") for number in range(20_000)]
    evaluated(store, *clear)
    with store.transaction() as connection:
        assert connection.execute(select(alerting.states)).all() == []


# --- many at once, and killed -------------------------------------------------------------------------------

CODE = """
import os, sys
from datetime import datetime, timedelta
from flows.ops_store import open_ops_store
from flows.settings import load_settings
from tests.pipeline.test_alert_evaluators import candidate, evaluated, hours
store = open_ops_store(load_settings())
for number in range(int(sys.argv[1])):
    moment = hours(number)
    found = [
        candidate("low", f"team {team}", "breach" if (number // 3 + team) % 2 == 0 else "clear", at=moment)
        for team in range(6)
    ]
    evaluated(store, *found, at=moment)
"""


def started(settings: Settings, rounds: int, **more: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "ALMANAC_DATA_DIR": str(settings.data_dir), "PYTHONPATH": str(ROOT), **more}
    if settings.target == "postgres":
        assert settings.warehouse_url
        environment |= {"ALMANAC_TARGET": "postgres", "ALMANAC_WAREHOUSE_URL": settings.warehouse_url}
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(rounds)], env=environment, cwd=ROOT, stderr=subprocess.PIPE
    )


def test_eight_evaluators_killed_at_random_tell_each_opening_once(
    settings: Settings, store: OpsStore
) -> None:
    seed = 20261125
    chance = random.Random(seed)
    deadline = time.monotonic() + DEADLINE_SECONDS
    running = [started(settings, ROUNDS) for _ in range(EVALUATORS)]
    killed = 0
    while killed < EVALUATORS - 2 and time.monotonic() < deadline:
        time.sleep(chance.uniform(0.1, 0.5))
        alive = [process for process in running if process.poll() is None]
        if not alive:
            break
        victim = chance.choice(alive)
        victim.send_signal(signal.SIGKILL)
        killed += 1
    for process in running:
        _, errors = process.communicate(timeout=max(deadline - time.monotonic(), 1))
        # waiting in vain for the lock of one that was killed is not a failure of the store
        assert process.returncode in (0, -signal.SIGKILL) or b"Another run is writing" in errors, (
            errors.decode()
        )
    last = started(settings, ROUNDS)
    _, errors = last.communicate(timeout=DEADLINE_SECONDS)
    assert last.returncode == 0, errors.decode()

    counts = Counter((event, incident) for event, _, _, incident in all_told(store) if event != "reminded")
    assert counts, f"seed {seed}: nothing was told"
    assert set(counts.values()) == {1}, f"seed {seed}"
    with store.transaction() as connection:
        incidents = connection.execute(select(alerting.incidents)).all()
        keys = Counter((row.rule, row.scope_id) for row in incidents if row.resolved_at is None)
        openings = connection.execute(
            select(alerting.incident_events).where(alerting.incident_events.c.kind == "opened")
        ).all()
    assert set(keys.values()) <= {1}
    assert Counter(row.incident_id for row in openings) == Counter(row.incident_id for row in incidents)
    alone = incidents_of_one_evaluator(settings)
    assert {(row.scope_id, row.opened_as_of) for row in incidents} == alone


def incidents_of_one_evaluator(settings: Settings) -> set[tuple[str, datetime]]:
    """What a single evaluator makes of the same evaluations."""
    store = open_ops_store(Settings(data_dir=settings.data_dir / "alone"))
    with store.transaction() as connection:
        told_metadata.create_all(connection)
    for number in range(ROUNDS):
        found = [
            candidate(
                "low",
                f"team {team}",
                "breach" if (number // 3 + team) % 2 == 0 else "clear",
                at=hours(number),
            )
            for team in range(6)
        ]
        evaluated(store, *found, at=hours(number))
    with store.transaction() as connection:
        return {
            (row.scope_id, row.opened_as_of) for row in connection.execute(select(alerting.incidents)).all()
        }


@pytest.mark.parametrize(
    "place",
    [
        "alerts.gathered",
        "alerts.incidents_written",
        "alerts.enqueued",
        "alerts.before_commit",
        "alerts.committed",
    ],
)
def test_an_evaluation_that_is_killed_has_happened_whole_or_not_at_all(
    settings: Settings, store: OpsStore, place: str
) -> None:
    process = started(settings, 1, ALMANAC_FAILPOINT=place)
    process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == -signal.SIGKILL
    with store.transaction() as connection:
        counts = [
            len(connection.execute(select(table)).all()) for table in (alerting.incidents, alerting.states)
        ]
    expected = 3 if place == "alerts.committed" else 0
    assert counts == [expected, expected]
    assert len(all_told(store)) == expected


def test_the_database_itself_refuses_a_second_open_incident(store: OpsStore) -> None:
    evaluated(store, candidate("low", "a"))
    with store.transaction() as connection:
        row = connection.execute(select(alerting.incidents)).one()._asdict()
    with pytest.raises(AlmanacError, match=r"(?i)unique"), store.transaction() as connection:
        connection.execute(insert(alerting.incidents).values(**{**row, "incident_id": "another"}))
