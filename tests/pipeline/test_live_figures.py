"""What live viewers see, read once for all of them: the same as each would find alone, and cheap."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from api.app import create_app
from api.live_figures import LiveFigures
from flows.alert_recap import RuleName
from flows.headlines import read_headlines_of
from flows.health import Round
from flows.incidents import SEVERITIES, incidents_of, open_by_scope
from flows.ops_store import OpsStore, alerting, open_ops_store, probing
from flows.probe_records import CLOCK_SLACK, latest, record
from flows.probe_results import ProbeResult, ProbeVerdict
from flows.review_scopes import PLATFORM, Scope
from flows.settings import Settings
from flows.warehouse import open_published
from tests.api_service import ask_rules_once
from tests.postgres_server import PostgresServer
from tests.published import Published

NOW = datetime(2026, 11, 23, 1)


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(published: Published, tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path / "data", source=None, target="duckdb")
    settings.data_dir.mkdir()
    shutil.copyfile(published.settings.warehouse_path, settings.warehouse_path)
    return settings


@pytest.fixture
def figures(settings: Settings, clock: Clock) -> LiveFigures:
    return LiveFigures(create_app(settings, now=clock).state)


def probe(settings: Settings, at: datetime, verdict: ProbeVerdict, interval: int = 30) -> None:
    record(settings, Round(at, interval, (ProbeResult("saas_api", True, verdict, 3.0),)))


def health(payload: bytes) -> str:
    return str(json.loads(payload)["health"]["overall"])


def scopes_of(settings: Settings) -> list[Scope]:
    with closing(open_published(settings.warehouse_path)) as reader:
        return [
            PLATFORM,
            *(
                Scope(kind, ident)
                for kind in ("organization", "team")
                for (ident,) in reader.execute(f"select {kind}_id from dim_{kind}s").fetchall()
            ),
            Scope("team", "nobody's"),
        ]


def test_many_scopes_at_once_are_each_by_itself(settings: Settings, figures: LiveFigures) -> None:
    scopes = scopes_of(settings)
    together = figures.look(scopes)
    for scope in scopes:
        assert json.loads(together[scope]) == json.loads(figures.look([scope])[scope])
    with closing(open_published(settings.warehouse_path)) as reader:
        found = read_headlines_of(reader, scopes)
        assert list(found) == scopes
        (today,) = reader.execute("select calendar_date from monitoring_dashboard").fetchall()[0]
        for scope in scopes[1:]:
            row = reader.execute(
                f"select job_count, client_cost_usd, latency_p95_ms from {scope.kind}_usage_daily "
                f"where {scope.kind}_id = ? and period_start_date = ?",
                [scope.id, today],
            ).fetchone()
            values = {one.key: one.value for one in found[scope]}
            expected = row or (0, Decimal(0), None)
            assert (
                tuple(values[key] for key in ("job_count", "client_cost_usd", "latency_p95_ms")) == expected
            )


def test_nothing_is_made_anew_while_nothing_changes(settings: Settings, figures: LiveFigures) -> None:
    scopes = [*scopes_of(settings), *(Scope("team", f"team-{n}") for n in range(470))]
    probe(settings, NOW, ProbeVerdict.up)
    began = time.process_time()
    first = figures.look(scopes)
    print(f"{len(scopes)} scopes of a new night: {time.process_time() - began:.3f} s of a processor")
    began = time.process_time()
    for _ in range(20):
        again = figures.look(scopes)
    print(f"nothing new: {(time.process_time() - began) / 20:.4f} s of a processor a look")
    assert all(again[scope] is first[scope] for scope in scopes)
    probe(settings, NOW + timedelta(seconds=1), ProbeVerdict.down)
    began = time.process_time()
    changed = figures.look(scopes)
    print(f"a probe: {time.process_time() - began:.3f} s of a processor")
    assert {health(payload) for payload in changed.values()} == {"unhealthy"}
    # who goes is forgotten
    assert list(figures.look([PLATFORM])) == [PLATFORM]


def test_a_probe_that_grows_old_is_not_known_any_more(
    settings: Settings, figures: LiveFigures, clock: Clock
) -> None:
    probe(settings, NOW, ProbeVerdict.up)
    assert health(figures.look([PLATFORM])[PLATFORM]) == "healthy"
    clock.at = NOW + timedelta(seconds=90)
    assert health(figures.look([PLATFORM])[PLATFORM]) == "healthy"
    clock.at = NOW + timedelta(seconds=91)
    assert health(figures.look([PLATFORM])[PLATFORM]) == "unknown"
    clock.at = NOW + timedelta(days=3)
    event = json.loads(figures.look([PLATFORM])[PLATFORM])
    assert event["is_stale"]
    assert "older than" in event["freshness"]


def test_while_a_look_hangs_nothing_of_this_moment_is_known(settings: Settings, figures: LiveFigures) -> None:
    probe(settings, NOW, ProbeVerdict.up)
    known = json.loads(figures.look([PLATFORM])[PLATFORM])
    unknown = json.loads(figures.unknown([PLATFORM])[PLATFORM])
    assert unknown["health"] == {"overall": "unknown", "components": []}
    assert unknown["open_alerts"] is None
    kept = ("night", "as_of", "headlines", "freshness", "is_stale")
    assert [unknown[name] for name in kept] == [known[name] for name in kept]


def test_a_night_that_nobody_could_read_yet_is_not_nothing(settings: Settings, figures: LiveFigures) -> None:
    settings.warehouse_path.write_bytes(b"no database at all" * 1000)
    event = json.loads(figures.look([PLATFORM])[PLATFORM])
    assert (event["night"], event["freshness"]) == (None, "What is published cannot be read now.")
    settings.warehouse_path.unlink()
    assert json.loads(figures.look([PLATFORM])[PLATFORM])["freshness"] == "Nothing is published."


# --- what it reads, on both engines -------------------------------------------------------------------------


@pytest.fixture(params=["duckdb", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "duckdb":
        yield open_ops_store(Settings(data_dir=tmp_path / "ops", source=None, target="duckdb"))
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database("live_figures")
    yield open_ops_store(Settings(data_dir=tmp_path, target="postgres", warehouse_url=url, source=None))
    server.drop_database("live_figures")


def test_open_alerts_are_counted_as_they_are_listed(store: OpsStore) -> None:
    dealt = random.Random(5)
    rules = {"told": RuleName("told", for_tenants=True), "inner": RuleName("inner", for_tenants=False)}
    tenants = {"team": ["a", "b", "x'y"], "organization": ["o", "p"]}
    kinds = ("platform", "organization", "team", "model")
    rows = []
    for number in range(400):
        kind = dealt.choice(kinds)
        rows.append(
            {
                "incident_id": str(number),
                "rule": dealt.choice(["told", "inner", "gone"]),
                "rule_version": "1",
                "family": "f",
                "scope_kind": kind,
                # one open incident of a rule and a scope: the rest are other scopes
                "scope_id": dealt.choice(tenants.get(kind, [""])) if number < 60 else f"other-{number}",
                "scope_name": "n",
                "organization_id": dealt.choice([None, "o", "p"]),
                "severity": dealt.choice(SEVERITIES),
                "opened_at": NOW,
                "opened_as_of": NOW,
                "last_breach_at": NOW,
                "resolved_at": NOW if number < 30 or dealt.random() < 0.3 else None,
                "evidence": "{}",
            }
        )
    taken: set[tuple[Any, ...]] = set()
    for row in rows:
        place = (row["rule"], row["scope_kind"], row["scope_id"])
        if place in taken:
            row["resolved_at"] = NOW
        elif row["resolved_at"] is None:
            taken.add(place)
    with store.transaction() as connection:
        connection.execute(insert(alerting.incidents), rows)
    with store.reading() as connection:
        # a store whose rules nobody has asked knows of nothing
        assert open_by_scope(connection, rules) is None
    ask_rules_once(store)
    with store.reading() as connection:
        counted = open_by_scope(connection, rules)
    scopes = [PLATFORM, *(Scope(kind, ident) for kind, idents in tenants.items() for ident in idents)]
    listed = {
        scope: Counter(
            row.severity for row in incidents_of(store, scope, rules, also_resolved=False, limit=10_000)
        )
        for scope in scopes
    }
    assert counted is not None
    assert sum(map(bool, listed.values())) >= 4
    assert {scope: counted.get(scope, Counter()) for scope in scopes} == listed


def test_the_newest_probe_of_each_component_is_found_among_all(store: OpsStore) -> None:
    assert latest(store, NOW) == []
    dealt = random.Random(3)
    probes = probing.probes
    rows = [
        {
            "component": component,
            "checked_at": NOW + timedelta(seconds=dealt.randrange(-400, 200)),
            "verdict": dealt.choice(list(ProbeVerdict)),
            "latency_ms": float(number),
            "reason": None,
            "is_required": True,
            "interval_seconds": 30,
        }
        for component in ("", "a", "a b", "saas_api", "z'", "é", "数据")
        for number in range(120)
    ]
    rows.append({**rows[0], "component": "only_in_future", "checked_at": NOW + timedelta(days=1)})
    with store.transaction() as connection:
        connection.execute(insert(probes), rows)
    with store.reading() as connection:
        everything = connection.execute(
            select(probes).where(probes.c.checked_at <= NOW + CLOCK_SLACK).order_by(probes.c.probe_id)
        ).all()
        assert connection.scalar(select(func.count()).select_from(probes)) == len(rows)
    expected: dict[str, Any] = {}
    for row in everything:
        kept = expected.get(row.component)
        if kept is None or row.checked_at >= kept.checked_at:
            expected[row.component] = row
    found = latest(store, NOW)
    assert {one.component: (at, one.latency_ms, seconds) for at, one, seconds in found} == {
        name: (row.checked_at, row.latency_ms, 30) for name, row in expected.items()
    }
    assert len(found) == len(expected) == 7
