"""A folder of which some files changed: what is read of it, and that it lands as if all of it had been."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows import landed_files, landing_folder
from flows.failpoints import FailpointReached
from flows.land import DayRange, LandError, LandReport, land
from flows.progress import SilentProgress
from tests.changing_platform import ChangingPlatform, Raw, at, day_of, key, landed

# What a landing from files must come to, whatever was landed before.
OF_THE_FILES = (
    "jobs", "llm_calls", "job_cost_summaries", "credit_transactions", "landing_findings", "landed_tables",
    "keys_of_several_days",
)  # fmt: skip


class Files:
    """A platform whose tables of days lie in one file a day, and the landings of it."""

    def __init__(self, folder: Path, *, suffix: str = "parquet") -> None:
        self.folder = folder / "source"
        self.landing = folder / "landing.duckdb"
        self.suffix = suffix
        self.clock = at(9)
        platform = ChangingPlatform()
        platform.team("team-a")
        for day in range(5):
            platform.job(day, at(day))
            platform.charge(day, day, at(day, 13))
            platform.call(day, day, at(day, 13))
            platform.call(day + 10, day, at(day, 23.9))
            platform.summary(day, at(day, 14))
        platform.write_folder(self.folder)
        for table, clock in (("jobs", "created_at"), ("llm_calls", "created_at")):
            rows = platform.rows[table].values()
            (self.folder / f"{table}.csv").unlink()
            (self.folder / table).mkdir()
            for day in range(5):
                self.write(table, str(day), [row for row in rows if row[clock].date() == day_of(day)])

    def path(self, table: str, name: str) -> Path:
        return self.folder / table / f"{name}.{self.suffix}"

    def write(self, table: str, name: str, rows: list[dict[str, Any]]) -> None:
        """The file, of these rows; another file than the one before, as an export writes it."""
        from flows.source_schema import TABLES

        columns = next(one for one in TABLES if one.name == table).columns
        path = self.path(table, name)
        with duckdb.connect() as connection:
            connection.execute(
                f"create table t ({', '.join(f'{column.name} {column.sql_type}' for column in columns)})"
            )
            for row in rows:
                marks = ", ".join("?" for _ in columns)
                connection.execute(f"insert into t values ({marks})", [row.get(c.name) for c in columns])
            form = "format parquet" if self.suffix == "parquet" else "format csv, header"
            connection.execute(f"copy t to '{path}.new' ({form})")
        os.replace(f"{path}.new", path)

    def rows(self, table: str, name: str) -> list[dict[str, Any]]:
        with duckdb.connect() as connection:
            reader = f"read_{self.suffix}('{self.path(table, name)}')"
            found = connection.execute(f"from {reader}")
            columns = [column[0] for column in found.description]
            return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

    def land(self, **options: Any) -> LandReport:
        self.clock += timedelta(hours=1)
        given: dict[str, Any] = {"as_of": self.clock, "accept_deletes": True} | options
        return land(self.folder, self.landing, progress=SilentProgress(), **given)

    def raw(self) -> Raw:
        return of_the_files(self.landing)

    def anew(self) -> Raw:
        """What a first landing of the folder as it is holds."""
        path = self.landing.with_name("anew.duckdb")
        path.unlink(missing_ok=True)
        land(self.folder, path, as_of=at(9), progress=SilentProgress())
        return of_the_files(path)


def of_the_files(path: Path) -> Raw:
    raw = landed(path)
    return {name: raw[name] for name in OF_THE_FILES}


@pytest.fixture(autouse=True)
def no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files may be known as soon as they are written: no test writes one twice within a tick."""
    monkeypatch.setattr(landed_files, "_TICK_NS", 0)


@pytest.fixture(params=["parquet", "csv"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    found = Files(tmp_path, suffix=request.param)
    found.land()
    return found


def size(*paths: Path) -> int:
    return sum(path.stat().st_size for path in paths)


# --- what is read ------------------------------------------------------------------------------------------


def test_files_that_are_the_same_are_not_read(files: Files) -> None:
    report = files.land()
    assert (report.bytes_read, report.days_copied, report.touched_days) == (0, 0, ())
    assert report.is_full_comparison
    assert files.raw() == files.anew()


def test_a_file_that_was_touched_is_read_and_changes_nothing(files: Files) -> None:
    before = landed(files.landing)["landed_days"]
    path = files.path("llm_calls", "2")
    os.utime(path, ns=(1, 1))
    report = files.land()
    assert report.bytes_read == size(path)
    assert (report.days_copied, report.touched_days) == (1, ())
    assert landed(files.landing)["landed_days"] == before
    assert files.land().bytes_read == 0


def test_a_file_of_the_same_size_and_time_is_another_one(files: Files) -> None:
    path = files.path("llm_calls", "2")
    status = path.stat()
    rows = files.rows("llm_calls", "2")
    files.write("llm_calls", "2", [row | {"prompt_tokens": 7} for row in rows])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert set(files.land().touched_days) == {day_of(2)}
    assert files.raw() == files.anew()


def test_a_parquet_file_that_lies_elsewhere_is_the_same(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.land()
    moved = tmp_path / "moved"
    shutil.copytree(files.folder, moved)
    files.folder = moved
    tables = sum(path.stat().st_size for path in moved.glob("*.csv"))
    assert files.land().bytes_read == tables


def test_a_file_written_just_now_is_read_again(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landed_files, "_TICK_NS", 3600 * 10**9)
    path = files.path("jobs", "1")
    os.utime(path)
    for _ in range(2):
        assert files.land().bytes_read >= size(path)
    monkeypatch.setattr(landed_files, "_TICK_NS", 0)
    files.land()
    assert files.land().bytes_read == 0


def test_every_file_of_the_retention_is_read_once_a_week(files: Files) -> None:
    everything = sum(path.stat().st_size for path in files.folder.rglob("*") if path.is_file())
    days = files.path("llm_calls", "0"), files.path("jobs", "0")
    later = files.clock + timedelta(days=7)
    assert files.land(as_of=later, retention_days=16).bytes_read < everything - size(*days)
    assert files.land(as_of=later, retention_days=16).bytes_read == 0


def test_recalculated_days_are_read_whatever_is_known(files: Files) -> None:
    report = files.land(recalculate=DayRange(day_of(2), day_of(3)))
    assert report.bytes_read >= size(files.path("llm_calls", "2"), files.path("jobs", "2"))
    assert report.touched_days == ()


def test_another_list_of_columns_reads_everything_again(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landed_files, "_landed_as", lambda table: "another release")
    assert files.land().bytes_read == sum(p.stat().st_size for p in files.folder.rglob("*") if p.is_file())


# --- what it comes to --------------------------------------------------------------------------------------


def test_a_file_that_goes_takes_its_rows(files: Files) -> None:
    files.path("llm_calls", "2").unlink()
    report = files.land()
    assert (report.rows_deleted, report.bytes_read) == (2, 0)
    assert set(report.touched_days) == {day_of(2)}
    assert files.raw() == files.anew()


def test_too_many_rows_of_a_file_that_goes_must_be_confirmed(files: Files) -> None:
    before = landed(files.landing)
    for name in "12":
        files.path("llm_calls", name).unlink()
    with pytest.raises(LandError, match="llm_calls: 4 of 10 rows"):
        files.land(accept_deletes=False)
    assert landed(files.landing) == before
    assert files.land().rows_deleted == 4


def test_rows_that_move_between_files_stay(files: Files) -> None:
    rows = [row for name in "0123" for row in files.rows("llm_calls", name)]
    for name in "013":
        files.path("llm_calls", name).unlink()
    files.write("llm_calls", "2", rows)
    report = files.land()
    assert (report.rows_deleted, report.touched_days) == (0, ())
    assert files.raw() == files.anew()


def test_of_a_key_in_two_files_the_latest_counts_whichever_changed(files: Files) -> None:
    early, late = files.rows("llm_calls", "1"), files.rows("llm_calls", "3")
    files.write("llm_calls", "4", [late[0] | {"created_at": at(4), "prompt_tokens": 7}])
    files.land()
    assert files.raw() == files.anew()
    # found in a file that did not change
    files.write("llm_calls", "4", [early[0] | {"created_at": at(0, 1)}])
    files.land()
    assert files.raw() == files.anew()
    files.write("llm_calls", "1", early[1:])
    files.land()
    assert files.raw() == files.anew()
    assert not landed(files.landing)["keys_of_several_days"]


def test_keys_are_marked_again_when_another_duckdb_marked_them(files: Files) -> None:
    with duckdb.connect(str(files.landing)) as connection:
        connection.execute("update raw.marked_tables set hashing = 0")
        connection.execute("delete from raw.llm_calls_marks")
    # the key lies in a file that is the same: only its mark tells
    early = files.rows("llm_calls", "1")
    files.write("llm_calls", "4", [early[0] | {"created_at": at(0, 1)}])
    files.land()
    assert files.raw() == files.anew()


def test_a_landing_that_fails_knows_no_file(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = files.rows("llm_calls", "2")
    files.write("llm_calls", "2", [row | {"prompt_tokens": 7} for row in rows])
    before = landed(files.landing)

    def fail() -> None:
        raise FailpointReached

    with pytest.raises(FailpointReached):
        files.land(before_commit=fail)
    assert landed(files.landing) == before
    files.land()
    assert files.raw() == files.anew()


def test_a_file_that_a_small_landing_saw_is_read_by_the_next_night(files: Files) -> None:
    rows = [row for name in "24" for row in files.rows("llm_calls", name)]
    files.write("llm_calls", "4", [row | {"prompt_tokens": 7} for row in rows])
    files.land(as_of=at(5), is_small=True, lookback_days=1)
    # gone again before the night
    files.path("llm_calls", "4").unlink()
    files.land()
    assert files.raw() == files.anew()


# --- any history -------------------------------------------------------------------------------------------

_names = st.sampled_from("01234")
_call = st.builds(
    lambda number, day, hour, tokens, job: {
        "call_id": key("c", number),
        "job_id": key("j", job),
        "created_at": at(day, hour),
        "prompt_tokens": tokens,
        "cost_usd": Decimal(tokens),
    },
    st.integers(0, 6),
    st.integers(0, 4),
    st.sampled_from([0.0, 12.0, 23.9999]),
    st.integers(0, 2),
    st.integers(0, 4),
)
_job = st.builds(
    lambda number, day, status: {
        "job_id": key("j", number),
        "team_id": "team-a",
        "job_type": "chat",
        "status": status,
        "created_at": at(day),
    },
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from(["PENDING", "COMPLETED"]),
)
_write: st.SearchStrategy[Callable[[Files], object]] = st.one_of(
    st.builds(
        lambda name, rows: lambda files: files.write("llm_calls", name, rows),
        _names,
        st.lists(_call, max_size=4),
    ),
    st.builds(
        lambda name, rows: lambda files: files.write("jobs", name, rows), _names, st.lists(_job, max_size=3)
    ),
    st.builds(lambda name: lambda files: files.path("llm_calls", name).unlink(missing_ok=True), _names),
)


@pytest.mark.parametrize("portion_rows", [1, 100])
def test_any_history_of_files_lands_as_they_are(
    portion_rows: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing_folder, "PORTION_ROWS", portion_rows)

    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(nights=st.lists(st.tuples(st.lists(_write, min_size=1, max_size=4), st.booleans()), max_size=4))
    def run(nights: list[tuple[list[Callable[[Files], object]], bool]]) -> None:
        files = Files(tmp_path_factory.mktemp("history"))
        files.write("llm_calls", "kept", [{"call_id": key("k", 1), "created_at": at(2)}])
        files.land()
        for writes, is_small in nights:
            for write in writes:
                write(files)
            if is_small:
                files.land(as_of=at(4), is_small=True, lookback_days=1)
                continue
            files.land()
            assert files.raw() == files.anew()

    run()
