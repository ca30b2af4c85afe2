"""The main job as a whole: what is published, what is not, and that it is the same every time."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from flows import PROJECT_DIR, coverage
from flows.audit import AuditFailed, audit, law_of
from flows.build_duckdb import build_side_file
from flows.land import land_folder
from flows.progress import SilentProgress
from flows.publish import publish
from flows.published_night import remember_published
from flows.settings import Settings
from tests.almanac_command import ALMANAC, environment
from tests.canonical import canonical_differences, canonical_rows
from tests.crash_harness import write_platform
from tests.crash_targets import LEFT_OUT
from tests.published import TAPE, TAPE_AS_OF, Published

# Texts of the tape that land redacts: a provider's key in a URL, and a masked key.
SECRETS = (b"mock-gemini-key-not-real", b"sk-mock-*")


def almanac(data_dir: Path, *arguments: str, zone: str = "UTC") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ALMANAC), "--data-dir", str(data_dir), "--quiet", *arguments],
        env=environment(TZ=zone),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def export(warehouse_path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every published table and view, in the order of all its columns."""
    with duckdb.connect(str(warehouse_path), read_only=True) as connection:
        # the rules of alerts are views that read what has landed, too
        connection.execute(f"attach '{warehouse_path.with_name('landing.duckdb')}' as landing (read_only)")
        names = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables "
            # what it was built from, and in which way, is no number of the platform's
            "where table_catalog = 'warehouse' "
            "and (table_schema, table_name) not in (('kept', 'coverage'), ('kept', 'private_relations')) "
            "order by 1"
        ).fetchall()
        return {
            name: connection.execute(f"select * from {name} order by all").fetchall() for (name,) in names
        }


def remember(settings: Settings) -> None:
    with duckdb.connect(str(settings.landing_path)) as landing:
        remember_published(landing, settings, None)


@pytest.fixture
def own_copy(published: Published, tmp_path: Path) -> Settings:
    """A data folder of the test's own, with the tape landed and published."""
    shutil.copytree(published.settings.data_dir, tmp_path / "data")
    return published.settings.model_copy(update={"data_dir": tmp_path / "data"})


def test_the_same_data_and_moment_give_the_same_bytes_in_any_time_zone(
    published: Published, tmp_path: Path
) -> None:
    expected = export(published.settings.warehouse_path)
    assert len(expected) > 50
    documents = []
    for zone in ("Pacific/Apia", "America/New_York"):
        run = almanac(tmp_path, "demo", zone=zone)
        assert run.returncode == 0, run.stderr
        # the second run is also the second night as of the same moment
        assert export(tmp_path / "warehouse.duckdb") == expected
        week = tmp_path / "reviews" / "weekly" / "2026-W47"
        documents.append({path.name: path.read_bytes() for path in sorted(week.iterdir())})
    assert documents[0] == documents[1]
    assert set(documents[0]) == {
        f"{scope}{suffix}"
        for scope in ("platform", "organization-org_acme", "team-acme-docs")
        for suffix in (".html", ".pdf", ".csv", ".parts.csv")
    }
    assert "almanac" in run.stdout
    assert run.stdout.count("select ") >= 3
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert [secret for secret in SECRETS if secret in content] == [], path


def test_a_broken_law_publishes_nothing_and_is_named_with_its_rows(own_copy: Settings) -> None:
    before = own_copy.warehouse_path.read_bytes()
    side_file = build_side_file(own_copy, as_of=TAPE_AS_OF, progress=SilentProgress())
    with duckdb.connect(str(side_file)) as connection:
        connection.execute(
            "update marts.team_usage_daily set job_count = job_count + 1 "
            "where team_id = 'acme-docs' and period_start_date = date '2026-11-17'"
        )
    # a day that the build did not touch: the audit that begins a week looks at it all the same
    with pytest.raises(AuditFailed) as failure:
        audit(side_file, own_copy, TAPE_AS_OF, is_thorough=True)
    message = str(failure.value)
    assert "law I1," in message
    assert "law I2," in message
    assert "team_id=acme-docs" in message
    assert "Nothing is published" in message
    assert own_copy.warehouse_path.read_bytes() == before
    assert side_file.exists(), "the failed build is kept for a look"


def test_a_strange_call_in_place_of_one_of_the_source_breaks_law_1(own_copy: Settings) -> None:
    side_file = build_side_file(own_copy, as_of=TAPE_AS_OF, progress=SilentProgress())
    with duckdb.connect(str(side_file)) as connection:
        # counts, tokens and costs of its team and day are as before
        connection.execute(
            "update marts.fct_llm_calls set call_id = 'strange', created_at = created_at + interval 1 second "
            "where call_id = (select min(call_id) from marts.fct_llm_calls where team_id = 'acme-docs')"
        )
    with pytest.raises(AuditFailed, match=r"law I1,[^\n]*: 1 rows break it\n *team_id=acme-docs"):
        audit(side_file, own_copy, TAPE_AS_OF, is_thorough=True)


def test_laws_look_at_the_week_whose_turn_it_is_and_declared_tests_at_what_was_rebuilt(
    own_copy: Settings,
) -> None:
    # the first night of a new day builds the last days alone; a month later another old week has its turn
    as_of, week = next(
        (moment, found)
        for nights in range(1, 40)
        if (moment := TAPE_AS_OF + timedelta(days=nights))
        and (found := coverage.week_in_turn(_covered(own_copy, moment)))
        and date(2026, 8, 1) <= found[0] < date(2026, 11, 1)
    )
    side_file = build_side_file(own_copy, as_of=as_of, progress=SilentProgress())
    audit(side_file, own_copy, as_of)

    def spoil(model: str, change: str, condition: str) -> None:
        with duckdb.connect(str(side_file)) as connection:
            connection.execute(f"update marts.{model} set {change} where {condition}")

    of_the_week = f"between date '{week[0]}' and date '{week[1]}' - 1"
    spoil("fct_llm_calls", "cost_source = 'guessed'", f"call_date {of_the_week}")
    audit(side_file, own_copy, as_of)
    spoil("team_usage_daily", "job_count = job_count + 1", f"period_start_date {of_the_week}")
    with pytest.raises(AuditFailed, match="law I1,") as failure:
        audit(side_file, own_copy, as_of)
    assert "accepted_values" not in str(failure.value)
    spoil("fct_llm_calls", "cost_source = 'guessed'", f"call_date >= date '{TAPE_AS_OF:%Y-%m-%d}' - 1")
    with pytest.raises(AuditFailed, match="accepted_values"):
        audit(side_file, own_copy, as_of)


def _covered(settings: Settings, as_of: datetime) -> coverage.Coverage:
    with duckdb.connect(str(settings.landing_path)) as landing:
        return coverage.landed_coverage(landing, as_of=as_of, reporting_timezone=settings.reporting_timezone)


def test_a_full_build_in_portions_gives_the_same_rows(
    own_copy: Settings, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "PORTION_CALLS", 3_000)
    with duckdb.connect(str(own_copy.landing_path)) as landing:
        assert len(coverage.portions_of(landing)) > 3
    side_file = build_side_file(own_copy, as_of=TAPE_AS_OF, progress=SilentProgress(), full_refresh=True)
    audit(side_file, own_copy, TAPE_AS_OF, is_thorough=True)
    expected = canonical_rows(published.connection, leave_out=LEFT_OUT)
    with duckdb.connect(str(side_file)) as connection:
        actual = canonical_rows(connection, leave_out=LEFT_OUT)
    assert canonical_differences(expected, actual) == []


def test_a_reader_of_the_old_night_is_not_disturbed_by_a_new_one(own_copy: Settings) -> None:
    side_file = own_copy.build_dir / "next" / "warehouse.duckdb"
    side_file.parent.mkdir(parents=True)
    shutil.copy(own_copy.warehouse_path, side_file)
    with duckdb.connect(str(side_file)) as connection:
        connection.execute("create schema staging; create view staging.private as select 1 as one")
        connection.execute("delete from marts.fct_jobs")
    count_jobs = "select count(*) from {}.marts.fct_jobs"
    with duckdb.connect() as reader:
        reader.execute(f"attach '{own_copy.warehouse_path}' as old (read_only)")
        jobs_before = reader.execute(count_jobs.format("old")).fetchone()
        publish(side_file, own_copy)
        assert reader.execute(count_jobs.format("old")).fetchone() == jobs_before
        reader.execute("detach old")
        reader.execute(f"attach '{own_copy.warehouse_path}' as new (read_only)")
        assert reader.execute(count_jobs.format("new")).fetchone() == (0,)
        schemas = reader.execute(
            "select distinct schema_name from duckdb_views() where database_name = 'new' and not internal "
            "order by 1"
        ).fetchall()
    assert schemas == [("alerts",), ("compat",), ("marts",)]
    assert not side_file.parent.exists()
    with duckdb.connect() as connection:
        connection.execute(f"attach '{own_copy.warehouse_path}' as published (read_only)")
        tags = connection.execute("select tags from duckdb_databases() where database_name = 'published'")
        assert "v1.2.0" in str(tags.fetchone()), "older DuckDBs must be able to read it"


def test_a_partial_build_takes_back_the_private_relations_that_a_publication_put_aside(
    own_copy: Settings,
) -> None:
    as_of = TAPE_AS_OF + timedelta(days=1)
    definitions = (
        # DuckDB nests the parts of a union otherwise when it reads what it wrote
        "select schema_name, view_name, translate(sql, '()', '') from duckdb_views() "
        "where schema_name in ('staging', 'intermediate') and not internal order by all"
    )
    found = []
    for full_refresh in (True, False):
        side_file = build_side_file(
            own_copy, as_of=as_of, progress=SilentProgress(), full_refresh=full_refresh
        )
        with duckdb.connect(str(side_file), read_only=True) as connection:
            found.append({row[1]: row for row in connection.execute(definitions).fetchall()})
            tables = connection.execute(
                "select count(*) from duckdb_tables() where schema_name = 'intermediate'"
            ).fetchone()
        shutil.rmtree(own_copy.build_dir)
        assert tables is not None
        assert tables[0] > 5
    full, partial = found
    assert full.keys() == partial.keys()
    assert len(full) > 60
    of_each_build = {
        path.stem
        for path in (PROJECT_DIR / "models").rglob("*.sql")
        if "'each_build'" in path.read_text("utf-8")
    }
    assert {name for name, row in full.items() if row != partial[name]} <= of_each_build


def test_a_file_whose_private_relations_cannot_be_made_again_is_built_whole(own_copy: Settings) -> None:
    with duckdb.connect(str(own_copy.warehouse_path)) as connection:
        connection.execute(
            "update kept.private_relations set sql = 'create view staging.stg_saas__jobs as from nowhere' "
            "where name = 'stg_saas__jobs'"
        )
    as_of = TAPE_AS_OF + timedelta(days=1)
    side_file = build_side_file(own_copy, as_of=as_of, progress=SilentProgress())
    assert json.loads((side_file.parent / "audit.json").read_text("utf-8")) == {}, (
        "nothing was left as it was"
    )


@pytest.mark.parametrize("damage", ["missing folder", "empty folder", "half-written calls", "no table"])
def test_a_source_that_cannot_be_read_leaves_the_published_night(
    damage: str, own_copy: Settings, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in (own_copy.warehouse_path, own_copy.landing_path)}
    source = tmp_path / "source"
    expected = "source"
    if damage != "missing folder":
        source.mkdir()
    if damage in ("half-written calls", "no table"):
        shutil.copytree(TAPE, source, dirs_exist_ok=True)
        calls = source / "llm_calls.csv.gz"
        if damage == "no table":
            calls.unlink()
        else:
            calls.write_bytes(calls.read_bytes()[:100_000])
        expected = "llm_calls"
    run = almanac(own_copy.data_dir, "nightly", "--source", str(source), "--as-of", "2026-11-23")
    assert run.returncode == 1
    assert expected in run.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_a_night_before_all_rows_does_not_replace_one_that_has_some(own_copy: Settings) -> None:
    before = own_copy.warehouse_path.read_bytes()
    run = almanac(own_copy.data_dir, "nightly", "--source", str(TAPE), "--as-of", "2020-01-01")
    assert run.returncode == 1
    assert "--as-of" in run.stderr
    assert own_copy.warehouse_path.read_bytes() == before


def test_a_restatement_outlives_a_night_that_looks_back(own_copy: Settings) -> None:
    remember(own_copy)
    with duckdb.connect(str(own_copy.landing_path)) as connection:
        connection.execute(
            "insert into raw.published_restatements values ('acme-docs', date '2026-11-02', 'job_count', "
            "1, 2, 'rows_added', timestamp '2026-11-10', timestamp '2026-11-11')"
        )
    # the published night knows nothing of it, as after a night as of an earlier moment
    remember(own_copy)
    with duckdb.connect(str(own_copy.landing_path), read_only=True) as connection:
        assert connection.execute("select count(*) from raw.published_restatements").fetchone() == (1,)


def test_a_period_that_is_none_ends_with_2_before_anything_runs(tmp_path: Path) -> None:
    for arguments in (
        ("nightly", "--source", str(TAPE), "--as-of", "2026-11-23' or 1=1 --"),
        ("review", "weekly", "2026-W54"),
        ("review", "weekly", "{{ 7 * 7 }}"),
        ("build", "--as-of", "2026-13-01"),
    ):
        run = almanac(tmp_path / "none", *arguments)
        assert run.returncode == 2, arguments
        assert not (tmp_path / "none").exists(), arguments


def test_the_build_remembers_what_the_published_night_said(own_copy: Settings) -> None:
    remember(own_copy)
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute(f"attach '{own_copy.landing_path}' as landing (read_only)")
        connection.execute(f"attach '{own_copy.warehouse_path}' as warehouse (read_only)")
        remembered = connection.execute(
            "select team_id, period_start_date, job_count, client_cost_usd "
            "from landing.raw.published_usage order by all"
        ).fetchall()
        published = connection.execute(
            "select team_id, period_start_date, job_count, client_cost_usd "
            "from warehouse.marts.team_usage_daily where is_complete order by all"
        ).fetchall()
    assert remembered == published != []


def test_a_damaged_warehouse_is_no_night_to_compare_with(own_copy: Settings) -> None:
    own_copy.warehouse_path.write_bytes(b"not a database" * 1000)
    remember(own_copy)
    with duckdb.connect(str(own_copy.landing_path), read_only=True) as connection:
        assert connection.execute("select count(*) from raw.published_usage").fetchone() == (0,)


def test_days_cut_in_another_time_zone_are_not_compared(own_copy: Settings) -> None:
    remember(own_copy.model_copy(update={"reporting_timezone": "Asia/Kolkata"}))
    with duckdb.connect(str(own_copy.landing_path), read_only=True) as connection:
        assert connection.execute("select count(*) from raw.published_usage").fetchone() == (0,)


def test_an_outage_of_eight_nights_heals_in_one_run_that_names_the_days(tmp_path: Path) -> None:
    last_night = write_platform(tmp_path / "before", datetime(2026, 11, 12, 2))
    first_night = write_platform(tmp_path / "after", datetime(2026, 11, 20, 2))
    healed, rebuilt = tmp_path / "healed", tmp_path / "rebuilt"
    run = almanac(healed, *last_night.arguments)
    assert run.returncode == 0, run.stderr
    assert "recovered" not in run.stdout
    shutil.copytree(healed, rebuilt)

    run = almanac(healed, *first_night.arguments)
    assert run.returncode == 0, run.stderr
    days = [date(2026, 11, 12) + timedelta(days=number) for number in range(8)]
    assert f"recovered  8 days: {', '.join(map(str, days))}" in run.stdout

    with duckdb.connect(str(healed / "warehouse.duckdb"), read_only=True) as connection:
        usage = connection.execute(
            "select period_start_date, call_count from marts.platform_usage_daily "
            "where period_start_date between ? and ? order by all",
            [days[0], days[-1]],
        ).fetchall()
        counted = connection.execute(
            "select cast(created_at as date) as day, count(*) "
            f"from read_csv('{first_night.source}/llm_calls.csv') where day between ? and ? "
            "group by day order by all",
            [days[0], days[-1]],
        ).fetchall()
        assert usage == counted
        assert len(counted) == 8
        rows = canonical_rows(connection, leave_out=LEFT_OUT)

    # the same night without its audit and its review, which cost as much again
    settings = Settings(data_dir=rebuilt, source=None, target="duckdb", reporting_timezone="UTC")
    as_of, progress = first_night.as_of, SilentProgress()
    land_folder(first_night.source, settings.landing_path, as_of=as_of, progress=progress)
    side_file = build_side_file(settings, as_of=as_of, progress=progress, full_refresh=True)
    with duckdb.connect(str(side_file), read_only=True) as connection:
        assert canonical_differences(canonical_rows(connection, leave_out=LEFT_OUT), rows) == []


def test_a_law_is_known_by_its_test() -> None:
    assert law_of("assert_i02_weeks_and_months_are_their_days") == "I2"
    assert law_of("unique_combination_fct_jobs_job_id") is None
