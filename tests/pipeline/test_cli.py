"""The command from outside: exit codes, what is on stdout and what on stderr, and what a query may do."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from flows.cli import EXAMPLE_QUERIES
from flows.errors import AlmanacError, Busy, UsageError
from flows.locking import only_writer
from flows.query import Format, run_query
from flows.settings import Settings
from flows.status import read_status
from reports.csv_cells import csv_cell
from tests.almanac_command import environment as inherited

ROOT = Path(__file__).resolve().parents[2]
AS_OF = "2026-11-23T02:00:00"


def almanac(
    *arguments: str, data_dir: Path, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    own = {"PYTHONPATH": str(ROOT), "ALMANAC_DATA_DIR": str(data_dir)}
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=data_dir,
        env=inherited(**own | environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a published warehouse of three small tables."""
    folder = tmp_path_factory.mktemp("data")
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(
            """
            create schema marts;
            create schema compat;
            create table marts.platform_usage_daily as
                select timestamp '2026-11-23 02:00:00' as built_at_as_of,
                    date '2026-11-21' + cast(n as integer) as period_start_date, n < 2 as is_complete
                from range(3) as days(n);
            create table marts.team_usage_weekly as
                select * from (values
                    ('=cmd|calc', 3, cast(0.10000001 as decimal(28, 8))),
                    ('plain', null, cast(-2 as decimal(28, 8)))
                ) as teams(team_id, job_count, client_cost_usd);
            create table compat.jobs as select 'a' as job_id, timestamp '2026-11-22 23:00:00' as created_at;
            create table compat.llm_calls as
                select 'c' as call_id, timestamp '2026-11-22 23:30:00' as created_at;
            create table compat.credit_transactions as
                select 't' as transaction_id, timestamp '2026-11-20 00:00:00' as created_at where false;
            """
        )
    return folder


def settings_of(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir, source=None, target="duckdb", reporting_timezone="UTC")


def ask(data_dir: Path, sql: str, output_format: Format = "csv") -> str:
    out = io.StringIO()
    run_query(sql, settings_of(data_dir), output_format=output_format, out=out, story=io.StringIO())
    return out.getvalue()


# --- exit codes


@pytest.mark.parametrize(
    "arguments",
    [
        ["nightly", "--as-of", "yesterday"],
        ["land", "--as-of", "2026-02-30"],
        ["build", "--as-of", "2026-W47"],
        ["review", "weekly", "2025-W53"],
        ["review", "weekly", "2026-11-23'); drop schema marts; --"],
        ["status", "--as-of", ""],
        ["nightly"],
        ["land", "--source", "mysql://reader:s3cret@db/saas"],
        ["no-such-command"],
        ["query", "select 1", "--format", "xml"],
    ],
)
def test_a_wrong_call_exits_2_before_anything_runs(arguments: list[str], tmp_path: Path) -> None:
    run = almanac(*arguments, data_dir=tmp_path)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr
    assert "s3cret" not in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_exits_2_and_is_named(tmp_path: Path) -> None:
    run = almanac("doctor", data_dir=tmp_path, ALMANAC_REPORTING_TIMEZONE="Mars/Phobos")
    assert run.returncode == 2
    assert "ALMANAC_REPORTING_TIMEZONE" in run.stderr


@pytest.mark.parametrize(
    "arguments", [["status"], ["query", "select 1"], ["publish"], ["build"], ["review", "weekly"]]
)
def test_before_the_first_night_a_reader_is_told_what_to_run(arguments: list[str], tmp_path: Path) -> None:
    run = almanac(*arguments, data_dir=tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("almanac: ")
    assert "almanac " in run.stderr.removeprefix("almanac: ")
    assert "Traceback" not in run.stderr


def test_a_missing_source_exits_1_and_leaves_the_published_warehouse_alone(data_dir: Path) -> None:
    before = (data_dir / "warehouse.duckdb").read_bytes()
    run = almanac("nightly", "--source", "no-such-folder", "--as-of", AS_OF, data_dir=data_dir)
    assert run.returncode == 1
    assert "no-such-folder" in run.stderr
    assert (data_dir / "warehouse.duckdb").read_bytes() == before


def test_a_query_may_begin_with_a_comment(data_dir: Path) -> None:
    run = almanac("query", "-- how many jobs\nselect 1 as one", data_dir=data_dir)
    assert (run.returncode, run.stdout.split()) == (0, ["one", "---", "1"]), run.stderr


def test_a_second_writer_exits_75(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with only_writer(settings, kind="nightly") as holder:
        with pytest.raises(Busy), only_writer(settings, kind="nightly"):
            pass
        run = almanac("publish", data_dir=tmp_path)
    assert run.returncode == 75
    assert holder.run_id in run.stderr
    with only_writer(settings, kind="nightly"):
        pass


def test_an_unexpected_error_leaves_its_traceback_in_a_log_without_secrets(data_dir: Path) -> None:
    code = (
        "import sys, flows.query\n"
        "def fail(*_, **__): raise ValueError('boom api_key=sk-abcdefghijklmnop')\n"
        "flows.query.run_query = fail\n"
        "from flows.cli import main\n"
        "sys.argv = ['almanac', 'query', 'select 1']\n"
        "main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ALMANAC_DATA_DIR": str(data_dir)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    log = Path(run.stderr.strip().rpartition(" ")[2])
    assert log.parent == data_dir / "logs"
    text = log.read_text()
    assert "ValueError: boom" in text
    assert "sk-abcdefghijklmnop" not in text + run.stderr


# --- status


def test_status_says_how_far_the_warehouse_reaches(data_dir: Path) -> None:
    run = almanac("status", "--as-of", "2026-11-24T04:00:00", "--format", "json", data_dir=data_dir)
    assert run.returncode == 0
    status = json.loads(run.stdout)
    assert status["as_of"] == "2026-11-23T02:00:00"
    assert status["last_complete_day"] == "2026-11-22"
    assert status["newest_call_at"] == "2026-11-22T23:30:00"
    assert status["newest_transaction_at"] is None
    assert (status["age_hours"], status["is_stale"]) == (26.0, False)


def test_status_of_a_stale_warehouse_exits_1(data_dir: Path) -> None:
    run = almanac("status", "--as-of", "2026-11-24T04:00:01", data_dir=data_dir)
    assert run.returncode == 1
    assert "the last good night is older than 26 h; run `almanac nightly`" in run.stdout


def test_status_of_an_older_moment_is_not_stale(data_dir: Path) -> None:
    status = read_status(settings_of(data_dir), now=datetime(2026, 11, 1))
    assert not status.is_stale


# --- query


def test_a_query_answers_on_stdout(data_dir: Path) -> None:
    run = almanac("query", "-", "--format", "json", data_dir=data_dir, stdin="select count(*) as n from jobs")
    assert (run.returncode, json.loads(run.stdout), run.stderr) == (0, [{"n": 1}], "")


def test_marts_and_compat_tables_are_found_by_bare_and_qualified_names(data_dir: Path) -> None:
    for name in ("team_usage_weekly", "marts.team_usage_weekly", "jobs", "compat.jobs"):
        assert ask(data_dir, f"select count(*) > 0 as found from {name}") == "found\ntrue\n"


def test_json_keeps_every_digit_and_every_column(data_dir: Path) -> None:
    text = ask(
        data_dir,
        "select 12345678901234567890.12345678::decimal(28, 8) as a, 1 as a, 'nan'::double as n, null as z, "
        "[1, 2] as l, date '2026-11-23' as d",
        "json",
    )
    (row,) = json.loads(text, parse_float=Decimal)
    assert row["a"] == Decimal("12345678901234567890.12345678")
    assert row == {**row, "a_2": 1, "n": None, "z": None, "l": [1, 2], "d": "2026-11-23"}
    assert ask(data_dir, "select 1 as a where false", "json") == "[]\n"


def test_a_csv_cell_never_starts_a_formula(data_dir: Path) -> None:
    rows = list(csv.reader(io.StringIO(ask(data_dir, "select * from team_usage_weekly order by team_id"))))
    assert rows == [
        ["team_id", "job_count", "client_cost_usd"],
        ["'=cmd|calc", "3", "0.10000001"],
        ["plain", "", "-2.00000000"],
    ]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "  =1", "\u00a0=1", "\uff1d1", "a\n=1", "a\r\n@x", "a\n \t=1"],
)
def test_text_that_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    cell = csv_cell(text)
    assert cell != text
    assert cell.replace("'", "") == text


@pytest.mark.parametrize("value", ["a=1", "a-b", "a\nb", "", -1, Decimal("-0.5"), None, True])
def test_other_cells_stay_as_they_are(value: object) -> None:
    assert "'" not in csv_cell(value)


def test_a_table_keeps_a_tenants_control_characters_off_the_terminal(data_dir: Path) -> None:
    table = ask(
        data_dir, "select chr(27) || '[31mred' || chr(10) as name, null as missing, 1.50 as cost", "table"
    )
    assert "\x1b" not in table
    header, rule, row = table.splitlines()
    assert header.split() == ["name", "missing", "cost"]
    assert set(rule) == {"-", " "}
    assert row.split()[-2:] == ["null", "1.50"]


def test_a_long_table_says_that_it_is_short(data_dir: Path) -> None:
    run = almanac("query", "select * from range(1001)", data_dir=data_dir)
    assert len(run.stdout.splitlines()) == 1002
    assert "first 1000" in run.stderr


@pytest.mark.parametrize(
    "sql",
    [
        "create table x as select 1",
        "insert into team_usage_weekly values ('x', 1, 1)",
        "drop table marts.team_usage_weekly",
        "update team_usage_weekly set job_count = 0",
        "copy team_usage_weekly to 'stolen.csv'",
        "attach 'other.duckdb'",
        "install httpfs",
        "set threads = 1",
        "select 1; select 2",
        "",
    ],
)
def test_anything_but_one_reading_statement_is_refused(data_dir: Path, sql: str) -> None:
    with pytest.raises(UsageError):
        ask(data_dir, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/hostname')",
        "select * from '/etc/passwd'",
        "select * from glob('/*')",
        "selec 1",
        "select * from no_such_mart",
    ],
)
def test_what_sql_cannot_do_is_an_error_with_its_message(data_dir: Path, sql: str) -> None:
    with pytest.raises(AlmanacError, match="Error"):
        ask(data_dir, sql)
    run = almanac("query", sql, data_dir=data_dir)
    assert (run.returncode, run.stdout) == (1, "")


def test_describe_show_and_explain_are_readings(data_dir: Path) -> None:
    for sql in (
        "describe team_usage_weekly",
        "show tables",
        "summarize team_usage_weekly",
        "explain select 1",
    ):
        assert ask(data_dir, sql)


def test_the_readme_shows_the_demos_queries() -> None:
    shown = re.findall(r'# (.*)\n\.venv/bin/almanac query "([^"]*)"', (ROOT / "README.md").read_text())
    assert {title: " ".join(sql.split()) for title, sql in shown} == EXAMPLE_QUERIES


# --- doctor


def test_doctor_names_what_is_wrong_and_masks_secrets(tmp_path: Path) -> None:
    run = almanac(
        "doctor", data_dir=tmp_path, ALMANAC_SOURCE="postgresql://reader:s3cret@db/saas", ALMANAC_TYPO="1"
    )
    assert run.returncode == 1
    assert "s3cret" not in run.stdout + run.stderr
    wrong = [line for line in run.stdout.splitlines() if line.startswith("WRONG")]
    assert any("ALMANAC_TYPO" in line for line in wrong)
    assert any("source" in line for line in wrong)


def test_doctor_is_content_with_the_demos_source(tmp_path: Path) -> None:
    run = almanac("doctor", data_dir=tmp_path, ALMANAC_SOURCE=str(ROOT / "demo" / "platform-tape"))
    assert run.returncode == 0, run.stdout


def test_doctor_names_a_column_that_the_source_lacks(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "demo" / "platform-tape", source)
    (source / "jobs.csv.gz").unlink()
    (source / "jobs.csv").write_text("job_id,team_id\n", encoding="utf-8")
    run = almanac("doctor", data_dir=tmp_path, ALMANAC_SOURCE=str(source))
    assert run.returncode == 1
    assert "has no column" in run.stdout, run.stdout
