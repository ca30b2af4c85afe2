"""docs/analysts.md is true: every block of it runs, on the demo's warehouse, as it is printed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from flows.query import run_query
from tests.almanac_command import environment
from tests.analysts import PAGE, Block, blocks
from tests.published import ROOT, Published

SECONDS = 120


@pytest.fixture(scope="module")
def project(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the project as `make demo` leaves it."""
    folder = tmp_path_factory.mktemp("project")
    # a folder of its own: the page writes into it
    (folder / "data").mkdir()
    for path in published.settings.data_dir.iterdir():
        (folder / "data" / path.name).symlink_to(path)
    (folder / "docs").symlink_to(ROOT / "docs")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    return folder


def run(project: Path, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=project,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_has_blocks_of_each_kind() -> None:
    kinds = {kind: len(blocks(kind)) for kind in ("sql", "python", "sh")}
    assert kinds["sql"] >= 10
    assert min(kinds.values()) >= 2
    # any other is not run, and says so by its name
    assert {block.kind for block in blocks()} == {"sql", "python", "sh", "console"}


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_sql_gives_rows(published: Published, block: Block) -> None:
    out, story = io.StringIO(), io.StringIO()
    run_query(block.text, published.settings, output_format="json", out=out, story=story)
    rows = json.loads(out.getvalue())
    # the demo is one night: nothing has been published before it
    assert bool(rows) != ("from restatements" in block.text)


@pytest.mark.parametrize("block", [one for one in blocks("python") if not one.is_for_postgres], ids=str)
def test_python_runs(project: Path, block: Block) -> None:
    assert run(project, sys.executable, "-W", "error", "-c", block.text).strip()


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_shell_runs(project: Path, block: Block) -> None:
    assert run(project, "sh", "-eu", "-c", block.text).strip()


def test_what_the_shell_wrote_is_what_the_page_says(project: Path) -> None:
    for block in blocks("sh"):
        run(project, "sh", "-eu", "-c", block.text)
    assert (project / "data" / "documentation" / "index.html").stat().st_size > 1_000_000
    lines = (project / "data" / "team_usage_monthly.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("team_id,period_start_date")
    assert len(lines) > 50


def test_percentiles_of_the_calls_are_those_of_the_mart(published: Published) -> None:
    """The way the page gives for any cut agrees with the mart where there is one."""
    (block,) = (one for one in blocks("sql") if "percentile_cont(0.95)" in one.text)
    whole = block.text.replace("model_group,\n    count", "1 as month,\n    count")
    whole = whole.replace("group by model_group\norder by calls desc, model_group", "")
    assert "model_group" not in whole
    ((_, calls, mean, *percentiles),) = published.rows(whole)
    (expected,) = published.rows(
        "select latency_call_count, latency_avg_ms, latency_p50_ms, latency_p95_ms, latency_p99_ms "
        "from platform_usage_monthly where period_start_date = date '2026-10-01'"
    )
    assert calls == expected[0]
    assert [float(value) for value in expected[1:]] == pytest.approx([mean, *percentiles], abs=0.0006)


def test_the_weighed_mean_is_the_mean_of_the_calls(published: Published) -> None:
    (weighed,) = (one for one in blocks("sql") if "latency_avg_ms * latency_call_count" in one.text)
    (calls,) = (one for one in blocks("sql") if "percentile_cont(0.95)" in one.text)
    means = {group: (count, float(mean)) for group, count, mean in published.rows(weighed.text) if count}
    expected = {group: (count, float(mean)) for group, count, mean, *_ in published.rows(calls.text)}
    assert means.keys() == expected.keys()
    assert len(means) > 3
    for group, (count, mean) in means.items():
        assert count == expected[group][0]
        assert mean == pytest.approx(expected[group][1], abs=0.001)


# --- what the page says of the file


def copied(published: Published, path: Path, night: int) -> Path:
    path.write_bytes(published.settings.warehouse_path.read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"create table marts.night as select {night} as number")
    return path


def test_an_open_connection_keeps_the_old_night_and_others_join_it(
    published: Published, tmp_path: Path
) -> None:
    path = copied(published, tmp_path / "warehouse.duckdb", 1)
    new = copied(published, tmp_path / "new.duckdb", 2)
    asked = "select number from marts.night"
    with duckdb.connect(str(path), read_only=True) as first:
        os.replace(new, path)
        with duckdb.connect(str(path), read_only=True) as second:
            assert first.execute(asked).fetchone() == second.execute(asked).fetchone() == (1,)
    with duckdb.connect(str(path), read_only=True) as again:
        assert again.execute(asked).fetchone() == (2,)


def test_whoever_writes_locks_readers_out(published: Published, tmp_path: Path) -> None:
    path = copied(published, tmp_path / "warehouse.duckdb", 1)
    code = f"import duckdb; duckdb.connect({str(path)!r}, read_only=True)"
    with duckdb.connect(str(path)):
        refused = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS
        )
    assert "Conflicting lock" in refused.stderr
    with duckdb.connect(str(path), read_only=True):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=SECONDS)


def test_data_frames_hold_floats_and_rows_decimals(published: Published) -> None:
    asked = "select sum(client_cost_usd) as cost from marts.platform_usage_monthly"
    with duckdb.connect(str(published.settings.warehouse_path), read_only=True) as connection:
        assert str(connection.execute(asked).df().dtypes["cost"]) == "float64"
        ((cost,),) = connection.execute(asked).fetchall()
    assert isinstance(cost, Decimal)


def test_the_published_file_is_complete_in_itself(published: Published) -> None:
    beside = [path.name for path in published.settings.data_dir.glob("warehouse.duckdb*")]
    assert beside == ["warehouse.duckdb"]


def test_every_schema_of_the_file_is_on_the_page(published: Published) -> None:
    schemas = {
        schema
        for (schema,) in published.rows(
            "select distinct schema_name from duckdb_tables() where database_name = 'warehouse'"
        )
    }
    text = PAGE.read_text(encoding="utf-8")
    assert {schema for schema in schemas if f"| `{schema}` |" not in text} == set()
