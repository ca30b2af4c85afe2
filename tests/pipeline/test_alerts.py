"""The alerts on the recorded platform: what they find, what they would have told, and the command."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shutil
import subprocess
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import insert, select

from flows.alert_backtest import Backtest, backtest, parse_span
from flows.alert_check import check, evaluate
from flows.alert_reader import open_rules
from flows.alert_rules import Cadence, Candidate, Verdict
from flows.alert_scopes import known_rules
from flows.errors import UsageError
from flows.ops_store import alerting, open_ops_store, probing
from flows.probe_run import probe_once
from flows.progress import SilentProgress
from flows.query import run_query
from flows.settings import Settings
from flows.source_schema import LITELLM_FAILURES
from tests.almanac_command import ALMANAC, environment
from tests.hostile_servers import answers, server
from tests.published import ROOT, TAPE, TAPE_AS_OF, Published
from tests.runbooks import first_query, rules_with_runbooks

LABELS = TAPE / "labels.json"
# Together they may open four incidents that nothing explains, in 120 days.
STATISTICAL = (
    "error_rate_high",
    "latency_high",
    "performance_degraded",
    "cost_spike",
    "traffic_spike",
    "traffic_drop",
)
MOST_UNEXPLAINED = 4
SECURITY = ("auth_failures", "unauthorized_access", "rate_limit_violations", "suspicious_usage")


@pytest.fixture(scope="module")
def replayed(published: Published) -> Backtest:
    return backtest(
        published.settings, timedelta(days=120), every_hours=6, progress=SilentProgress(), labels=LABELS
    )


def test_every_labelled_incident_that_a_rule_covers_is_found(replayed: Backtest) -> None:
    assert [(rule, label.kind) for rule, label in replayed.missed if rule in STATISTICAL] == []
    assert {rule: replayed.found[rule] for rule in STATISTICAL} == {
        "error_rate_high": 4,
        "latency_high": 1,
        "performance_degraded": 1,
        "cost_spike": 1,
        "traffic_spike": 2,
        "traffic_drop": 1,
    }


def test_hardly_an_incident_is_without_a_cause(replayed: Backtest) -> None:
    unexplained = replayed.false_alarms(*STATISTICAL)
    assert len(unexplained) <= MOST_UNEXPLAINED, [(one.key, one.opened_at) for one in unexplained]


def test_what_the_tape_shows_of_security_is_found_and_nothing_else(replayed: Backtest) -> None:
    assert {rule: replayed.found[rule] for rule in SECURITY} == {
        "auth_failures": 0,
        "unauthorized_access": 0,
        "rate_limit_violations": 1,
        "suspicious_usage": 1,
    }
    assert [label for rule, label in replayed.missed if rule in SECURITY] == []
    (sign_in,) = [one for one in replayed.incidents if one.key.scope_kind == "admin_user"]
    assert f"{sign_in.opened_at:%Y-%m-%d}" == "2026-10-21"
    unexplained = replayed.false_alarms("auth_failures", "rate_limit_violations", "suspicious_usage")
    assert [(one.key, one.opened_at) for one in unexplained] == []
    # its access was narrowed on 28 September, for good, and its client goes on asking
    denied = {one.key.scope_id for one in replayed.incidents if one.key.rule == "unauthorized_access"}
    assert denied == {"initech-legacy"}


def test_every_labelled_fault_that_charged_a_job_twice_is_found(replayed: Backtest) -> None:
    with gzip.open(TAPE / "credit_transactions.csv.gz", "rt", encoding="utf-8", newline="") as file:
        charges = Counter(
            row["job_id"]
            for row in csv.DictReader(file)
            if row["transaction_type"] == "deduction" and row["job_id"]
        )
    missed = {
        (label.kind, *label.teams, label.start) for rule, label in replayed.missed if rule == "ledger_break"
    }
    twice = 0
    for label in json.loads(LABELS.read_text(encoding="utf-8"))["labels"]:
        jobs = label.get("job_ids") or [label.get("job_id")]
        if not any(charges[job] > 1 for job in jobs):
            continue
        twice += 1
        start = datetime.fromisoformat(label["start"]).replace(tzinfo=None)
        assert (label["kind"], label["team"], start) not in missed
    assert twice >= 17


def test_the_balance_that_an_operator_set_by_hand_is_found(replayed: Backtest) -> None:
    breaks = [one for one in replayed.incidents if one.key.rule == "ledger_break"]
    assert any(
        one.key.scope_id == "initech-tps" and f"{one.seen_from:%Y-%m-%d}" == "2026-10-05" for one in breaks
    )
    assert all(label.kind != "put_team" for _, label in replayed.missed)


def test_the_report_has_recall_and_false_alarms_of_every_rule(replayed: Backtest) -> None:
    told = str(replayed)
    assert re.search(r"(?m)^error_rate_high +\d+ +4 +4 +1\.000 +\d$", told)
    figures = set(re.findall(r"(?m)^(\w+) +\d+ +\d+ +\d+ +(?:-|[01]\.\d{3}) +\d+$", told))
    assert figures == set(replayed.rules) == known_rules() - {"pipeline_stale", "rule_unknown"}
    assert re.search(r"(?m)^labels that no rule covers: model_denied \(77\), ", told)
    assert "call_after_completion (18, a kind that is not known)" in told
    assert re.search(r"(?m)^nothing to say: auth_failures: no source: ", told)
    assert f"labels of {LABELS}: 252, of which 252 start in that time" in told


def test_a_label_is_found_missed_or_fell_into_an_open_incident(replayed: Backtest) -> None:
    missed, held = (Counter(item[0] for item in items) for items in (replayed.missed, replayed.held))
    assert {rule: replayed.found[rule] + missed[rule] + held[rule] for rule in replayed.covered} == dict(
        replayed.covered
    )
    assert set(held) <= {"ledger_break"}


def test_the_label_of_an_admin_is_read_by_the_words_of_their_address(replayed: Backtest) -> None:
    assert replayed.labels is not None
    users = {label.user: label.users for label in replayed.labels if label.user}
    assert set(users) == {"maria@saas.example.com", "jonas@saas.example.com"}
    assert len(users["maria@saas.example.com"]) == 1


def test_a_label_of_a_team_is_of_its_organization_too(replayed: Backtest) -> None:
    assert replayed.labels is not None
    (spike,) = [label for label in replayed.labels if label.kind == "traffic_spike"]
    assert spike.teams == {"globex-chat"}
    assert spike.organizations == {"org_globex"}


@pytest.mark.parametrize("rule", rules_with_runbooks())
def test_the_first_query_of_a_runbook_runs_on_the_published_night(published: Published, rule: str) -> None:
    out, story = io.StringIO(), io.StringIO()
    run_query(first_query(rule), published.settings, output_format="csv", out=out, story=story)
    lines = out.getvalue().splitlines()
    assert lines
    # nothing was probed on the tape, and nothing sold at a loss
    assert (len(lines) > 1) is (rule not in {"component_down", "component_degraded", "margin_negative"})


@pytest.mark.parametrize("text", ["8", "w", "0w", "-1d", "8m", "99999d", "1w; drop"])
def test_a_span_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_span(text)


def test_every_rule_answers_on_the_published_night(published: Published) -> None:
    with open_rules(published.settings, as_of=TAPE_AS_OF) as rules:
        evaluation = rules.evaluate(Cadence)
    assert evaluation.unknown_rules == {}
    # nothing was probed on the tape
    asked = set(evaluation.book.rules) - {"component_down", "component_degraded"}
    assert {found.key.rule for found in evaluation.candidates} == asked
    keys = Counter(found.key for found in evaluation.candidates)
    assert set(keys.values()) == {1}
    assert all(
        (found.verdict is Verdict.unknown) == bool(found.unknown_reason) for found in evaluation.candidates
    )


def test_organizations_have_their_names_and_what_is_counted_its_unit(published: Published) -> None:
    names = dict(published.rows("select organization_id, organization_name from dim_organizations"))
    with open_rules(published.settings, as_of=TAPE_AS_OF) as rules:
        evaluation = rules.evaluate(Cadence)
    assert evaluation.organization_names == {key: name for key, name in names.items() if name is not None}
    of_organizations = [found for found in evaluation.candidates if found.key.scope_kind == "organization"]
    assert of_organizations
    for found in of_organizations:
        assert found.scope_name == names[found.key.scope_id] != found.key.scope_id
    for found in evaluation.candidates:
        assert found.volume is None or found.counted_unit is not None, found.key
        if found.unit not in ("increase", "fall"):
            assert found.actual_value is None
        elif found.verdict is not Verdict.unknown:
            # "increase of jobs over the usual", "3 days without a job, fall below the usual"
            counted = "jobs" if "without a job" in found.measure else found.measure.split()[2]
            assert found.counted_unit == ("USD" if found.key.rule == "cost_spike" else counted)
            assert found.actual_value is not None
    spikes = [found for found in evaluation.candidates if found.key.rule == "cost_spike"]
    for found in spikes:
        if found.verdict is Verdict.breach and found.baseline_value:
            assert found.observed_value is not None
            usual = found.baseline_value
            assert found.actual_value is not None
            assert abs(usual * (1 + found.observed_value) - found.actual_value) < Decimal("0.001")


def require_reproduced(settings: Settings, as_of: datetime) -> set[str]:
    """Every breach, and one more candidate of each measure, comes back as it was; the measures looked at."""
    asked: dict[tuple[str, str], Candidate] = {}
    with open_rules(settings, as_of=as_of) as rules:
        candidates = rules.evaluate(Cadence).candidates
        for found in candidates:
            if found.verdict is Verdict.breach:
                asked[found.key.rule, f"{found.key}"] = found
            asked.setdefault((found.key.rule, found.measure), found)
        for found in asked.values():
            evidence = rules.evidence_of(found)
            assert evidence.note is None, (found.key, evidence.note)
            assert evidence.rows or found.verdict is not Verdict.breach, found.key
            assert rules.again(evidence.sql, found.key, as_of) == found
    return {found.key.rule for found in candidates}


def test_evidence_gives_everything_back(published: Published) -> None:
    rules = require_reproduced(published.settings, TAPE_AS_OF)
    assert {"error_rate_high", "latency_high", "performance_degraded", "auth_failures"} <= rules
    # within the labelled outage of a provider, and the labelled storm at its rate limit
    for moment in (datetime(2026, 9, 2, 18), datetime(2026, 10, 30, 14)):
        require_reproduced(published.settings, moment)


ERROR_CLASSES = ROOT / "models" / "intermediate" / "error_classes.csv"
LITELLM_CLASSES = ROOT / "models" / "alerts" / "litellm_failure_classes.csv"


def open_evidence() -> duckdb.DuckDBPyConnection:
    """A database with the seeds, and without rows the tables that evidence of refusals reads."""
    connection = duckdb.connect()
    failures = ", ".join(f"{column.name} {column.sql_type}" for column in LITELLM_FAILURES.columns)
    for statement in (
        "create schema raw",
        "create schema alerts",
        f"create table alerts.error_classes as from read_csv('{ERROR_CLASSES}')",
        f"create table alerts.litellm_failure_classes as from read_csv('{LITELLM_CLASSES}')",
        "create table raw.jobs (job_id text, team_id text, error_message text, created_at timestamp)",
        "create table raw.llm_calls (job_id text, model_group_used text, error text, created_at timestamp)",
        "create table raw.access_log "
        "(happened_at timestamp, client text, key_id text, team_id text, path text, status int)",
        f"create table raw.litellm_failures ({failures})",
    ):
        connection.execute(statement)
    return connection


def test_a_rule_that_says_two_things_of_a_scope_is_unknown_and_the_others_are_asked(
    published: Published, tmp_path: Path
) -> None:
    settings = published.settings.model_copy(update={"data_dir": tmp_path})
    for path in (published.settings.warehouse_path, published.settings.landing_path):
        shutil.copy(path, tmp_path)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(f"attach '{settings.landing_path}' as landing (read_only)")
        connection.execute(
            "create or replace view alerts.alert_credit_low as "
            "select candidates.* from alerts.alert_credit_critical as candidates cross join range(2)"
        )
    with open_rules(settings, as_of=TAPE_AS_OF) as rules:
        found = rules.evaluate(Cadence, rules=["credit_low", "credit_critical"])
    assert set(found.unknown_rules) == {"credit_low"}
    assert "more than one thing" in found.unknown_rules["credit_low"]
    assert {candidate.key.rule for candidate in found.candidates} == {"credit_critical"}


@pytest.mark.parametrize(
    ("rule", "error_class"),
    [("unauthorized_access", "model_denied"), ("rate_limit_violations", "rate_limit")],
)
def test_evidence_shows_every_failure_that_its_rule_counts(
    published: Published, rule: str, error_class: str
) -> None:
    with ERROR_CLASSES.open(encoding="utf-8", newline="") as file:
        patterns = [row["pattern"] for row in csv.DictReader(file) if row["error_class"] == error_class]
    with open_rules(published.settings, as_of=TAPE_AS_OF) as rules:
        query = next(iter(rules.candidates(rule))).evidence_query
    with open_evidence() as connection:
        for number, pattern in enumerate([*patterns, "timed out"]):
            text = (
                f"Error: {pattern.strip('%').upper()} ..."
                if pattern[0] == "%"
                else f"{pattern.strip('%')} ..."
            )
            connection.execute(
                "insert into raw.jobs values ($1, 't', $2, $3)", [str(number), text, TAPE_AS_OF]
            )
            connection.execute(
                "insert into raw.llm_calls values ($1, 'm', $2, $3)", [str(number), text, TAPE_AS_OF]
            )
        window = {"window_start": TAPE_AS_OF, "window_end": TAPE_AS_OF + timedelta(days=1)}
        shown = connection.execute(query, {"scope_id": "t", **window}).fetchall()
    assert len(patterns) > 1
    assert sum(row[1] for row in shown) == len(patterns)


@pytest.mark.parametrize(
    ("rule", "classes"),
    [
        ("auth_failures", {"authentication"}),
        ("unauthorized_access", {"forbidden", "model_denied"}),
        ("rate_limit_violations", {"rate_limit"}),
    ],
)
def test_evidence_shows_what_litellm_refused_and_no_more(
    published: Published, rule: str, classes: set[str]
) -> None:
    with LITELLM_CLASSES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with open_rules(published.settings, as_of=TAPE_AS_OF) as rules:
        # a candidate of any scope has the rule's query
        query = next(iter(rules.candidates(rule))).evidence_query
    with open_evidence() as connection:
        # of each rule of the seed one failure that it alone decides
        for row in rows:
            held = {name: row[pattern].strip("%").replace("%", " has ") for name, pattern in PATTERNS.items()}
            connection.execute(
                "insert into raw.litellm_failures (request_id, happened_at, team_id, model_group, "
                "error_category, rate_limit_type, error_class, provider, error_text, error_code) "
                "values (?, ?, 't', 'm', ?, ?, ?, ?, ?, ?)",
                [row["priority"], TAPE_AS_OF, *held.values()],
            )
        window = {"window_start": TAPE_AS_OF, "window_end": TAPE_AS_OF + timedelta(days=1)}
        found = connection.execute(query, {"scope_id": "t", **window})
        names = [column[0] for column in found.description]
        counted = names.index("failures" if "failures" in names else "times")
        shown = sum(row[counted] for row in found.fetchall())
    assert shown == sum(row["failure_class"] in classes for row in rows) > 1


PATTERNS = {
    "error_category": "category",
    "rate_limit_type": "limit_type",
    "error_class": "error_class",
    "provider": "provider",
    "error_text": "text",
    "error_code": "code",
}


def test_a_rules_version_does_not_move_with_the_night(published: Published) -> None:
    with open_rules(published.settings, as_of=TAPE_AS_OF) as rules:
        sql = rules.sql_of("credit_low")
    assert "2026-11-23" not in sql


# --- the command --------------------------------------------------------------------------------------------


@pytest.fixture
def night(published: Published, tmp_path: Path) -> Settings:
    """A data folder of the test's own with the published night."""
    settings = published.settings.model_copy(update={"data_dir": tmp_path / "data"})
    settings.data_dir.mkdir()
    for path in (published.settings.warehouse_path, published.settings.landing_path):
        shutil.copy(path, settings.data_dir)
    return settings


def run(settings: Settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ALMANAC), "-q", "--data-dir", str(settings.data_dir), "alerts", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=environment(**variables),
        cwd=settings.data_dir,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for path in TAPE.glob("*.csv.gz"):
        shutil.copy(path, folder)
    return folder


def add_failed_jobs(source: Path, count: int, at: datetime) -> None:
    """Jobs of acme-batch that failed a few minutes before `at`."""
    path = source / "jobs.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows: list[dict[str, Any]] = list(reader)
        columns = list(reader.fieldnames or ())
    for number in range(count):
        moment = (at - timedelta(minutes=30, seconds=-number)).isoformat()
        rows.append(
            {
                **dict.fromkeys(columns, ""),
                "job_id": f"00000000-0000-4000-8000-{number:012d}",
                "team_id": "acme-batch",
                "job_type": "batch_classification",
                "status": "FAILED",
                "created_at": moment,
                "started_at": moment,
                "completed_at": moment,
                "error_message": "500: Failed to call provider API: Error code: 503",
            }
        )
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def test_a_check_between_nights_sees_what_came_since_and_tells_it_once(night: Settings, source: Path) -> None:
    at = TAPE_AS_OF + timedelta(hours=1)
    add_failed_jobs(source, 60, at)
    recipients = str(ROOT / "demo" / "recipients.yml")
    check = ("check", "--source", str(source), "--as-of", at.isoformat())
    first = run(night, *check, ALMANAC_RECIPIENTS=recipients)
    assert first.returncode == 0, first.stderr
    listed = run(night, "list").stdout
    incident = re.search(r"(?m)^(\S+) .*error_rate_high +team acme-batch", listed)
    assert incident, listed
    explained = run(night, "explain", incident[1]).stdout
    assert re.search(r" \| 60 \| 2026-11-23 00:30:00 \|", explained), "the rows that no mart has yet"
    assert "and the same rows" in explained
    assert re.search(r"(?m)^\S+ +error +error_rate_high +platform", listed), "the hour makes it an error"
    mails = sorted((night.data_dir / "outbox").rglob("*.eml"))
    assert mails
    later = (at + timedelta(minutes=15)).isoformat()
    again = ("check", "--source", str(source), "--as-of", later)
    second = run(night, *again, ALMANAC_RECIPIENTS=recipients)
    assert second.returncode == 0, second.stderr
    assert "no file of the source has changed" in second.stdout
    assert sorted((night.data_dir / "outbox").rglob("*.eml")) == mails


# --- components ---------------------------------------------------------------------------------------------


class Prober:
    """Writes what a prober would, and checks the alerts; minutes count from the published night."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = open_ops_store(settings)

    def probe(self, component: str, minute: float, verdict: str, *, is_required: bool = True) -> None:
        with self.store.transaction() as connection:
            connection.execute(
                insert(probing.probes).values(
                    component=component,
                    checked_at=TAPE_AS_OF + timedelta(minutes=minute),
                    verdict=verdict,
                    latency_ms=12.5,
                    reason=None if verdict == "up" else "HTTP 503",
                    is_required=is_required,
                    interval_seconds=60,
                )
            )

    def maintain(self, component: str | None, start: float, end: float) -> None:
        with self.store.transaction() as connection:
            connection.execute(
                insert(probing.maintenance_windows).values(
                    component=component,
                    starts_at=TAPE_AS_OF + timedelta(minutes=start),
                    ends_at=TAPE_AS_OF + timedelta(minutes=end),
                    owner="ann",
                    reason="upgrade",
                    created_at=TAPE_AS_OF,
                )
            )

    def check(self, minute: float) -> list[tuple[str, str, str]]:
        """What was told of components: event, scope, severity."""
        at = TAPE_AS_OF + timedelta(minutes=minute)
        report = check(self.settings, None, as_of=at, progress=SilentProgress())
        (evaluation,) = report.evaluations
        assert evaluation.unknown_rules == {}
        return [
            (member.event, member.scope_id, member.severity)
            for notice in evaluation.notices
            for member in notice.members
            if member.scope_kind == "component"
        ]

    def incidents(self) -> list[tuple[str, str, bool]]:
        """Rule, component and whether it is open, of every incident of a component."""
        table = alerting.incidents
        with self.store.transaction() as connection:
            rows = connection.execute(
                select(table.c.rule, table.c.scope_id, table.c.resolved_at)
                .where(table.c.scope_kind == "component")
                .order_by(table.c.opened_as_of, table.c.rule)
            )
            return [(row.rule, row.scope_id, row.resolved_at is None) for row in rows]

    def verdict(self, component: str, minute: float, rule: str = "component_down") -> tuple[Verdict, str]:
        with open_rules(self.settings, as_of=TAPE_AS_OF + timedelta(minutes=minute)) as rules:
            (found,) = [one for one in rules.candidates(rule) if one.key.scope_id == component]
        return found.verdict, found.unknown_reason or ""


@pytest.fixture
def prober(night: Settings) -> Prober:
    return Prober(night)


def test_nothing_was_ever_probed_and_no_component_is_asked_for(prober: Prober) -> None:
    assert prober.check(1) == []
    with open_rules(prober.settings, as_of=TAPE_AS_OF) as rules:
        assert rules.candidates("component_down") == rules.candidates("component_degraded") == []


def test_a_component_that_is_down_is_one_incident_and_two_notices(prober: Prober) -> None:
    prober.probe("saas_api", 1, "up")
    for minute in (2, 3):
        prober.probe("saas_api", minute, "down")
    assert prober.check(3.5) == []
    prober.probe("saas_api", 4, "down")
    assert prober.check(4.5) == [("opened", "saas_api", "critical")]
    prober.probe("saas_api", 5, "down")
    assert prober.check(5.5) == []
    # the prober is away: nobody knows, and nothing ends
    assert prober.check(30) == []
    assert prober.verdict("saas_api", 30)[0] is Verdict.unknown
    assert prober.incidents() == [("component_down", "saas_api", True)]
    prober.probe("saas_api", 31, "degraded")
    assert prober.check(31.5) == [("resolved", "saas_api", "critical")]
    assert prober.incidents() == [("component_down", "saas_api", False)]


def test_three_rounds_that_find_it_down_open_an_incident_at_once_and_one_that_finds_it_up_ends_it(
    night: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "probes.yml"
    settings = night.model_copy(update={"probes": file})
    told = []
    with server(answers(b"")) as up:
        for minute, port in enumerate((up, 9, 9, 9, 9, up, up), 1):
            file.write_text(f"components: [{{name: page, url: 'http://127.0.0.1:{port}/', slow_ms: 60000}}]")
            at = TAPE_AS_OF + timedelta(minutes=minute)
            report = probe_once(settings, now=at, ask_alerts=True, progress=SilentProgress())
            evaluations = report.checked.evaluations if report.checked else []
            told.append(
                [
                    member.event
                    for evaluation in evaluations
                    for notice in evaluation.notices
                    for member in notice.members
                    if member.scope_id == "page"
                ]
            )
    assert told == [[], [], [], ["opened"], [], ["resolved"], []]
    # all is well, and was the time before
    assert report.checked is None


def test_evidence_of_a_component_is_its_last_five_probes(prober: Prober) -> None:
    for minute in range(1, 8):
        prober.probe("proxy", minute, "down", is_required=False)
        prober.probe("saas_api", minute, "up")
    assert prober.check(7.5) == [("opened", "proxy", "warning")]
    with open_rules(prober.settings, as_of=TAPE_AS_OF + timedelta(minutes=7.5)) as rules:
        (found,) = [one for one in rules.candidates("component_down") if one.verdict is Verdict.breach]
        evidence = rules.evidence_of(found)
        again = rules.again(evidence.sql, found.key, TAPE_AS_OF + timedelta(minutes=7.5))
    assert evidence.columns == ("checked_at", "verdict", "latency_ms", "reason")
    assert [row[0] for row in evidence.rows] == [f"2026-11-23 00:0{minute}:00" for minute in (7, 6, 5, 4, 3)]
    assert evidence.rows[0][1:] == ("down", "12.5", "HTTP 503")
    assert again is not None
    assert again.observed_value == found.observed_value == 7


def test_in_maintenance_nobody_is_told(prober: Prober) -> None:
    prober.maintain(None, 3.5, 20)
    prober.maintain("saas_api", 19, 25)
    for minute in (1.0, 2.0, 3.0):  # it went down before
        prober.probe("saas_api", minute, "down")
    for later in (3.6, 4.0, 5.0):
        prober.probe("proxy", later, "down")
    assert prober.check(4.5) == []
    assert prober.verdict("proxy", 5.5) == (Verdict.unknown, "planned maintenance")
    assert prober.incidents() == [("component_down", "saas_api", True)]
    prober.probe("saas_api", 24, "down")
    assert prober.check(24.5) == []
    # what is still down afterwards is told then
    prober.probe("saas_api", 26, "down")
    prober.probe("proxy", 26, "up")
    assert prober.check(26.5) == [("opened", "saas_api", "critical")]


def test_a_component_that_flaps_is_degraded_and_down_explains_it(prober: Prober) -> None:
    for minute in range(1, 7):
        prober.probe("proxy", minute, "down" if minute % 2 else "up")
        prober.probe("saas_api", minute, "degraded" if minute < 4 else "down")
    assert sorted(prober.check(6.5)) == [
        ("opened", "proxy", "warning"),
        ("opened", "saas_api", "critical"),
    ]
    # slow before it was down, in two of five: nothing of its own
    assert prober.incidents() == [("component_degraded", "proxy", True), ("component_down", "saas_api", True)]
    assert prober.verdict("saas_api", 6.5, "component_degraded")[0] is Verdict.holding


def test_a_component_that_is_gone_stays_unknown_until_somebody_closes_it(prober: Prober) -> None:
    for minute in (1, 2, 3):
        prober.probe("old", minute, "down")
    prober.check(3.5)
    week_later = 8 * 24 * 60
    assert prober.check(week_later) == []
    assert prober.incidents() == [("component_down", "old", True)]
    incident = re.search(
        r"(?m)^(\S+) .*component old", run(prober.settings, "list", "--limit", "10000").stdout
    )
    assert incident
    assert run(prober.settings, "close", incident[1], "--by", "ann", "--why", "gone").returncode == 0
    assert prober.check(week_later + 15) == []
    assert prober.incidents() == [("component_down", "old", False)]


def test_a_check_reads_the_access_log_though_the_platforms_files_are_the_same(
    night: Settings, source: Path, tmp_path: Path
) -> None:
    def check(minutes: int) -> str:
        at = (TAPE_AS_OF + timedelta(minutes=minutes)).isoformat()
        variables = {"ALMANAC_ACCESS_LOG": str(tmp_path / "access.log*")}
        checked = run(night, "check", "--source", str(source), "--as-of", at, **variables)
        assert checked.returncode == 0, checked.stderr
        return checked.stdout

    check(15)
    assert "access_log: no source: no file is there" in run(night, "list").stdout
    line = '192.0.2.7 - - [23/Nov/2026:01:{:02}:00 +0100] "POST /api/jobs/create HTTP/1.1" 401 12\n'
    (tmp_path / "access.log").write_text("".join(line.format(20 + number // 4) for number in range(20)))
    checked = check(30)
    assert "no file of the source has changed since it was landed; 20 new lines of the access log" in checked
    listed = run(night, "list").stdout
    incident = re.search(r"(?m)^(\S+) +error +auth_failures +client 192\.0\.2\.7", listed)
    assert incident, listed
    assert "access_log: 20 rows" in listed
    assert "/api/jobs/create" in run(night, "explain", incident[1]).stdout
    assert "0 new lines" in check(45)


def test_a_check_reads_what_litellm_refused(night: Settings, source: Path) -> None:
    exported = source / "LiteLLM_SpendLogs.csv"
    header = "request_id,startTime,status,team_id,metadata\n"
    message = "Authentication Error, Invalid proxy server token passed"
    metadata = {
        "user_api_key": "sk-" + "guess" * 4,
        "requester_ip_address": "192.0.2.7",
        "error_information": {"error_code": "401", "error_message": message},
    }
    quoted = json.dumps(metadata).replace('"', '""')
    failures = [f'{number},2026-11-23 00:15:{number},failure,"","{quoted}"\n' for number in range(10, 30)]

    def check(minutes: int) -> str:
        at = (TAPE_AS_OF + timedelta(minutes=minutes)).isoformat()
        checked = run(night, "check", "--source", str(source), "--as-of", at)
        assert checked.returncode == 0, checked.stderr
        return run(night, "list").stdout

    assert "litellm_failures: no source" in check(15)
    exported.write_text(header + "".join(failures[:10]))
    assert "auth_failures" not in check(20)
    exported.write_text(header + "".join(failures))
    listed = check(30)
    incident = re.search(r"(?m)^(\S+) +error +auth_failures +client 192\.0\.2\.7", listed)
    assert incident, listed
    assert "litellm_failures: 20 rows" in listed
    explained = run(night, "explain", incident[1]).stdout
    assert "failed authentications at LiteLLM within ten minutes" in explained
    assert "LiteLLM: 401" in explained
    assert "guess" not in explained


def test_an_incident_is_explained_acknowledged_and_closed(night: Settings) -> None:
    evaluate(night, TAPE_AS_OF, (Cadence.night, Cadence.check))
    listed = run(night, "list").stdout
    incident = re.search(r"(?m)^(\S+) +critical credit_critical", listed)
    assert incident, listed
    explained = run(night, "explain", incident[1])
    assert explained.returncode == 0, explained.stderr
    assert (
        "the same SQL as of 2026-11-23 00:00:00 UTC gives 0 credits, and the same rows\n" in explained.stdout
    )
    assert "another value" not in explained.stdout
    assert run(night, "ack", incident[1], "--by", "ann").returncode == 0
    assert "ann looks after it" in run(night, "list").stdout
    assert run(night, "close", incident[1], "--by", "ann", "--why", "gone").returncode == 0
    assert incident[1] not in run(night, "list").stdout
    assert "closed by ann: gone" in run(night, "explain", incident[1]).stdout
    assert run(night, "ack", incident[1]).returncode == 2


def test_a_silence_of_what_there_is_not_is_refused(night: Settings) -> None:
    why = ("--hours", "2", "--reason", "known")
    for given, told in (
        (("--rule", "nosuchrule"), "no rule 'nosuchrule'. The rules: auth_failures, component_degraded"),
        (("--scope", "tem:acme"), "no kind of scope 'tem'. The kinds: platform, organization, team"),
        (("--scope", ""), "no kind of scope ''"),
        (("--scope", "team:"), "names no team"),
        (("--rule", ""), "no rule ''"),
    ):
        refused = run(night, "silence", *given, *why)
        assert (refused.returncode, refused.stdout) == (2, ""), given
        assert told in refused.stderr
    assert run(night, "silences").stdout == ""


@pytest.mark.parametrize(
    ("scope", "is_known"),
    [
        ("team:acme-docs", True),
        ("team:acme-dogs", False),
        ("organization:org_acme", True),
        ("organization:acme", False),
        ("job_type:resume_analysis", True),
        ("model_group:chat-smart", True),
        ("model:gpt-4o", True),
        ("model:gpt-5000", False),
        ("platform:platform", True),
        ("table:llm_calls", True),
        ("component:database", False),
        ("client:192.0.2.7", False),
        ("rule:credit_low", True),
        ("team", True),
    ],
)
def test_a_silence_of_a_scope_that_nobody_knows_is_taken_and_said(
    night: Settings, scope: str, is_known: bool
) -> None:
    made = run(night, "silence", "--scope", scope, "--hours", "2", "--reason", "known")
    assert (made.returncode, made.stdout) == (0, "silence 1, for 2 hours\n"), made.stderr
    assert ("is known here" in made.stderr) is not is_known
    assert scope.replace(":", " ") in run(night, "silences").stdout


def test_a_silence_is_taken_while_nothing_is_published(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    made = run(
        settings, "silence", "--rule", "rule_unknown", "--scope", "team:a", "--hours", "1", "--reason", "x"
    )
    assert (made.returncode, made.stdout, made.stderr) == (0, "silence 1, for 1 hours\n", "")


def test_a_backtest_finds_its_labels_and_says_which(night: Settings, tmp_path: Path) -> None:
    week = ("backtest", "--last", "3d", "--every", "24")
    without = run(night, *week)
    assert without.returncode == 0, without.stderr
    assert "no labels: no source is set" in without.stdout
    folder = tmp_path / "theirs"
    folder.mkdir()
    labels = folder / "labels.json"
    labels.write_text('[{"kind": "outage", "start": "2026-11-21", "teams": ["acme-docs", "acme-batch"]}]')
    theirs = run(night, *week, ALMANAC_SOURCE=str(folder))
    assert f"labels of {labels}: 1, of which 1 start in that time" in theirs.stdout
    assert "labels that no rule covers: outage (1, a kind that is not known)" in theirs.stdout
    rules = folder / "rules.yml"
    rules.write_text("outage: [error_rate_high]\n")
    ruled = run(night, *week, "--labels", str(labels), "--label-rules", str(rules))
    assert "missed by error_rate_high: outage of acme-batch, acme-docs, 2026-11-21 00:00 UTC" in ruled.stdout
    rules.write_text("outage: [nosuchrule]\n")
    for wrong in (("--label-rules", str(rules)), ("--labels", str(rules))):
        refused = run(night, *week, *wrong)
        assert refused.returncode == 2
        assert str(rules) in refused.stderr
        assert "Traceback" not in refused.stderr


def test_silences_are_listed_and_ended(night: Settings) -> None:
    made = run(night, "silence", "--rule", "credit_low", "--hours", "2", "--reason", "known", "--by", "ann")
    assert (made.returncode, made.stdout) == (0, "silence 1, for 2 hours\n")
    assert "credit_low, until" in run(night, "silences").stdout
    assert run(night, "silences", "--end", "1").stdout == ""
    assert run(night, "silence", "--hours", "2", "--reason", "all").returncode == 2


def test_without_a_night_there_is_nothing_to_ask(tmp_path: Path) -> None:
    result = run(Settings(data_dir=tmp_path), "check", "--no-land")
    assert result.returncode == 1
    assert "almanac nightly" in result.stderr
    assert "Traceback" not in result.stderr
