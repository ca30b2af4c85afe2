"""Landing from a folder: real files in, rows of `raw` out, or one clear error and nothing changed."""

import csv
import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.errors import Busy
from flows.land import LandError, LandReport, land_folder
from flows.progress import SilentProgress
from flows.source_schema import HISTORIES, TABLES, Table

AS_OF = datetime(2026, 11, 23)
DEMO = Path(__file__).parents[2] / "demo" / "platform-tape"

# Columns that must never be read, as a platform has them beside the others.
FORBIDDEN = {
    "team_credits": ("virtual_key",),
    "llm_calls": ("request_data", "response_data"),
    "jobs": ("job_metadata",),
}

Row = dict[str, Any]


# --- a small platform --------------------------------------------------------------------------------------


def job(number: int, **changed: Any) -> Row:
    start = datetime(2026, 11, 1, 12) + timedelta(minutes=number)
    row: Row = {
        "job_id": f"job-{number}",
        "team_id": "team-a",
        "user_id": "u1",
        "job_type": "chat",
        "status": "COMPLETED",
        "created_at": start,
        "started_at": start + timedelta(seconds=1),
        "completed_at": start + timedelta(seconds=9),
        "error_message": None,
        "organization_id": None,
        "credit_applied": True,
    }
    return row | changed


def call(number: int, **changed: Any) -> Row:
    row: Row = {
        "call_id": f"call-{number}",
        "job_id": f"job-{number}",
        "model_used": "chat-fast",
        "prompt_tokens": 979,
        "completion_tokens": 951,
        "total_tokens": 1930,
        "cost_usd": Decimal("0.000717"),
        "latency_ms": 5344,
        "created_at": datetime(2026, 11, 1, 12, number, 5, 711576),
        "error": None,
        "model_group_used": "chat-fast",
        "resolved_model": "gpt-4o-mini",
        "input_cost_usd": None,
        "output_cost_usd": None,
        "provider_cost_usd": Decimal("0.00071712"),
        "client_cost_usd": None,
        "model_pricing_input": None,
        "model_pricing_output": None,
    }
    return row | changed


def transaction(number: int, **changed: Any) -> Row:
    row: Row = {
        "transaction_id": f"tx-{number}",
        "team_id": "team-a",
        "organization_id": "org-a",
        "job_id": f"job-{number}",
        "transaction_type": "deduction",
        "credits_amount": 1,
        "credits_before": 60 - number,
        "credits_after": 59 - number,
        "reason": "Job chat completed (job_based mode: 1 credits)",
        "created_at": datetime(2026, 11, 1, 12, number, 9),
    }
    return row | changed


def team(name: str, **changed: Any) -> Row:
    row: Row = {
        "team_id": name,
        "organization_id": "org-a",
        "credits_allocated": 60,
        "credits_used": 2,
        "credits_remaining": 58,
        "created_at": datetime(2026, 10, 1),
        "updated_at": datetime(2026, 10, 1),
        "credit_limit": None,
        "auto_refill": False,
        "refill_amount": None,
        "refill_period": None,
        "last_refill_at": None,
        "budget_mode": "job_based",
        "credits_per_dollar": Decimal("10.00"),
        "cost_markup_percentage": Decimal("25.00"),
        "status": "active",
        "tokens_per_credit": 10000,
    }
    return row | changed


def organization(key: str, **changed: Any) -> Row:
    row: Row = {
        "organization_id": key,
        "name": f"The {key}",
        "status": "active",
        "created_at": datetime(2026, 9, 1),
        "updated_at": datetime(2026, 9, 1),
    }
    return row | changed


def summary(number: int, **changed: Any) -> Row:
    row: Row = {
        "job_id": f"job-{number}",
        "total_calls": 1,
        "successful_calls": 1,
        "failed_calls": 0,
        "total_tokens": 1930,
        "total_cost_usd": Decimal("0.000000"),
        "avg_latency_ms": 5344,
        "total_duration_seconds": 9,
        "calculated_at": datetime(2026, 11, 1, 12, number, 10),
    }
    return row | changed


def alias(name: str, **changed: Any) -> Row:
    row: Row = {
        "model_alias": name,
        "display_name": name.title(),
        "provider": "openai",
        "actual_model": "gpt-4o-mini",
        "pricing_input": Decimal("0.150000"),
        "pricing_output": Decimal("0.600000"),
        "status": "active",
        "created_at": datetime(2026, 9, 1),
        "updated_at": None,
    }
    return row | changed


def small_platform() -> dict[str, list[Row]]:
    return {
        "jobs": [job(1), job(2, status="FAILED", error_message="Cancelled by user", completed_at=None)],
        "llm_calls": [call(1), call(2, error="", latency_ms=None, provider_cost_usd=None)],
        "job_cost_summaries": [summary(1)],
        "credit_transactions": [transaction(1)],
        "team_credits": [team("team-a"), team("team-b", organization_id="org-b")],
        "organizations": [organization("org-a"), organization("org-b")],
        "model_aliases": [alias("chat-fast")],
    }


# --- files -------------------------------------------------------------------------------------------------


def as_text(value: Any) -> str | None:
    """The way PostgreSQL's COPY and the tape write it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def csv_text(rows: list[Row], columns: list[str] | None = None) -> str:
    """NULL is an empty field, an empty string is a quoted one."""
    columns = columns or list(rows[0])

    def field(value: str | None) -> str:
        if value is None:
            return ""
        needs_quotes = value == "" or any(mark in value for mark in ',"\n\r')
        return '"' + value.replace('"', '""') + '"' if needs_quotes else value

    lines = [",".join(columns)]
    lines += [",".join(field(as_text(row[name])) for name in columns) for row in rows]
    return "\n".join(lines) + "\n"


def write_csv(folder: Path, platform: dict[str, list[Row]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in platform.items():
        columns = [column.name for column in table_called(name).columns]
        text = csv_text(rows, columns if not rows else list(rows[0]))
        (folder / f"{name}.csv").write_text(text, encoding="utf-8", newline="")
    return folder


def table_called(name: str) -> Table:
    return next(table for table in TABLES if table.name == name)


def land(source: Path, landing: Path, as_of: datetime = AS_OF) -> LandReport:
    return land_folder(source, landing, as_of=as_of, progress=SilentProgress())


def rows_of(landing: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(landing), read_only=True) as connection:
        return connection.execute(query).fetchall()


def everything(landing: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The ordered content of every table of the landing database, but for which files it was landed from."""
    names = rows_of(
        landing,
        "select schema_name, table_name from duckdb_tables() "
        "where table_name not like 'landed_file%' order by all",
    )
    return {f"{schema}.{name}": rows_of(landing, f"from {schema}.{name}") for schema, name in names}


def findings(landing: Path, columns: str = "rule, table_name, row_key, column_name, affected_rows") -> Any:
    return rows_of(landing, f"select {columns} from raw.landing_findings")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "source", small_platform())


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    return tmp_path / "data" / "landing.duckdb"


@pytest.fixture(scope="session")
def landed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small platform's landing, made once; tests get copies."""
    folder = tmp_path_factory.mktemp("landed")
    land(write_csv(folder / "source", small_platform()), folder / "landing.duckdb")
    return folder / "landing.duckdb"


@pytest.fixture
def refused(source: Path, landing: Path, landed_once: Path) -> Iterator[Callable[..., str]]:
    """Land a spoiled source over a good landing: the message; what was landed before must be untouched."""

    def refusal(*parts: str) -> str:
        with pytest.raises(LandError) as caught:
            land(source, landing, AS_OF + timedelta(days=1))
        message = str(caught.value)
        for part in parts:
            assert part in message
        # Nothing of the cause may follow in a traceback: DuckDB's own messages quote rows.
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return message

    landing.parent.mkdir()
    shutil.copy(landed_once, landing)
    yield refusal
    assert [path.name for path in landing.parent.iterdir()] == [landing.name]
    assert landing.read_bytes() == landed_once.read_bytes() or everything(landing) == everything(landed_once)


# --- what is landed ----------------------------------------------------------------------------------------


def test_the_tape_lands_whole(landing: Path) -> None:
    figures = json.loads((DEMO / "figures.json").read_text())
    report = land(DEMO, landing)
    assert {t.table_name: t.rows_landed for t in report.tables} == {
        table.name: figures["rows"][table.name] for table in TABLES
    }
    assert report.rows_read == report.rows_landed
    assert report.landing_number == 1
    assert findings(landing) == []
    assert rows_of(
        landing,
        "select sum(coalesce(provider_cost_usd, cost_usd, 0))::decimal(18, 4)::varchar, "
        "sum(client_cost_usd)::decimal(18, 4)::varchar, count(error), min(created_at), max(created_at) "
        "from raw.llm_calls",
    ) == [
        (
            figures["sum provider cost, coalesce(provider_cost_usd, cost_usd, 0)"],
            figures["sum client_cost_usd"],
            figures["calls failed (error not NULL)"],
            *(datetime.fromisoformat(t) for t in figures["llm_calls, first / last created_at"].split(" / ")),
        )
    ]
    keys = "select count(*) from raw.llm_calls where error like '%?key=[redacted]%'"
    assert rows_of(landing, keys) == [(figures["calls whose error text carries a key in a URL (key=)"],)]
    assert b"mock-gemini-key-not-real" not in landing.read_bytes()


def test_values_come_through_as_they_are(source: Path, landing: Path) -> None:
    land(source, landing)
    # An empty error text is a failed call, a null one is not.
    assert rows_of(landing, "from raw.llm_calls") == [
        (*call(1).values(), None),
        (*call(2, error="", latency_ms=None, provider_cost_usd=None).values(), None),
    ]
    assert rows_of(landing, "from raw.jobs") == [tuple(row.values()) for row in small_platform()["jobs"]]
    assert rows_of(landing, "from raw.team_usage_summaries") == []
    assert rows_of(landing, "from raw.landings") == [(1, AS_OF, "folder", True)]


def test_the_raw_schema_is_the_contract(source: Path, landing: Path) -> None:
    land(source, landing)
    for table in TABLES:
        described = rows_of(landing, f"select column_name, column_type from (describe raw.{table.name})")
        extra = [("unusable_columns", "VARCHAR")] if table.name == "llm_calls" else []
        assert [(name, kind.replace(",", ", ")) for name, kind in described] == [
            (column.name, column.sql_type.upper()) for column in table.columns
        ] + extra
    for history in HISTORIES:
        described = rows_of(landing, f"select column_name from (describe raw.{history.versions})")
        assert [name for (name,) in described] == list(history.columns)


@pytest.mark.parametrize("status", ["completed", "COMPLETED", "In_Progress", "a status nobody knows"])
def test_status_labels_pass_as_they_are(tmp_path: Path, landing: Path, status: str) -> None:
    platform = small_platform() | {"jobs": [job(1, status=status)]}
    land(write_csv(tmp_path / "source", platform), landing)
    assert rows_of(landing, "select status from raw.jobs") == [(status,)]


def test_an_older_platform_has_fewer_columns(tmp_path: Path, landing: Path) -> None:
    platform = small_platform()
    for name, rows in platform.items():
        kept = [column.name for column in table_called(name).columns if column.required]
        platform[name] = [{key: row[key] for key in kept} for row in rows]
    land(write_csv(tmp_path / "source", platform), landing)
    assert rows_of(landing, "select distinct provider_cost_usd, model_pricing_output from raw.llm_calls") == [
        (None, None)
    ]
    # Before there were mark-ups there was none; every other absent column is not known.
    assert rows_of(
        landing, "select distinct cost_markup_percentage, budget_mode, auto_refill from raw.team_credits"
    ) == [(Decimal(0), None, None)]


def test_a_mark_up_that_is_null_is_not_known(tmp_path: Path, landing: Path) -> None:
    platform = small_platform() | {"team_credits": [team("team-a", cost_markup_percentage=None)]}
    land(write_csv(tmp_path / "source", platform), landing)
    assert rows_of(landing, "select cost_markup_percentage from raw.team_credits") == [(None,)]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-01T12:00:05.711576", datetime(2026, 11, 1, 12, 0, 5, 711576)),
        ("2026-11-01 12:00:05", datetime(2026, 11, 1, 12, 0, 5)),
        ("2026-11-01T12:00:05Z", datetime(2026, 11, 1, 12, 0, 5)),
        ("2026-11-01 12:00:05+00", datetime(2026, 11, 1, 12, 0, 5)),
        ("2026-11-01T12:00:05+02:00", datetime(2026, 11, 1, 10, 0, 5)),
        ("2026-11-01 00:30:00-05:30", datetime(2026, 11, 1, 6, 0)),
        ("2026-11-01", datetime(2026, 11, 1)),
        ("0001-01-01", datetime(1, 1, 1)),
        ("9999-12-31 23:59:59.999999", datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Apia"])
def test_timestamps_become_utc(
    tmp_path: Path, landing: Path, monkeypatch: pytest.MonkeyPatch, text: str, instant: datetime, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    platform = small_platform() | {"jobs": [job(1, created_at=text)]}
    land(write_csv(tmp_path / "source", platform), landing)
    assert rows_of(landing, "select created_at from raw.jobs") == [(instant,)]


def test_columns_are_taken_by_name(source: Path, landing: Path, tmp_path: Path) -> None:
    land(source, landing)
    folder = tmp_path / "reversed"
    folder.mkdir()
    for name, rows in small_platform().items():
        more = [row | {"c0": "x", "select": 'a "quoted", text', "external_task_id": None} for row in rows]
        (folder / f"{name}.csv").write_text(csv_text(more, list(reversed(more[0]))))
    other = tmp_path / "other.duckdb"
    land(folder, other)
    assert everything(other) == everything(landing)


def write_parquet(folder: Path, platform: dict[str, list[Row]]) -> Path:
    folder.mkdir()
    for name, rows in platform.items():
        columns = {
            column.name: pa.array([row[column.name] for row in rows], ARROW_TYPES[column.kind])
            for column in table_called(name).columns
        }
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


ARROW_TYPES = {
    "text": pa.string(),
    "integer": pa.int32(),
    "decimal": pa.decimal128(12, 8),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}


def test_csv_gz_and_parquet_land_the_same(source: Path, landing: Path, tmp_path: Path) -> None:
    land(source, landing)
    packed = tmp_path / "packed"
    packed.mkdir()
    for path in source.iterdir():
        (packed / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    land(packed, tmp_path / "gz.duckdb")
    land(write_parquet(tmp_path / "parquet", small_platform()), tmp_path / "parquet.duckdb")
    assert everything(tmp_path / "gz.duckdb") == everything(landing)
    assert everything(tmp_path / "parquet.duckdb") == everything(landing)


def test_other_parquet_types_are_read_exactly(source: Path, landing: Path) -> None:
    """What pandas and others make of the columns: floats for integers with nulls, zones, nanoseconds."""
    (source / "llm_calls.csv").unlink()
    rows = [call(1), call(2, latency_ms=None)]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    zone = timezone(timedelta(hours=2))
    columns |= {
        "latency_ms": pa.array([5344.0, None], pa.float64()),
        "prompt_tokens": pa.array([2**40, 7], pa.uint64()),
        "provider_cost_usd": pa.array([0.1, 1.5e-7], pa.float64()),
        "client_cost_usd": pa.array([0.1, float("nan")], pa.float32()),
        "created_at": pa.array(
            [datetime(2026, 11, 1, 2, tzinfo=zone)] * 2, pa.timestamp("ns", "Europe/Berlin")
        ),
        "model_used": pa.array(["a", "b"]).dictionary_encode(),
        "error": pa.nulls(2),
    }
    pq.write_table(pa.table(columns), source / "llm_calls.parquet")
    land(source, landing)
    assert rows_of(
        landing,
        "select latency_ms, prompt_tokens, provider_cost_usd, client_cost_usd, created_at, model_used, "
        "error, unusable_columns from raw.llm_calls",
    ) == [
        (5344, 2**40, Decimal("0.1"), Decimal("0.1"), datetime(2026, 11, 1), "a", None, None),
        (None, 7, Decimal("0.00000015"), None, datetime(2026, 11, 1), "b", None, "client_cost_usd"),
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_parquet_timestamps_of_every_unit_become_utc(
    source: Path, landing: Path, unit: str, zone: str | None
) -> None:
    (source / "jobs.csv").unlink()
    columns = {name: [value] for name, value in job(1).items()}
    instant = datetime(2026, 11, 1, 12, tzinfo=UTC if zone else None)
    columns["created_at"] = pa.array([instant], pa.timestamp(unit, zone))
    pq.write_table(pa.table(columns), source / "jobs.parquet")
    land(source, landing)
    assert rows_of(landing, "select created_at from raw.jobs") == [(datetime(2026, 11, 1, 12),)]


def test_a_table_may_be_a_folder_of_files(source: Path, landing: Path, tmp_path: Path) -> None:
    platform = small_platform()
    land(source, landing)
    (source / "jobs.csv").unlink()
    # A folder name that DuckDB would read as a partition, and as a pattern.
    moved = tmp_path / "day=1 [x]*"
    source.rename(moved)
    (moved / "jobs").mkdir()
    (moved / "jobs" / "b.csv").write_text(csv_text(platform["jobs"][:1]))
    (moved / "jobs" / "a.csv.gz").write_bytes(gzip.compress(csv_text(platform["jobs"][1:]).encode()))
    (moved / "jobs" / "_SUCCESS").touch()
    (moved / "jobs" / "c.csv").write_text(csv_text([], list(platform["jobs"][0])))
    land(moved, tmp_path / "other.duckdb")
    assert everything(tmp_path / "other.duckdb") == everything(landing)


def test_line_ends_marks_and_text_of_any_kind(source: Path, landing: Path) -> None:
    texts = [
        "a,b",
        'say "x"',
        "line\r\nbreak",
        "<b>",
        "%_",
        "日本",
        " spaces ",
        "'; drop table jobs; --",
        "NULL",
    ]
    rows = [job(n, user_id=text) for n, text in enumerate(texts, start=1)]
    text = "\ufeff" + csv_text(rows).replace("line\r\nbreak", "LINE").replace("\n", "\r\n").replace(
        "LINE", '"line\r\nbreak"'
    )
    (source / "jobs.csv").write_text(text.replace('""line', '"line').replace('break""', 'break"'), newline="")
    land(source, landing)
    assert rows_of(landing, "select user_id from raw.jobs order by created_at") == [(text,) for text in texts]


def test_landing_twice_is_landing_once(source: Path, landing: Path) -> None:
    land(source, landing)
    once = everything(landing)
    assert land(source, landing).landing_number == 2
    twice = everything(landing)
    assert twice.pop("raw.landings") == [(1, AS_OF, "folder", True), (2, AS_OF, "folder", True)]
    once.pop("raw.landings")
    assert twice == once
    assert all(name.startswith("raw.") for name in twice)


def test_rows_in_another_order_land_the_same(tmp_path: Path, landing: Path) -> None:
    platform = small_platform() | {"jobs": [job(n) for n in range(40)] + [job(3, status="FAILED")] * 2}
    land(write_csv(tmp_path / "one", platform), landing)
    platform = {name: rows[::-1] for name, rows in platform.items()}
    land(write_csv(tmp_path / "two", platform), tmp_path / "other.duckdb")
    assert everything(tmp_path / "other.duckdb") == everything(landing)


# --- duplicates and numbers --------------------------------------------------------------------------------


def landed_duplicates(tmp_path: Path, landing: Path, **tables: list[Row]) -> LandReport:
    return land(write_csv(tmp_path / "source", small_platform() | tables), landing)


def test_equal_rows_are_one_row(tmp_path: Path, landing: Path) -> None:
    report = landed_duplicates(tmp_path, landing, jobs=[job(1), job(2), job(1), job(1)])
    counts = report.tables[0]
    assert (counts.rows_read, counts.exact_duplicate_rows, counts.conflicting_duplicate_rows) == (4, 2, 0)
    assert counts.rows_landed == 2
    assert findings(landing) == [("exact_duplicate", "jobs", "job-1", None, 2)]


def test_of_conflicting_rows_the_latest_is_kept(tmp_path: Path, landing: Path) -> None:
    early = job(1, status="IN_PROGRESS", completed_at=None)
    late = job(1)
    report = landed_duplicates(tmp_path, landing, jobs=[late, early, early])
    counts = report.tables[0]
    assert (counts.rows_read, counts.exact_duplicate_rows, counts.conflicting_duplicate_rows) == (3, 1, 1)
    assert rows_of(landing, "from raw.jobs") == [tuple(late.values())]
    assert findings(landing) == [
        ("exact_duplicate", "jobs", "job-1", None, 1),
        ("conflicting_duplicate", "jobs", "job-1", None, 1),
    ]
    detail = "rows of one key differ in status, completed_at: the latest is kept"
    assert findings(landing, "row_created_at, detail")[1] == (late["created_at"], detail)


def test_of_rows_of_the_same_time_the_larger_content_is_kept(tmp_path: Path, landing: Path) -> None:
    landed_duplicates(
        tmp_path,
        landing,
        llm_calls=[
            call(1),
            call(1, prompt_tokens=99),
            call(1, prompt_tokens=100),
            call(1, error="zzz-secret-text"),
        ],
        team_credits=[team("team-a", updated_at=None, created_at=None), team("team-a"), team("team-b")],
    )
    assert rows_of(landing, "select prompt_tokens from raw.llm_calls") == [(99,)]
    # A row without any time is older than one with.
    assert rows_of(landing, "select created_at from raw.team_credits where team_id = 'team-a'") == [
        (datetime(2026, 10, 1),)
    ]
    details = " ".join(detail for (detail,) in findings(landing, "detail"))
    assert "prompt_tokens, error" in details
    assert "zzz" not in details


def test_numbers_that_no_decimal_holds_are_named(tmp_path: Path, landing: Path) -> None:
    platform = {
        "llm_calls": [
            call(1, provider_cost_usd="NaN", cost_usd="-Infinity", client_cost_usd="1e30"),
            call(2, cost_usd="99999999999999999999.99999999", provider_cost_usd="1e-3", client_cost_usd=".5"),
            call(3, prompt_tokens=2**40, cost_usd="-4.25"),
        ],
        "job_cost_summaries": [summary(1, total_cost_usd="inf")],
    }
    report = landed_duplicates(tmp_path, landing, **platform)
    columns = "select cost_usd, provider_cost_usd, client_cost_usd, prompt_tokens, unusable_columns"
    assert rows_of(landing, f"{columns} from raw.llm_calls") == [
        (None, None, None, 979, "cost_usd,provider_cost_usd,client_cost_usd"),
        (Decimal("99999999999999999999.99999999"), Decimal("0.001"), Decimal("0.5"), 979, None),
        (Decimal("-4.25"), Decimal("0.00071712"), None, 2**40, None),
    ]
    assert rows_of(landing, "select total_cost_usd from raw.job_cost_summaries") == [(None,)]
    assert findings(landing, "table_name, row_key, column_name, detail, affected_rows") == [
        ("llm_calls", "call-1", "cost_usd", "-Infinity", 1),
        ("llm_calls", "call-1", "provider_cost_usd", "NaN", 1),
        ("llm_calls", "call-1", "client_cost_usd", "1e30", 1),
        ("job_cost_summaries", "job-1", "total_cost_usd", "inf", 1),
    ]
    assert report.unusable_numbers == 4


# --- what is refused: values -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "row", "column", "problem"),
    [
        ("llm_calls", call(2, prompt_tokens="5.7"), "prompt_tokens", "'5.7' is not a whole number"),
        ("llm_calls", call(2, latency_ms="1e3"), "latency_ms", "'1e3' is not a whole number"),
        ("llm_calls", call(2, latency_ms="99999999999999999999"), "latency_ms", "is not a whole number"),
        ("llm_calls", call(2, latency_ms="NaN"), "latency_ms", "'NaN' is not a whole number"),
        ("llm_calls", call(2, latency_ms="0x10"), "latency_ms", "is not a whole number"),
        ("llm_calls", call(2, latency_ms=""), "latency_ms", "'' is not a whole number"),
        ("llm_calls", call(2, cost_usd="1,5"), "cost_usd", "'1,5' is not a number"),
        ("llm_calls", call(2, cost_usd="free"), "cost_usd", "'free' is not a number"),
        ("llm_calls", call(2, cost_usd="1_000"), "cost_usd", "'1_000' is not a number"),
        ("llm_calls", call(2, call_id=None), "call_id", "the field is empty but must not be"),
        ("jobs", job(2, created_at="26/11/2026"), "created_at", "'26/11/2026' is not a timestamp"),
        ("jobs", job(2, created_at="2026-02-30"), "created_at", "is not a timestamp"),
        ("jobs", job(2, created_at="infinity"), "created_at", "is not a timestamp"),
        ("jobs", job(2, completed_at="10000-01-01"), "completed_at", "lies outside the years 1 to 9999"),
        ("jobs", job(2, completed_at="0000-01-01"), "completed_at", "lies outside the years 1 to 9999"),
        ("jobs", job(2, created_at=None), "created_at", "the field is empty but must not be"),
        ("jobs", job(2, team_id=None), "team_id", "the field is empty but must not be"),
        ("jobs", job(2, credit_applied="maybe"), "credit_applied", "'maybe' is not true or false"),
        ("jobs", job(2, user_id="a\0b"), "user_id", r"'a\x00b' holds a NUL character"),
        ("jobs", job(2, job_id=None), "job_id", "the field is empty but must not be"),
        ("credit_transactions", transaction(2, credits_amount=None), "credits_amount", "must not be"),
        (
            "team_credits",
            team("t", cost_markup_percentage="ten"),
            "cost_markup_percentage",
            "is not a number",
        ),
    ],
)
def test_a_bad_value_is_named(
    source: Path, refused: Callable[..., str], table: str, row: Row, column: str, problem: str
) -> None:
    good = small_platform()[table][:1]
    (source / f"{table}.csv").write_text(csv_text([*good, row]))
    refused(
        f"{table}: ",
        f"{table}.csv",
        f"data row 2, column {column}: ",
        problem,
        "Nothing was landed",
        "export",
    )


def test_only_the_first_bad_values_are_shown(source: Path, refused: Callable[..., str]) -> None:
    rows = [call(n % 50, latency_ms="slow sk-abc123") for n in range(7)]
    (source / "llm_calls.csv").write_text(csv_text([call(1), *rows]))
    message = refused("data row 2, ", "data row 6, ", "and 2 more", "'slow [redacted]'")
    assert "data row 7" not in message
    assert "abc123" not in message


def test_the_row_number_is_right_in_a_long_file(source: Path, refused: Callable[..., str]) -> None:
    rows = [job(1, job_id=f"j{n}", error_message="two\nlines") for n in range(30_000)]
    rows[27_345]["completed_at"] = "yesterday"
    (source / "jobs.csv").write_text(csv_text(rows))
    refused("data row 27346, column completed_at: 'yesterday'")


def test_a_bad_value_in_parquet_is_named(source: Path, refused: Callable[..., str]) -> None:
    (source / "jobs.csv").unlink()
    rows = [job(1), job(2, user_id="a\0b")]
    pq.write_table(pa.table({name: [row[name] for row in rows] for name in rows[0]}), source / "jobs.parquet")
    refused("jobs.parquet", "data row 2, column user_id", "NUL")


def test_a_fraction_in_parquet_is_not_rounded(source: Path, refused: Callable[..., str]) -> None:
    (source / "llm_calls.csv").unlink()
    columns = {name: [value] for name, value in call(1).items()} | {"latency_ms": [5.7]}
    pq.write_table(pa.table(columns), source / "llm_calls.parquet")
    refused("data row 1, column latency_ms: '5.7' is not a whole number")


# --- what is refused: files --------------------------------------------------------------------------------


def spoiled_csv(jobs: bytes) -> dict[str, tuple[bytes, list[str]]]:
    first, _, rest = jobs.partition(b"\n")
    return {
        "empty": (b"", ["is empty", "header"]),
        "blank": (b"\n", ["begins with an empty line"]),
        "no final line end": (jobs[:-1], ["ends in the middle of a row"]),
        "cut in a row": (jobs[:-30], ["ends in the middle of a row"]),
        "last row short": (jobs + b"job-9,team-a\n", ["data row 3 has only 2 columns, the header has 11"]),
        "row too long": (jobs + b"x," * 20 + b"x\n", ["data row 3 has more columns, the header has 11"]),
        "open quote": (jobs + b'job-9,"team-a\n', ['has a quote (") that is never closed']),
        "text after quote": (jobs.replace(b"u1", b'"u"1'), ["data row 1 has a quote"]),
        "semicolons": (jobs.replace(b",", b";"), ["';'", "Export it with commas"]),
        "tabs": (jobs.replace(b",", b"\t"), [r"'\t'", "Export it with commas"]),
        "column twice": (first.replace(b"user_id", b"TEAM_ID") + b"\n" + rest, ["more than once: 'team_id'"]),
        "no header": (rest, ["has no column job_id, team_id", "header line missing?"]),
        "not utf-8": (jobs.replace(b"u1", b"\xff\xfe", 1), ["is not UTF-8: line 2"]),
        "utf-8 cut": (jobs + b"\xe2", ["ends in the middle of a row"]),
        "utf-16": (jobs.decode().encode("utf-16"), ["is not UTF-8"]),
        "zeros": (jobs[:-40] + b"\0" * 39 + b"\n", ["jobs.csv"]),
        "line ends of two kinds": (jobs.replace(b"\n", b"\r\n", 1), ["is not regular CSV"]),
    }


@pytest.mark.parametrize("kind", spoiled_csv(b"a,b\n1,2\n"))
def test_a_half_written_csv_is_refused(source: Path, refused: Callable[..., str], kind: str) -> None:
    content, parts = spoiled_csv((source / "jobs.csv").read_bytes())[kind]
    (source / "jobs.csv").write_bytes(content)
    refused(f"jobs: {source / 'jobs.csv'}", *parts)


def test_a_nul_byte_outside_the_landed_columns_is_refused(source: Path, refused: Callable[..., str]) -> None:
    rows = [row | {"request_data": "x\0y"} for row in small_platform()["llm_calls"]]
    (source / "llm_calls.csv").write_text(csv_text(rows))
    refused("llm_calls.csv holds a NUL byte in line 2", "export")


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_gz_that_ends_early_is_refused(source: Path, refused: Callable[..., str], kept: float) -> None:
    packed = gzip.compress((source / "jobs.csv").read_bytes())
    (source / "jobs.csv").unlink()
    (source / "jobs.csv.gz").write_bytes(packed[: int(len(packed) * kept)])
    refused("jobs.csv.gz ends early", "Export the table again")


def test_a_gz_that_is_none_is_refused(source: Path, refused: Callable[..., str]) -> None:
    (source / "jobs.csv").rename(source / "jobs.csv.gz")
    refused("jobs.csv.gz is damaged or not compressed by gzip")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PAR1" + b"x" * 90 + b"PAR1"])
def test_a_parquet_that_is_none_is_refused(source: Path, refused: Callable[..., str], content: bytes) -> None:
    (source / "jobs.csv").unlink()
    (source / "jobs.parquet").write_bytes(content)
    refused("jobs.parquet is not a whole Parquet file", "Export the table again")


def test_no_message_quotes_a_row(source: Path, refused: Callable[..., str]) -> None:
    text = csv_text([row | {"request_data": "MARKER"} for row in small_platform()["llm_calls"]])
    (source / "llm_calls.csv").write_text(text + "MARKER,2\n")
    assert "MARKER" not in refused("data row 3 has only 2 columns")


def test_a_file_that_grows_while_it_is_read_is_refused(source: Path, landing: Path) -> None:
    class Exporter:
        """Another program that is still writing: it adds a row as soon as jobs.csv has been looked at."""

        @contextmanager
        def stage(self, name: str, total: int | None) -> Iterator[Any]:
            done = False

            def advance(n: int = 1, detail: str = "") -> None:
                nonlocal done
                if n and not done:
                    done = True
                    with (source / "jobs.csv").open("a") as file:
                        file.write(csv_text([job(9)]).splitlines()[1] + "\n")

            yield advance

    with pytest.raises(LandError, match=r"jobs\.csv was changed while it was read"):
        land_folder(source, landing, as_of=AS_OF, progress=Exporter())
    assert everything(landing) == {}


# --- what is refused: the folder ---------------------------------------------------------------------------


def test_every_missing_table_is_named(source: Path, refused: Callable[..., str]) -> None:
    (source / "jobs.csv").unlink()
    (source / "model_aliases.csv").unlink()
    refused("no file for: jobs, model_aliases", str(source))


def test_every_missing_column_is_named(source: Path, refused: Callable[..., str]) -> None:
    for name, gone in (("jobs", ("status", "started_at")), ("llm_calls", ("error",))):
        rows = [{k: v for k, v in row.items() if k not in gone} for row in small_platform()[name]]
        (source / f"{name}.csv").write_text(csv_text(rows))
    refused("jobs.csv has no column status, started_at", "llm_calls.csv has no column error")


def test_two_forms_of_one_table_are_refused(source: Path, refused: Callable[..., str]) -> None:
    (source / "jobs.parquet").write_bytes(b"")
    refused(str(source / "jobs.csv"), str(source / "jobs.parquet"), "keep one")


def test_a_table_folder_without_files_is_refused(source: Path, refused: Callable[..., str]) -> None:
    (source / "jobs.csv").unlink()
    (source / "jobs").mkdir()
    refused("jobs: the folder", "holds no .csv")
    (source / "jobs" / "2026").mkdir()
    refused("holds a folder of its own, 2026")


def test_a_source_without_activity_is_refused(source: Path, refused: Callable[..., str]) -> None:
    for name in ("jobs", "llm_calls", "credit_transactions"):
        write_csv(source, {name: []})
    refused("The source is empty", str(source))


def test_jobs_that_vanish_are_refused(source: Path, refused: Callable[..., str]) -> None:
    write_csv(source, {"jobs": []})
    refused("jobs in", "has no rows, the last landing had 2")


def test_no_source_creates_nothing(tmp_path: Path, landing: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    (tmp_path / "file").touch()
    for name, part in (
        ("absent", "does not exist"),
        ("empty", "is empty"),
        ("file", "is a file"),
        ("other", "holds none of the platform's tables"),
    ):
        with pytest.raises(LandError, match=part):
            land(tmp_path / name, landing)
    assert not landing.parent.exists()


def test_a_refused_first_landing_leaves_no_tables(source: Path, landing: Path) -> None:
    (source / "team_credits.csv").write_text(csv_text([team("t", credits_used="many")]))
    with pytest.raises(LandError, match="credits_used"):
        land(source, landing)
    assert everything(landing) == {}
    write_csv(source, small_platform())
    assert land(source, landing).landing_number == 1


# --- the landing database ----------------------------------------------------------------------------------


def test_a_damaged_landing_database_is_named(source: Path, landing: Path) -> None:
    landing.parent.mkdir()
    landing.write_bytes(b"garbage" * 1000)
    with pytest.raises(LandError, match=r"landing\.duckdb cannot be opened: it is damaged.*move it away"):
        land(source, landing)
    assert landing.read_bytes() == b"garbage" * 1000
    landing.unlink()
    landing.mkdir()
    with pytest.raises(LandError, match=r"cannot be opened: .*directory"):
        land(source, landing)


def test_a_locked_landing_database_is_busy(source: Path, landing: Path) -> None:
    land(source, landing)
    hold = (
        f"import duckdb, sys; c = duckdb.connect({str(landing)!r}); "
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LandError, match="open in another process") as caught:
            land(source, landing)
        holder.communicate()
    assert isinstance(caught.value, Busy)
    assert caught.value.exit_code == 75


def test_a_landing_path_that_cannot_be_is_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LandError, match="cannot be created"):
        land(source, tmp_path / "file" / "landing.duckdb")


def test_as_of_has_no_zone(source: Path, landing: Path) -> None:
    with pytest.raises(ValueError, match="naive"):
        land(source, landing, datetime(2026, 11, 23, tzinfo=UTC))


# --- secrets -----------------------------------------------------------------------------------------------


def test_no_planted_marker_reaches_the_disk(tmp_path: Path, landing: Path) -> None:
    secrets = [
        "for url 'https://g.example/v1?key=PLANTED-1'",
        "Incorrect API key provided: sk-PLANTED-2",
        "Authorization: Bearer PLANTED3abcdefgh.x",
        "postgresql://app:PLANTED-4@db/x",
        "api_key=PLANTED-5&x=1",
        "id PLANTED6" + "0" * 24,
    ]
    platform = small_platform()
    platform["jobs"] = [job(n, error_message=text, status="FAILED") for n, text in enumerate(secrets)]
    platform["llm_calls"] = [call(n, error=text) for n, text in enumerate(secrets)]
    # A repeated key and a bad number go through findings as well.
    platform["llm_calls"].append(call(0, error="again sk-PLANTED-7", cost_usd="NaN"))
    platform["credit_transactions"] = [transaction(n, reason=text) for n, text in enumerate(secrets)]
    for name, columns in FORBIDDEN.items():
        extra = {column: f"PLANTED in {column}, " + "x" * 500 for column in columns}
        platform[name] = [row | extra for row in platform[name]]
    source = write_csv(tmp_path / "source", platform)
    land(source, landing)
    # The second time the first landing's blocks are freed, not cleared.
    land(source, landing, AS_OF + timedelta(days=1))
    written = [path for path in landing.parent.rglob("*") if path.is_file()]
    assert written == [landing]
    assert b"PLANTED" not in landing.read_bytes()
    assert rows_of(landing, "select count(*) from raw.jobs where error_message like '%[redacted]%'") == [(6,)]
    with duckdb.connect(str(landing), read_only=True) as connection:
        names = connection.execute("select column_name from duckdb_columns() where not internal").fetchall()
    assert not {name for (name,) in names} & {"virtual_key", "request_data", "response_data", "job_metadata"}


# --- history -----------------------------------------------------------------------------------------------

DAYS = [datetime(2026, 11, day) for day in (20, 21, 22, 23, 24)]
EVER = datetime(1, 1, 1)


class Nights:
    """Landings of the small platform on following days, with other teams each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.landing = folder / "landing.duckdb"
        self.count = 0

    def land(self, as_of: datetime, teams: list[Row], organizations: list[Row] | None = None) -> None:
        self.count += 1
        platform = small_platform() | {"team_credits": teams}
        platform["organizations"] = organizations or platform["organizations"]
        land(write_csv(self.folder / f"night-{self.count}", platform), self.landing, as_of)

    def versions(self, columns: str = "team_id, status, valid_from, missing_since") -> list[tuple[Any, ...]]:
        return rows_of(self.landing, f"select {columns} from raw.team_versions")


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path)


def test_a_change_holds_since_its_update_when_that_can_be(nights: Nights) -> None:
    inside = DAYS[0] + timedelta(hours=7)
    nights.land(DAYS[0], [team("a"), team("b"), team("c"), team("d")])
    nights.land(
        DAYS[1],
        [
            team("a", status="suspended", updated_at=inside),
            team("b", status="suspended"),  # updated_at before the last landing: not believed
            team(
                "c", status="suspended", updated_at=DAYS[1] + timedelta(seconds=1)
            ),  # after this one: nor that
            team("d", status="suspended", updated_at=None),
        ],
    )
    assert nights.versions() == [
        ("a", "active", EVER, None),
        ("a", "suspended", inside, None),
        ("b", "active", EVER, None),
        ("b", "suspended", DAYS[1], None),
        ("c", "active", EVER, None),
        ("c", "suspended", DAYS[1], None),
        ("d", "active", EVER, None),
        ("d", "suspended", DAYS[1], None),
    ]


def test_the_window_of_an_update_is_open_at_its_start(nights: Nights) -> None:
    nights.land(DAYS[0], [team("a"), team("b")])
    nights.land(
        DAYS[1],
        [
            team("a", status="x", updated_at=DAYS[0]),
            team("b", status="x", updated_at=DAYS[1]),
        ],
    )
    assert [row[2] for row in nights.versions() if row[1] == "x"] == [DAYS[1], DAYS[1]]


def test_only_tracked_attributes_make_versions(nights: Nights) -> None:
    nights.land(DAYS[0], [team("a")])
    nights.land(DAYS[1], [team("a", credits_used=50, credits_remaining=10, updated_at=DAYS[1])])
    assert nights.versions() == [("a", "active", EVER, None)]
    nights.land(DAYS[2], [team("a", cost_markup_percentage=None)])
    assert nights.versions("cost_markup_percentage, valid_from") == [(Decimal(25), EVER), (None, DAYS[2])]
    nights.land(DAYS[3], [team("a", cost_markup_percentage=None)])
    assert len(nights.versions()) == 2


def test_a_deleted_team_is_missing_since_the_landing(nights: Nights) -> None:
    nights.land(DAYS[0], [team("a"), team("b")])
    nights.land(DAYS[1], [team("a")])
    nights.land(DAYS[2], [team("a")])
    assert nights.versions() == [("a", "active", EVER, None), ("b", "active", EVER, DAYS[1])]


def test_a_team_that_returns_unchanged_was_never_away(nights: Nights) -> None:
    nights.land(DAYS[0], [team("a"), team("b")])
    nights.land(DAYS[1], [team("a")])
    nights.land(DAYS[2], [team("a"), team("b", updated_at=DAYS[2])])
    assert nights.versions() == [("a", "active", EVER, None), ("b", "active", EVER, None)]


def test_a_team_that_returns_elsewhere_is_a_new_version(nights: Nights) -> None:
    back = DAYS[1] + timedelta(hours=5)
    nights.land(DAYS[0], [team("a"), team("b")])
    nights.land(DAYS[1], [team("a")])
    nights.land(DAYS[2], [team("a"), team("b", organization_id="org-b", updated_at=back)])
    columns = "team_id, organization_id, valid_from, missing_since"
    assert nights.versions(columns)[1:] == [
        ("b", "org-a", EVER, DAYS[1]),
        ("b", "org-b", back, None),
    ]
    nights.land(DAYS[3], [team("a")])
    assert nights.versions(columns)[1:] == [("b", "org-a", EVER, DAYS[1]), ("b", "org-b", back, DAYS[3])]


def test_a_landing_of_the_same_as_of_replaces_its_own_versions(nights: Nights) -> None:
    nights.land(DAYS[0], [team("a")])
    nights.land(DAYS[1], [team("a", status="suspended")])
    before = nights.versions()
    nights.land(DAYS[1], [team("a", status="suspended")])
    assert nights.versions() == before
    nights.land(DAYS[1], [team("a", status="paused")])
    assert nights.versions() == [("a", "active", EVER, None), ("a", "paused", DAYS[1], None)]
    # An earlier as_of cannot begin before what is known.
    nights.land(DAYS[0], [team("a", status="gone back")])
    assert nights.versions() == [("a", "active", EVER, None), ("a", "gone back", DAYS[1], None)]


def test_a_new_team_holds_since_ever(nights: Nights) -> None:
    nights.land(DAYS[0], [team("b")])
    nights.land(DAYS[1], [team("a", updated_at=DAYS[1]), team("b")])
    assert nights.versions() == [("a", "active", EVER, None), ("b", "active", EVER, None)]


def test_organizations_have_versions_too(nights: Nights) -> None:
    nights.land(DAYS[0], [team("a")], [organization("org-a"), organization("org-b")])
    nights.land(DAYS[1], [team("a")], [organization("org-a", name="Renamed", updated_at=DAYS[1])])
    assert rows_of(nights.landing, "from raw.organization_versions") == [
        ("org-a", "The org-a", "active", EVER, None),
        ("org-a", "Renamed", "active", DAYS[1], None),
        ("org-b", "The org-b", "active", EVER, DAYS[1]),
    ]


def test_a_refused_landing_leaves_the_history(nights: Nights) -> None:
    nights.land(DAYS[0], [team("a")])
    before = everything(nights.landing)
    with pytest.raises(LandError):
        nights.land(DAYS[1], [team("a", status="suspended"), team("b", tokens_per_credit="many")])
    assert everything(nights.landing) == before


# --- progress ----------------------------------------------------------------------------------------------


def test_progress_ends_where_it_said(source: Path, landing: Path) -> None:
    """The amounts add up to the total that the stage was begun with."""
    seen: list[int] = []
    details: list[str] = []
    totals: list[int | None] = []

    class Recorder:
        @contextmanager
        def stage(self, name: str, total: int | None) -> Iterator[Any]:
            totals.append(total)

            def advance(n: int = 1, detail: str = "") -> None:
                seen.append(n)
                details.append(detail)

            yield advance

    land_folder(source, landing, as_of=AS_OF, progress=Recorder())
    assert totals == [sum(seen)]
    assert [name for name in dict.fromkeys(details) if name] == [
        table.name for table in TABLES if table.required
    ]


def test_the_tests_read_csv_as_others_do() -> None:
    """The writer of these tests agrees with Python's csv module on everything but null and empty."""
    rows = [job(1, user_id='a "b", c'), job(2, user_id="two\nlines")]
    read = list(csv.DictReader(csv_text(rows).splitlines(keepends=True)))
    assert [row["user_id"] for row in read] == [row["user_id"] for row in rows]
    assert date.fromisoformat(read[0]["created_at"][:10]) == date(2026, 11, 1)
