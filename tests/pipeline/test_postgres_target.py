"""The postgres target says what the duckdb target says: the same rows and reviews, digit by digit."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings

from flows.alert_reader import open_rules
from flows.alert_rules import Cadence, Verdict
from flows.audit import audit
from flows.build import build
from flows.dashboard_reader import read_dashboard
from flows.dashboard_teams import TeamQuery
from flows.errors import AlmanacError
from flows.land import land
from flows.periods import Month, Week
from flows.progress import SilentProgress
from flows.publish import publish
from flows.query import run_query
from flows.review_reader import complete_periods, read_reviews, scopes_of
from flows.review_scopes import PLATFORM, Kind, Period, Scope
from flows.reviews import source_of_figures
from flows.settings import Settings
from flows.status import read_status
from flows.warehouse import open_warehouse
from flows.warehouse_postgres import Generation, connect, prepare_generation
from reports.render import render_html
from tests.canonical import canonical_differences, canonical_rows
from tests.engines import create_database_of_another_language, engine_differences
from tests.oracle.platforms import Platform, platforms
from tests.oracle.tape import frame
from tests.postgres_server import PostgresServer
from tests.published import TAPE, TAPE_AS_OF, Published

# `make engines` compares 100 random platforms, as the issue promises; continuous integration these.
RANDOM_PLATFORMS = int(os.environ.get("ALMANAC_TEST_PLATFORMS", "10"))

# Rows that a partial build leaves alone say when they were built.
LEFT_OUT = ("built_at_as_of", "calculated_at")

AS_OF = datetime(2026, 11, 23)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    url = create_database_of_another_language(postgres_server, "engines")
    with psycopg.connect(url, options="-c jit=off") as connection:
        yield connection


# --- one platform, two engines


@seed(1)
@given(platform=platforms())
@hypothesis_settings(
    max_examples=RANDOM_PLATFORMS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
def test_random_platforms_are_the_same(database: psycopg.Connection[Any], platform: Platform) -> None:
    lines = engine_differences(database, platform)
    assert not lines, "\n".join([*lines[:25], f"on the platform\n{platform}"])


@seed(2)
@given(platform=platforms(with_history=True))
@hypothesis_settings(
    max_examples=max(1, RANDOM_PLATFORMS // 5),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
def test_random_platforms_with_history_are_the_same(
    database: psycopg.Connection[Any], platform: Platform
) -> None:
    lines = engine_differences(database, platform)
    assert not lines, "\n".join([*lines[:25], f"on the platform\n{platform}"])


# Texts that languages order otherwise than bytes do, fold otherwise, or that a quoting could trip over.
NAMES = (
    "b",
    "B",
    "a",
    "_a",
    "-a",
    "a-b",
    "aB",
    "é",
    "z",
    "Z",
    "ß",
    "\u0130",
    "\u0131",
    "ﬁ",
    "日本",
    "a b",
    "a\tb",
    "1",
    "10",
    "9",
)
TEXTS = (
    *(
        "\u00a0",
        " ",
        "",
        "\u2003timeout",
        "TIMED OUT",
        "T\u0130MED OUT",
        "500: Failed to call provider API: ",
    ),
    *("100% \\ of_it", "\\%", "line\nof rate limit", "\u212aelvin: Bad Gateway", "x" * 1000),
)


def adversarial_platform() -> Platform:
    """Ties that only text decides, texts that engines fold or trim otherwise, numbers at their limits."""
    jobs, calls, ledger = [], [], []
    for number, name in enumerate(NAMES):
        team = NAMES[number % 7]
        created = AS_OF - (number % 30 + 1) * DAY
        jobs.append(
            {
                "job_id": f"job {name}",
                "team_id": team,
                "user_id": name,
                "job_type": f'{name}\x0b"\\/\x1f\n\u2028{{}}',
                "status": ("COMPLETED", "FAILED", "\u00c9CHOU\u00c9", "CANCELLED", "Fa\u0131led")[number % 5],
                "created_at": created,
                "started_at": created,
                # up to a century, to the microsecond
                "completed_at": created + timedelta(days=1800 * number, microseconds=number * 1_234_567),
                "error_message": TEXTS[number % len(TEXTS)],
            }
        )
    for number, (model, text) in enumerate(zip(NAMES * 3, TEXTS * 5, strict=False)):
        calls.append(
            {
                "call_id": f"call {model} {number}",
                "job_id": f"job {NAMES[number % len(NAMES)]}",
                # many at the same instant and cost: only names tell them apart
                "created_at": AS_OF - (number % 9 + 1) * DAY,
                "model_group_used": model,
                "resolved_model": model,
                "prompt_tokens": number,
                "latency_ms": (2**31 - 1, 1, 7, None)[number % 4],
                "provider_cost_usd": Decimal("0.00000001"),
                "error": text if number % 3 == 0 else None,
            }
        )
    for number, (first, second) in enumerate(permutations(NAMES[:8], 2)):
        ledger.append(
            {
                "transaction_id": f"{first}{second}",
                "team_id": NAMES[number % 3],
                "organization_id": first if number % 4 else None,
                "transaction_type": ("deduction", "allocation", "adjustment", "one_time_payment")[number % 4],
                "credits_amount": 5,
                "credits_before": 10,
                "credits_after": 10,
                "reason": (
                    "a ($1.00 USD) b (paid $1,234,567.12345678 USD)",
                    "(a $5 USD of $7.50 USD)",
                    "($1,2,3 USD\n)",
                    "(\u0661 $\u0661 USD)",
                )[number % 4],
                "created_at": AS_OF - (number % 4 + 1) * DAY,
            }
        )
    aliases = [
        {
            "model_alias": name,
            "provider": NAMES[-number],
            "actual_model": NAMES[number // 3],
            "display_name": name,
        }
        for number, name in enumerate(NAMES)
    ]
    teams = [
        {
            "team_id": name,
            "credits_allocated": 3,
            "credits_used": 1,
            "credits_remaining": 2,
            "cost_markup_percentage": Decimal("33.33"),
            "created_at": AS_OF - 300 * DAY,
            "updated_at": AS_OF - 300 * DAY,
        }
        for name in NAMES
    ]
    rows: dict[str, list[dict[str, Any]]] = {
        "jobs": jobs,
        "llm_calls": calls,
        "job_cost_summaries": [],
        "credit_transactions": ledger,
        "team_credits": teams,
        "organizations": [],
        "model_aliases": aliases,
        "team_usage_summaries": [],
    }
    return Platform({name: frame(name, table) for name, table in rows.items()}, AS_OF, "America/Havana")


def test_text_and_numbers_at_their_limits_are_the_same(database: psycopg.Connection[Any]) -> None:
    assert engine_differences(database, adversarial_platform()) == []


# --- nights


@pytest.fixture(scope="module")
def settings(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The tape published by the postgres target: built once whole a day early, then what changed."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("postgres-target"),
        source=None,
        target="postgres",
        warehouse_url=create_database_of_another_language(postgres_server, "nights"),
        reporting_timezone="UTC",
    )
    progress = SilentProgress()
    for as_of in (TAPE_AS_OF - 2 * DAY, TAPE_AS_OF):
        land(
            TAPE,
            settings.landing_path,
            as_of=as_of,
            progress=progress,
            accept_deletes=False,
            retention_days=settings.source_retention_days,
            lookback_days=settings.lookback_days,
        )
        built = build(settings, as_of=as_of, progress=progress)
    audit(built, settings, TAPE_AS_OF, is_thorough=True)
    publish(built, settings)
    return settings


def test_the_second_build_was_of_what_changed(settings: Settings) -> None:
    audited = json.loads((settings.build_dir / "gen_a_audit.json").read_text(encoding="utf-8"))
    # perhaps after an older week, whose turn it is to be audited again
    assert audited["touched"]["day"][-1][0] > "2026-11"


def test_the_demo_is_the_same_on_both_engines(settings: Settings, published: Published) -> None:
    expected = canonical_rows(published.connection, leave_out=LEFT_OUT)
    with closing(connect(settings)) as warehouse:
        actual = canonical_rows(warehouse, leave_out=LEFT_OUT)
    assert canonical_differences(expected, actual) == []
    assert sum(map(len, actual.values())) > 50_000


def test_columns_and_descriptions_are_published(settings: Settings, published: Published) -> None:
    with closing(connect(settings)) as warehouse:
        undescribed = warehouse.execute(
            "select table_schema || '.' || table_name || '.' || column_name "
            "from information_schema.columns where table_schema in ('marts', 'reviews', 'compat') "
            "and col_description((quote_ident(table_schema) || '.' || quote_ident(table_name))::regclass, "
            "ordinal_position) is null"
        ).fetchall()
    assert undescribed == []


@pytest.mark.parametrize(
    ("kind", "period"), [(Kind.WEEKLY, Week(2026, 47)), (Kind.MONTHLY, Month(2026, 10))], ids=str
)
def test_the_reviews_are_the_same_to_the_byte(
    settings: Settings, published: Published, kind: Kind, period: Period
) -> None:
    pages = []
    for target in (settings, published.settings):
        with closing(open_warehouse(target)) as reader:
            assert complete_periods(reader, kind)[0] == period
            scopes = scopes_of(reader, kind, period)
            reviews = read_reviews(reader, kind, period, scopes, source_of_figures(target))
            pages.append({scope: render_html(review) for scope, review in zip(scopes, reviews, strict=True)})
    assert len(pages[0]) > 20
    assert pages[0] == pages[1]


@pytest.mark.parametrize("period", ["2026-W47", "2026-10"])
@pytest.mark.parametrize("sort", ["", "team_id", "organization_name", "latency_p95_ms"])
def test_the_dashboards_are_the_same(
    settings: Settings, published: Published, period: str, sort: str
) -> None:
    scopes = [PLATFORM, Scope("organization", "org_umbra"), Scope("team", "acme-docs")]
    pages = []
    for target in (settings, published.settings):
        with closing(open_warehouse(target)) as reader:
            pages.append(
                [
                    read_dashboard(
                        reader,
                        scope,
                        night_id="night",
                        as_of=TAPE_AS_OF,
                        zone="UTC",
                        now=TAPE_AS_OF,
                        period=period,
                        teams=TeamQuery(search="A", sort=sort),
                    )
                    for scope in scopes
                ]
            )
    assert pages[0] == pages[1]
    assert pages[0][0].teams is not None
    assert len(pages[0][0].teams.rows) > 5


# a night, an outage of a provider, a day of cost, slow models, a silent weekend
@pytest.mark.parametrize(
    "moment", ["2026-11-23", "2026-10-27T02:30", "2026-10-06T02:30", "2026-09-19T21:00", "2026-10-19T02:30"]
)
def test_the_alerts_are_the_same_at_any_moment(settings: Settings, published: Published, moment: str) -> None:
    as_of = datetime.fromisoformat(moment)
    with open_rules(published.settings, as_of=as_of) as here, open_rules(settings, as_of=as_of) as there:
        ours, theirs = here.evaluate(Cadence), there.evaluate(Cadence)
        assert (ours.unknown_rules, theirs.unknown_rules) == ({}, {})
        assert {one.key: one for one in theirs.candidates} == {one.key: one for one in ours.candidates}
        firing = [one for one in ours.candidates if one.verdict is Verdict.breach]
        assert firing
        # and one of each measure, whose query is its own
        of_each_measure = {(one.key.rule, one.measure): one for one in ours.candidates}
        for one in (*firing, *of_each_measure.values()):
            found, ours_found = there.evidence_of(one), here.evidence_of(one)
            assert found.note is None, one.key
            assert seen(found.columns, found.rows) == seen(ours_found.columns, ours_found.rows), one.key
            assert there.again(found.sql, one.key, as_of) == one


def test_every_query_of_evidence_is_asked_on_both(settings: Settings, published: Published) -> None:
    """Also those of measures that no scope of the tape has."""
    moments = {"window_start": datetime(2026, 10, 29), "window_end": datetime(2026, 10, 31)}
    with (
        open_rules(published.settings, as_of=TAPE_AS_OF) as here,
        open_rules(settings, as_of=TAPE_AS_OF) as there,
    ):
        candidates = here.evaluate(Cadence).candidates
        scopes = {one.key.rule: one.key.scope_id for one in candidates if one.key.scope_kind == "team"}
        asked = 0
        for rule in here.book.rules:
            for query in set(QUERY.findall(here.sql_of(rule))):
                given = {"scope_id": scopes.get(rule, "platform"), **moments}
                text = query.replace("''", "'")
                assert seen(*there.rows_of(text, given)) == seen(*here.rows_of(text, given)), (rule, text)
                asked += 1
    assert asked >= len(here.book.rules)


def seen(columns: tuple[str, ...], rows: tuple[tuple[str | None, ...], ...]) -> list[dict[str, str | None]]:
    """Rows of evidence, but for when each day was built: the engines have not had the same nights."""
    named = (dict(zip(columns, row, strict=True)) for row in rows)
    return [{name: value for name, value in row.items() if name != "built_at_as_of"} for row in named]


# a literal of a rule's view that takes parameters
QUERY = re.compile(r"'(select (?:[^']|'')*\$(?:[^']|'')*)'")


def test_status_reads_the_published_views(settings: Settings) -> None:
    status = read_status(settings, now=TAPE_AS_OF)
    assert (status.as_of, status.last_complete_day) == (TAPE_AS_OF, date(2026, 11, 22))
    assert status.warehouse.endswith("/nights")


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("select sum(job_count) as jobs from platform_usage_daily", "jobs\n4"),
        (
            "-- a comment\nwith days as (select * from dim_dates) select min(iso_year) from days;",
            "min\n2026\n",
        ),
        ("show timezone", "TimeZone\nUTC\n"),
        ("select status from compat.jobs group by 1 order by 1 limit 1", "status\ncompleted\n"),
    ],
)
def test_a_query_reads_the_published_views(settings: Settings, sql: str, answer: str) -> None:
    out = io.StringIO()
    run_query(sql, settings, output_format="csv", out=out, story=io.StringIO())
    assert out.getvalue().startswith(answer)


@pytest.mark.parametrize(
    "sql",
    [
        "drop view marts.dim_dates",
        "select 1; drop view marts.dim_dates",
        "with gone as (delete from gen_a_marts.dim_dates returning 1) select * from gone",
        "explain analyze delete from gen_a_marts.dim_dates",
        "select set_config('transaction_read_only', 'off', false), pg_notify('a', 'b')",
        "select * into marts.mine from marts.dim_dates",
        "copy (select 1) to program 'true'",
    ],
)
def test_a_query_changes_nothing(settings: Settings, sql: str) -> None:
    with pytest.raises(AlmanacError):
        run_query(sql, settings, output_format="csv", out=io.StringIO(), story=io.StringIO())


def test_a_night_after_it_goes_into_the_other_generation(settings: Settings) -> None:
    with closing(connect(settings)) as warehouse:
        assert prepare_generation(warehouse) == Generation("b", None)
