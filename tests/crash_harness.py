"""Kill, stop or starve a night, and look at what readers and the next night find.

Owns the small platform with its few nights, the states that undisturbed nights publish, a reader that never
stops looking, and what a data folder may hold when nothing is left behind. `Target` is what a warehouse must
offer for it; the embedded one is here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from tests.canonical import canonical_differences, canonical_rows, hash_of
from tests.published import ROOT, TAPE

ALMANAC = Path(sys.executable).with_name("almanac")

# When a row was built is no fact: rows that a night does not touch keep the moment of an earlier one.
LEFT_OUT = ("built_at_as_of", "calculated_at")

# Rows of the tape before this are not landed, so that a night is short.
FIRST_ROW_AT = datetime(2026, 11, 9)

# Three nights; with the second, on a Monday, a week closes and its review is due.
MOMENTS = (datetime(2026, 11, 21, 2), datetime(2026, 11, 23, 2), datetime(2026, 11, 24, 2))

# A run takes a quarter of a minute on an idle machine.
RUN_SECONDS = 600

# What the reader looks at each time: whole tables, so that half a night could not look like one.
READ_TABLES = (
    "marts.platform_usage_daily",
    "marts.team_usage_daily",
    "marts.fct_jobs",
    "marts.fct_llm_calls",
)
READ_EVERY_SECONDS = 0.05

# Every name that a data folder may hold when no run is at work; "previous" is the next side file.
_NOTHING_LEFT = re.compile(
    r"(landing\.duckdb|warehouse\.duckdb|ops\.db|dbt(/.*)?|build(/previous\.duckdb)?"
    r"|reviews(/weekly(/2026-W\d\d(/platform\.(html|pdf))?)?)?)"
)
# Also right, because the lease's holder only removes what is not needed to read what is committed.
_LOGS_OF_COMMITTED = re.compile(r"(landing\.duckdb\.wal|ops\.db-(wal|shm))")


@dataclass(frozen=True, slots=True)
class Night:
    """One night to run: its source and its moment."""

    source: Path
    as_of: datetime

    @property
    def arguments(self) -> list[str]:
        return ["nightly", "--source", str(self.source), "--as-of", self.as_of.isoformat()]


def write_platform(folder: Path, as_of: datetime) -> Night:
    """The tape as it stood at `as_of`: jobs that end later are open, calls of the last days cost the same."""
    folder.mkdir(parents=True)
    moment, first = f"timestamp '{as_of}'", f"timestamp '{FIRST_ROW_AT}'"
    started = f"created_at::timestamp >= {first} and created_at::timestamp < {moment}"
    is_open = f"completed_at::timestamp >= {moment}"
    repriced = f"created_at::timestamp >= {moment} - interval 3 day"
    queries = {
        "jobs": "select * replace ("
        f"case when {is_open} then 'IN_PROGRESS' else status end as status, "
        f"case when {is_open} then null else completed_at end as completed_at) from tape where {started}",
        "llm_calls": "select * replace ("
        f"case when {repriced} then '0.000100' else cost_usd end as cost_usd) "
        f"from tape where {started}",
        "credit_transactions": f"select * from tape where {started}",
        "job_cost_summaries": f"select * from tape where calculated_at::timestamp >= {first} "
        f"and calculated_at::timestamp < {moment}",
    }
    with duckdb.connect() as connection:
        for file in sorted(TAPE.glob("*.csv.gz")):
            table = file.name.removesuffix(".csv.gz")
            connection.execute(
                f"create or replace view tape as from read_csv('{file}', all_varchar = true, header = true)"
            )
            query = queries.get(table, "from tape")
            connection.execute(f"copy ({query}) to '{folder / table}.csv' (header)")
    return Night(folder, as_of)


# --- the warehouse ------------------------------------------------------------------------------------------


class DuckDbTarget:
    """The embedded warehouse of one data folder."""

    name = "duckdb"

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    @property
    def environment(self) -> dict[str, str]:
        return {"ALMANAC_DATA_DIR": str(self.data_dir), "ALMANAC_TARGET": self.name}

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """A connection to what is published; FileNotFoundError when nothing is."""
        path = self.data_dir / "warehouse.duckdb"
        if not path.exists():
            raise FileNotFoundError(path)
        with closing(duckdb.connect(str(path), read_only=True)) as connection:
            yield connection

    def copy_to(self, data_dir: Path) -> DuckDbTarget:
        shutil.copytree(self.data_dir, data_dir)
        return DuckDbTarget(data_dir)

    def runs(self) -> list[dict[str, Any]]:
        """The ledger, oldest first."""
        with closing(sqlite3.connect(self.data_dir / "ops.db", timeout=30)) as connection:
            cursor = connection.execute("select * from runs order by token")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def canonical(self) -> dict[str, list[str]]:
        with self.connected() as connection:
            return canonical_rows(connection, leave_out=LEFT_OUT)

    def seen(self) -> str:
        """What the reader sees, as one hash; empty when nothing is published."""
        seen = {}
        try:
            with self.connected() as connection:
                # in one transaction, as a reader who wants one night must on any engine
                connection.execute("begin")
                for table in READ_TABLES:
                    cursor = connection.execute(f"select * from {table}")
                    names = [column[0] for column in cursor.description]
                    kept = [place for place, name in enumerate(names) if name not in LEFT_OUT]
                    seen[table] = sorted(str([row[place] for place in kept]) for row in cursor.fetchall())
        except FileNotFoundError:
            return ""
        return hash_of(seen)

    def leftovers(self) -> list[str]:
        """What lies in the data folder and should not when no run is at work."""
        names = [str(path.relative_to(self.data_dir)) for path in self.data_dir.rglob("*")]
        return sorted(
            name
            for name in names
            if not _NOTHING_LEFT.fullmatch(name) and not _LOGS_OF_COMMITTED.fullmatch(name)
        )

    def processes(self) -> list[int]:
        """Processes that work on this data folder: almanac's and dbt's."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                command = (folder / "cmdline").read_bytes()
                environment = (folder / "environ").read_bytes()
                state = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            except OSError:
                continue
            marks = str(self.data_dir).encode()
            if state != "Z" and b"crash_reader" not in command and (marks in command or marks in environment):
                found.append(int(folder.name))
        return found

    def end_processes(self) -> None:
        """Kill what a failed test left at work on this data folder, stopped or not."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


# --- runs ---------------------------------------------------------------------------------------------------


def start(target: DuckDbTarget, night: Night, failpoint: str = "", **settings: str) -> subprocess.Popen[str]:
    """Begin a night in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ALMANAC_")}
    if failpoint:
        settings["FAILPOINT"] = failpoint
    return subprocess.Popen(
        [str(ALMANAC), "--quiet", *night.arguments],
        env={
            **environment,
            **target.environment,
            **{f"ALMANAC_{name}": value for name, value in settings.items()},
        },
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(target: DuckDbTarget, night: Night, failpoint: str = "", **settings: str) -> tuple[int, str]:
    """A night from beginning to end, whatever end: its exit code (below 0: the signal) and what it said."""
    process = start(target, night, failpoint, **settings)
    said = process.communicate(timeout=RUN_SECONDS)
    return process.returncode, "".join(said)


def wait_until_stopped(process: subprocess.Popen[str]) -> None:
    """Wait until the process stands still at its failpoint."""
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        state = Path(f"/proc/{process.pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        if state == "T":
            return
        assert state != "Z", f"the run ended before its failpoint: {process.communicate()}"
        time.sleep(0.02)
    raise AssertionError("the failpoint was never reached")


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a run as the system does when memory is short; its exit code is read."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=RUN_SECONDS)


def descendants(pid: int) -> list[int]:
    """The live children of a process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


def require_nobody_at_work(target: DuckDbTarget) -> None:
    """Fail when a process of a killed run lives on; the kernel is given a moment to end it."""
    deadline = time.monotonic() + 5
    while orphans := target.processes():
        assert time.monotonic() < deadline, f"these live on: {orphans}"
        time.sleep(0.05)


@contextmanager
def reader(target: DuckDbTarget) -> Iterator[set[str]]:
    """A process that reads all the time; what it saw, known when the block has ended."""
    code = "from tests.crash_harness import read_until_told; read_until_told('crash_reader')"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "crash_reader", str(target.data_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen: set[str] = set()
    try:
        yield seen
    finally:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, f"the reader met an error: {err}"
    told = json.loads(out)
    assert told["reads"] > 0
    seen.update(told["seen"])


def read_until_told(_name: str) -> None:
    """The reader's own process: reads what is published until its standard input ends."""
    import select

    target = DuckDbTarget(Path(sys.argv[2]))
    seen: set[str] = set()
    reads = 0
    while not (reads and select.select([sys.stdin], [], [], READ_EVERY_SECONDS)[0]):
        seen.add(target.seen())
        reads += 1
    print(json.dumps({"seen": sorted(seen), "reads": reads}))


# --- the nights ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scene:
    """A night to disturb, on a data folder with the nights before it, and what it publishes undisturbed."""

    before: DuckDbTarget
    night: Night
    # what a reader may see: what was published before, and what is then
    old: str
    new: str
    published: dict[str, list[str]]


class Nights:
    """The undisturbed nights, run once, and kept to be disturbed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scenes: list[Scene] = []
        self._newest = DuckDbTarget(folder / "undisturbed-0")
        self._newest.data_dir.mkdir()

    def scene(self, nights_before: int) -> Scene:
        """The night after so many others; the first begins with nothing."""
        while len(self._scenes) <= nights_before:
            number, before = len(self._scenes), self._newest
            night = write_platform(self._folder / f"source-{number}", MOMENTS[number])
            after = before.copy_to(self._folder / f"undisturbed-{number + 1}")
            exit_code, said = run(after, night)
            assert exit_code == 0, said
            assert after.leftovers() == []
            self._scenes.append(Scene(before, night, before.seen(), after.seen(), after.canonical()))
            self._newest = after
        return self._scenes[nights_before]


def require_recovery(scene: Scene, target: DuckDbTarget) -> None:
    """Run the night once more, undisturbed: it publishes what an undisturbed one does and leaves nothing."""
    require_nobody_at_work(target)
    exit_code, said = run(target, scene.night)
    assert exit_code == 0, said
    assert canonical_differences(scene.published, target.canonical()) == []
    assert target.leftovers() == []
    runs = target.runs()
    assert [one["run_id"] for one in runs if one["ended_at"] is None] == []
    assert runs[-1]["outcome"] == "done"


# --- the failpoints -----------------------------------------------------------------------------------------

# The scene that passes a failpoint; the second night passes every other one.
SCENE_OF = {
    "land.before_created": 0,
    "build.before_taking_previous": 2,
    "build.after_taking_previous": 2,
}
# Those that are passed many times in a night, and so many times at least.
PASSINGS = {"land.table": 8, "dbt.node_done": 60, "review.before_replace": 2}


def all_failpoints() -> list[str]:
    """Every failpoint of the embedded target, in the order of the program's files."""
    names = []
    for path in sorted((ROOT / "flows").glob("*.py")):
        if path.name == "mirror.py" or path.name.endswith("_postgres.py"):
            continue
        names += re.findall(r"\bfailpoint\(\"([a-z_.]+)\"\)", path.read_text(encoding="utf-8"))
    return list(dict.fromkeys(names))
