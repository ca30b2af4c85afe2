"""The figures of dashboards of the recorded platform: those of the marts, and of nobody else's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.dashboard_reader import NotThere, read_dashboard
from flows.dashboard_teams import PAGE_SIZE, TeamQuery
from flows.ops_store import OpsStore, alerting, open_ops_store, probing
from flows.review_scopes import PLATFORM, Kind, Scope
from flows.settings import Settings
from flows.static_dashboard import write_copies
from flows.warehouse import Reader, open_published, open_warehouse
from reports.dashboard import render_dashboard
from reports.dashboard_figures import TEAM_COLUMNS, Dashboard, TeamRow
from reports.dashboard_links import ServedLinks
from tests.published import TAPE_AS_OF, Published

NOW = TAPE_AS_OF + timedelta(hours=6)
ACME, DOCS = Scope("organization", "org_acme"), Scope("team", "acme-docs")
EVERY = [PLATFORM, ACME, DOCS]


@pytest.fixture(scope="module")
def reader(published: Published) -> Iterator[Reader]:
    with closing(open_warehouse(published.settings)) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> OpsStore:
    return open_ops_store(Settings(data_dir=tmp_path, source=None, target="duckdb", reporting_timezone="UTC"))


def read(reader: Reader, scope: Scope = PLATFORM, **more: Any) -> Dashboard:
    given = {"night_id": "night", "as_of": TAPE_AS_OF, "zone": "UTC", "now": NOW, **more}
    return read_dashboard(reader, scope, **given)


def probe(component: str, checked_at: datetime, verdict: str, **more: Any) -> dict[str, Any]:
    return {
        "component": component,
        "checked_at": checked_at,
        "verdict": verdict,
        "latency_ms": 43.0,
        "reason": None,
        "is_required": True,
        "interval_seconds": 300,
    } | more


def incident(number: int, scope_kind: str, scope_id: str, **more: Any) -> dict[str, Any]:
    return {
        "incident_id": f"inc-{number}",
        "rule": "credit_low",
        "rule_version": "v",
        "family": "usage",
        "scope_kind": scope_kind,
        "scope_id": scope_id,
        "scope_name": scope_id,
        "organization_id": "org_acme",
        "severity": "warning",
        "opened_at": NOW,
        "opened_as_of": NOW - timedelta(hours=number),
        "last_breach_at": NOW,
        "evidence": "{}",
    } | more


# --- figures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("scope", EVERY, ids=str)
def test_the_tiles_are_the_reviews_figures(
    reader: Reader, published: Published, scope: Scope, kind: Kind
) -> None:
    period = {"weekly": "2026-W46", "monthly": "2026-10"}[kind]
    page = read(reader, scope, period=period)
    start = kind.parse(period).start_date
    expected = published.rows(
        "select metric, value, previous_value, change, status from reviews.review_kpis where review_kind = ? "
        "and scope_kind = ? and scope_id = ? and period_start_date = ? order by metric_position",
        [kind.value, scope.kind, scope.id, start],
    )
    assert page.figures is not None
    assert expected
    shown = [(kpi.metric, kpi.value, kpi.previous_value, kpi.change, kpi.status) for kpi in page.figures.kpis]
    assert shown == expected
    assert {kpi.points[-1].value for kpi in page.figures.kpis if kpi.metric == "job_count"} == {
        value for metric, value, *_ in expected if metric == "job_count"
    }


def test_the_latest_complete_week_is_shown_unless_another_period_is_asked_for(reader: Reader) -> None:
    page = read(reader)
    assert page.period is not None
    assert page.period.label == "2026-W47"
    assert [one.label for one in page.periods[:2]] == ["2026-W47", "2026-W46"]
    assert "2026-10" in [one.label for one in page.periods]
    assert "2026-11" not in [one.label for one in page.periods], "November is not over"


@pytest.mark.parametrize(
    "text", ["2026-W48", "2026-11", "2026-W54", "1999-01", "yesterday", "2026-11-22", "x" * 999]
)
def test_a_period_that_is_not_offered_is_not_there(reader: Reader, text: str) -> None:
    with pytest.raises(NotThere, match="no figures of such a period"):
        read(reader, period=text)


@pytest.mark.parametrize("scope", [Scope("team", "nobody"), Scope("organization", "acme-docs")], ids=str)
def test_a_tenant_that_is_not_published_is_not_there(reader: Reader, scope: Scope) -> None:
    with pytest.raises(NotThere):
        read(reader, scope)


@pytest.mark.parametrize("scope", EVERY, ids=str)
def test_the_days_are_the_daily_marts(reader: Reader, published: Published, scope: Scope) -> None:
    page = read(reader, scope, period="2026-W45")
    where = "true" if scope == PLATFORM else f"{scope.kind}_id = '{scope.id}'"
    totals = published.rows(
        f"select sum(job_count), sum(failed_job_count), sum(total_tokens), sum(client_cost_usd) "
        f"from {scope.kind}_usage_daily where {where} "
        "and period_start_date >= '2026-11-02' and period_start_date < '2026-11-09'"
    )
    days = [day for day in page.days if day.is_shown]
    assert len(days) == 7
    assert len(page.days) == 28
    assert totals == [
        (
            sum(day.job_count for day in days),
            sum(day.failed_job_count for day in days),
            sum(day.total_tokens for day in days if day.total_tokens is not None),
            sum(day.client_cost_usd for day in days if day.client_cost_usd is not None),
        )
    ]


def test_the_latest_periods_days_go_on_to_today(reader: Reader) -> None:
    page = read(reader, period="2026-10")
    assert page.days[0].day.isoformat() == "2026-10-01"
    assert page.days[-1].day.isoformat() == "2026-11-22", "as of midnight today has no second yet"
    assert sum(day.is_shown for day in page.days) == 31
    assert read(reader, period="2026-09").days[-1].day.isoformat() == "2026-09-30"


def test_a_quiet_day_is_zeros(reader: Reader, published: Published) -> None:
    (team,) = published.rows(
        "select team_id from dim_teams where status is not null and team_id not in "
        "(select team_id from team_usage_daily) limit 1"
    )[0]
    days = read(reader, Scope("team", team)).days
    assert days
    assert {(day.job_count, day.client_cost_usd) for day in days} == {(0, Decimal(0))}


@pytest.mark.parametrize(("hours", "is_stale"), [(0, False), (26, False), (27, True)])
def test_an_old_night_is_stale(reader: Reader, hours: int, is_stale: bool) -> None:
    assert read(reader, now=TAPE_AS_OF + timedelta(hours=hours)).is_stale is is_stale


# --- the table of teams -------------------------------------------------------------------------------------


def test_the_teams_are_the_weekly_mart_and_the_idle_ones(reader: Reader, published: Published) -> None:
    table = read(reader).teams
    assert table is not None
    expected = dict(
        published.rows(
            "select team_id, client_cost_usd from team_usage_weekly where period_start_date = '2026-11-16'"
        )
    )
    shown = {row.team_id: row.client_cost_usd for row in table.rows}
    assert {team: cost for team, cost in shown.items() if team in expected} == expected
    assert {shown[team] for team in set(shown) - set(expected)} == {0}
    assert "wonka-temp" not in shown, "deleted, and did nothing"
    costs = [row.client_cost_usd for row in table.rows if row.client_cost_usd is not None]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("period", ["2026-W47", "2026-W41", "2026-10"])
def test_an_organizations_teams_are_the_marts_where_none_has_moved(
    reader: Reader, published: Published, period: str
) -> None:
    mart = "monthly" if period == "2026-10" else "weekly"
    start = {"2026-W47": "2026-11-16", "2026-W41": "2026-10-05", "2026-10": "2026-10-01"}[period]
    names = [field for field in TeamRow.__slots__ if field not in ("organization_name", "credits_remaining")]
    expected = published.rows(
        f"select usage.team_id, organization_id, {', '.join(names[2:])} "
        f"from team_usage_{mart} as usage inner join dim_teams using (team_id) "
        "where period_start_date = ? and team_id <> 'unassigned' order by usage.team_id",
        [start],
    )
    found = []
    for (organization_id,) in published.rows("select organization_id from dim_organizations"):
        table = read(reader, Scope("organization", organization_id), period=period).teams
        assert table is not None
        found += [tuple(getattr(row, name) for name in names) for row in table.rows]
    # idle teams are rows of zeros
    assert sorted(row for row in found if row[0] in {row[0] for row in expected}) == expected


def test_a_team_that_moved_shows_each_organization_its_own_rows(published: Published, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    shutil.copy(published.settings.warehouse_path, path)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{path}' as warehouse")
        for facts, day in (
            ("fct_jobs", "job_date"),
            ("fct_llm_calls", "call_date"),
            ("fct_credit_transactions", "transaction_date"),
        ):
            connection.execute(
                f"update warehouse.marts.{facts} set organization_id = 'org_hooli' "
                f"where team_id = 'acme-docs' and {day} < date '2026-11-18'"
            )
    with closing(open_published(path)) as reader:
        jobs = {}
        for organization in ("org_acme", "org_hooli"):
            table = read(reader, Scope("organization", organization)).teams
            assert table is not None
            (row,) = [row for row in table.rows if row.team_id == "acme-docs"]
            jobs[organization] = row.job_count
            assert (row.credits_remaining is None) is (organization == "org_hooli")
        before, after = published.rows(
            "select count(case when job_date < '2026-11-18' then 1 end), "
            "count(case when job_date >= '2026-11-18' then 1 end) "
            "from fct_jobs where team_id = 'acme-docs' and job_date >= '2026-11-16'"
        )[0]
        assert min(before, after) > 0
        assert jobs == {"org_hooli": before, "org_acme": after}


@pytest.mark.parametrize("column", TEAM_COLUMNS)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_every_column_sorts_with_what_is_not_known_last(reader: Reader, column: str, order: str) -> None:
    table = read(reader, teams=TeamQuery(sort=column, order=order)).teams
    assert table is not None
    assert (table.sort, table.is_descending) == (column, order == "desc")
    values = [getattr(row, column) for row in table.rows]
    known = [value for value in values if value is not None]
    assert values == [*known, *[None] * (len(values) - len(known))]
    assert known == sorted(known, reverse=order == "desc")


@pytest.mark.parametrize(
    ("search", "teams"),
    [
        ("ACME", {"acme-docs", "acme-support", "acme-batch", "org_acme_default"}),
        ("wonka indus", {"wonka-lab", "wonka-bot", "org_wonka_default"}),
        ("%", set()),
        ("' or 1=1 --", set()),
        ("\\", set()),
    ],
)
def test_a_search_finds_parts_of_names_and_nothing_else(reader: Reader, search: str, teams: set[str]) -> None:
    table = read(reader, teams=TeamQuery(search=search)).teams
    assert table is not None
    assert {row.team_id for row in table.rows} == teams
    assert table.row_count == len(teams)


@pytest.mark.parametrize("page", ["0", "-1", "2", "99999999", "9" * 400, "x", "٣", ""])
def test_pages_lie_between_the_first_and_the_last(reader: Reader, page: str) -> None:
    table = read(reader, teams=TeamQuery(sort="rowid; drop table x", order="sideways", page=page)).teams
    assert table is not None
    assert (table.page, table.page_count, table.sort, table.page_size) == (1, 1, "client_cost_usd", PAGE_SIZE)


def test_pages_make_up_the_whole_table(reader: Reader) -> None:
    whole = read(reader).teams
    assert whole is not None
    rows: list[TeamRow] = []
    for page in range(1, 6):
        part = read(reader, teams=TeamQuery(page=str(page), page_size=5)).teams
        assert part is not None
        rows += part.rows
    assert rows == list(whole.rows)


def test_tokens_that_are_not_known_are_no_zeros_and_the_pages_are_drawn(
    published: Published, tmp_path: Path
) -> None:
    path = tmp_path / "warehouse.duckdb"
    shutil.copy(published.settings.warehouse_path, path)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{path}' as warehouse")
        for mart, key in (
            ("platform_usage_daily", "true"),
            ("organization_usage_daily", "organization_id = 'org_acme'"),
            ("team_usage_daily", "team_id = 'acme-docs'"),
            ("team_usage_weekly", "team_id = 'acme-docs'"),
        ):
            connection.execute(
                f"update warehouse.marts.{mart} set total_tokens = null "
                f"where {key} and period_start_date between date '2026-11-16' and date '2026-11-18'"
            )
        connection.execute(
            "update warehouse.marts.fct_llm_calls set total_tokens = null "
            "where team_id = 'acme-docs' and call_date >= date '2026-11-16'"
        )
    with closing(open_published(path)) as reader:
        for scope in EVERY:
            page = read(reader, scope, period="2026-W47")
            assert {one.total_tokens for one in page.days if 16 <= one.day.day <= 18} == {None}
            html = render_dashboard(page, ServedLinks(page, reader_kind=scope.kind), nonce="n")
            assert "in the period; 3 days are not known." in html
            if page.teams is not None:
                tokens = {row.team_id: row.total_tokens for row in page.teams.rows}
                assert tokens.pop("acme-docs") is None
                assert None not in tokens.values()


def test_today_is_the_day_of_the_published_night(reader: Reader, published: Published) -> None:
    ((day,),) = published.rows("select calendar_date from monitoring_dashboard")
    noon = datetime.combine(day, datetime.min.time()) + timedelta(hours=12)
    for now, is_today in ((noon, True), (noon + timedelta(days=1), False)):
        page = read(reader, now=now)
        assert (page.today_date, page.is_today) == (day, is_today)


# --- health and alerts --------------------------------------------------------------------------------------


def test_what_nobody_has_looked_at_is_unknown(reader: Reader, store: OpsStore) -> None:
    with store.transaction() as connection:
        connection.execute(
            probing.probes.insert(),
            [
                probe("saas_api", NOW - timedelta(minutes=4), "up"),
                probe("database", NOW - timedelta(hours=2), "up"),
                probe("proxy", NOW - timedelta(minutes=1), "down", reason="10.0.0.7 refused"),
            ],
        )
    health = read(reader, store=store).health
    assert health is not None
    assert {one.name: one.status for one in health.components} == {
        "saas_api": "up",
        "database": "unknown",
        "proxy": "down",
    }
    assert {one.name: one.reason for one in health.components}["proxy"] == "10.0.0.7 refused"
    of_tenant = read(reader, ACME, store=store).health
    assert of_tenant is not None
    assert {one.reason for one in of_tenant.components} == {None}, "a reason may name a host"


def test_nothing_probed_and_no_rule_asked_is_not_known(reader: Reader, store: OpsStore) -> None:
    page = read(reader, store=store)
    assert page.health is None
    assert page.alerts is None


def test_alerts_are_the_scopes_own_the_worst_first(reader: Reader, store: OpsStore) -> None:
    with store.transaction() as connection:
        connection.execute(
            alerting.evaluations.insert(),
            [
                {
                    "cadence": "night",
                    "occasion": "night",
                    "as_of": TAPE_AS_OF,
                    "evaluated_at": NOW,
                    "candidate_count": 0,
                    "breach_count": 0,
                    "unknown_count": 0,
                }
            ],
        )
        for row in (
            incident(1, "team", "acme-docs"),
            incident(2, "team", "acme-batch", severity="critical"),
            incident(3, "organization", "org_acme"),
            incident(4, "team", "acme-docs", rule="ledger_break"),
            incident(5, "team", "hooli-mail", organization_id="org_hooli"),
            incident(6, "platform", "platform", organization_id=None, rule="latency_high"),
            incident(7, "team", "acme-docs", rule="cost_spike", resolved_at=NOW, resolved_as_of=NOW),
            incident(
                8,
                "team",
                "acme-docs",
                rule="traffic_drop",
                resolved_at=NOW,
                resolved_as_of=NOW - timedelta(days=15),
            ),
        ):
            connection.execute(alerting.incidents.insert(), row)
    seen = {scope: read(reader, scope, store=store).alerts for scope in EVERY}
    ids = {
        scope: ([one.incident_id for one in found.open], [one.incident_id for one in found.recent])
        for scope, found in seen.items()
        if found is not None
    }
    assert ids[PLATFORM][0][0] == "inc-2"
    assert sorted(ids[PLATFORM][0]) == [f"inc-{number}" for number in range(1, 7)]
    assert sorted(ids[ACME][0]) == ["inc-1", "inc-2", "inc-3"]
    assert ids[DOCS] == (["inc-1"], ["inc-7"])
    of_acme = seen[ACME]
    assert of_acme is not None
    assert dict(of_acme.open_counts) == {"critical": 1, "error": 0, "warning": 2, "info": 0}


# --- isolation and the static copy --------------------------------------------------------------------------


def names_of_others(published: Published, scope: Scope) -> set[str]:
    """Every id and name of other organizations and, of a team, of its neighbours."""
    own = f"{scope.kind}_id"
    rows = published.rows(
        "select team_id, organization_id, organization_name from dim_teams "
        f"left join dim_organizations using (organization_id) where {own} <> ?",
        [scope.id],
    )
    kept = published.rows(
        "select organization_id, organization_name from dim_teams left join dim_organizations "
        f"using (organization_id) where {own} = ?",
        [scope.id],
    )
    # calls and jobs of nobody are a part of everybody's lists
    own_names = {name for row in kept for name in row} | {"unassigned", "Unassigned"}
    return {str(name) for row in rows for name in row if name} - own_names


@pytest.mark.parametrize("kind", ["organization", "team"])
def test_no_tenants_page_holds_another_ones_id_or_name(
    reader: Reader, published: Published, kind: str
) -> None:
    scopes = [
        Scope(kind, scope_id)
        for (scope_id,) in published.rows(
            f"select distinct {kind}_id from dim_teams where status is not null"
        )
    ]
    assert len(scopes) >= 6
    for scope in scopes:
        for period in ("2026-W47", "2026-10"):
            page = read(reader, scope, period=period)
            html = render_dashboard(page, ServedLinks(page, reader_kind=kind), nonce="n")
            # the name of a job type or a model may be a part of one
            found = {
                name
                for name in names_of_others(published, scope)
                if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", html)
            }
            assert found == set(), scope


@pytest.fixture
def folder(published: Published, tmp_path: Path) -> Settings:
    """A data folder of the test's own with the published warehouse."""
    settings = replace_data_dir(published.settings, tmp_path / "data")
    settings.data_dir.mkdir()
    settings.warehouse_path.symlink_to(published.settings.warehouse_path)
    return settings


def replace_data_dir(settings: Settings, path: Path) -> Settings:
    return settings.model_copy(update={"data_dir": path})


def test_a_copy_has_a_page_of_the_platform_and_one_of_each_organization(
    folder: Settings, published: Published
) -> None:
    gone = folder.dashboard_dir / "organization-gone.html"
    gone.parent.mkdir()
    gone.touch()
    copies = write_copies(folder)
    assert copies.failures == []
    names = sorted(path.name for path in folder.dashboard_dir.iterdir())
    organizations = ["acme", "globex", "hooli", "initech", "umbra", "wonka"]
    assert names == ["index.html", *(f"organization-org_{name}.html" for name in organizations)]
    index = (folder.dashboard_dir / "index.html").read_text(encoding="utf-8")
    assert {f'href="{name}"' for name in names[1:]} <= set(re.findall(r'href="[^"]*"', index))
    for name in organizations:
        page = (folder.dashboard_dir / f"organization-org_{name}.html").read_text(encoding="utf-8")
        assert "organization-org" not in page
        others = names_of_others(published, Scope("organization", f"org_{name}"))
        assert not [other for other in others if f">{other}<" in page]
    before = {path.name: path.read_bytes() for path in folder.dashboard_dir.iterdir()}
    write_copies(folder)
    assert {path.name: path.read_bytes() for path in folder.dashboard_dir.iterdir()} == before


def test_only_the_busiest_organizations_have_a_copy(
    folder: Settings, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.static_dashboard.MOST_ORGANIZATIONS", 2)
    busiest = published.rows(
        "select organization_id from organization_usage_monthly "
        "where period_start_date = date '2026-11-01' and organization_id <> 'unassigned' "
        "order by job_count desc, organization_id limit 2"
    )
    write_copies(folder)
    names = {path.name for path in folder.dashboard_dir.iterdir()}
    assert names == {"index.html", *(f"organization-{ident}.html" for (ident,) in busiest)}


def test_a_copy_that_cannot_be_written_is_told_and_stops_nothing(folder: Settings) -> None:
    folder.dashboard_dir.write_text("in the way")
    copies = write_copies(folder)
    assert copies.paths == []
    assert all(line.startswith("failed     dashboard of ") for line in copies.lines())
    assert len(copies.failures) == 7


def test_a_page_that_cannot_be_drawn_costs_no_other(
    folder: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(reader: Reader, scope: Scope, **given: Any) -> Dashboard:
        if scope == ACME:
            raise ZeroDivisionError("division by zero")
        return replace(read_dashboard(reader, scope, **given))

    monkeypatch.setattr("flows.static_dashboard.read_dashboard", broken)
    copies = write_copies(folder)
    assert copies.failures == ["dashboard of organization:org_acme: ZeroDivisionError: division by zero"]
    assert len(copies.paths) == 6
