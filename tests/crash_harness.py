"""Kill, stop or starve a night, and look at what readers and the next night find.

Owns the small platform with its few nights, the states that undisturbed nights publish, and a reader that
never stops looking. What differs between the engines is in `tests.crash_targets`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from tests.almanac_command import ALMANAC, environment
from tests.canonical import canonical_differences
from tests.crash_targets import SEEN_BY, Target
from tests.published import ROOT, TAPE

# Rows of the tape before this are not landed, so that a night is short.
FIRST_ROW_AT = datetime(2026, 11, 9)

# Three nights; with the second, on a Monday, a week closes and its review is due.
MOMENTS = (datetime(2026, 11, 21, 2), datetime(2026, 11, 23, 2), datetime(2026, 11, 24, 2))

# A run takes a quarter of a minute on an idle machine.
RUN_SECONDS = 600

READ_EVERY_SECONDS = 0.05


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


# --- runs ---------------------------------------------------------------------------------------------------


def start(target: Target, night: Night, failpoint: str = "", **settings: str) -> subprocess.Popen[str]:
    """Begin a night in a process of its own."""
    if failpoint:
        settings["FAILPOINT"] = failpoint
    return subprocess.Popen(
        # Whoever runs the tests in the background of a script ignores Ctrl-C, and so would the night.
        ["env", "--default-signal=INT", str(ALMANAC), "--quiet", *night.arguments],
        env=environment(
            **target.environment, **{f"ALMANAC_{name}": value for name, value in settings.items()}
        ),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(target: Target, night: Night, failpoint: str = "", **settings: str) -> tuple[int, str]:
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


def require_nobody_at_work(target: Target) -> None:
    """Fail when a process of a killed run lives on; the kernel is given a moment to end it."""
    deadline = time.monotonic() + 5
    while orphans := target.processes():
        assert time.monotonic() < deadline, f"these live on: {orphans}"
        time.sleep(0.05)


@contextmanager
def reader(target: Target) -> Iterator[set[str]]:
    """A process that reads all the time; what it saw, known when the block has ended."""
    code = "from tests.crash_harness import read_until_told; read_until_told('crash_reader')"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "crash_reader", target.name, target.location],
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

    see = SEEN_BY[sys.argv[2]]
    seen: set[str] = set()
    reads = 0
    while not (reads and select.select([sys.stdin], [], [], READ_EVERY_SECONDS)[0]):
        seen.add(see(sys.argv[3]))
        reads += 1
    print(json.dumps({"seen": sorted(seen), "reads": reads}))


# --- the nights ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scene:
    """A night to disturb, on a data folder with the nights before it, and what it publishes undisturbed."""

    before: Target
    night: Night
    # what a reader may see: what was published before, and what is then
    old: str
    new: str
    published: dict[str, list[str]]


class Nights:
    """The undisturbed nights, run once, and kept to be disturbed."""

    def __init__(self, folder: Path, empty: Target) -> None:
        """`empty` is a target without any night."""
        self._folder = folder
        self._scenes: list[Scene] = []
        self._newest = empty

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


def require_recovery(scene: Scene, target: Target) -> None:
    """Run the night once more, undisturbed: it publishes what an undisturbed one does and leaves nothing."""
    require_nobody_at_work(target)
    exit_code, said = run(target, scene.night)
    assert exit_code == 0, said
    lines = canonical_differences(scene.published, target.canonical())
    assert not lines, "\n".join(lines)
    assert target.leftovers() == []
    runs = target.runs()
    assert [one["run_id"] for one in runs if one["ended_at"] is None] == []
    assert runs[-1]["outcome"] == "done"


def require_healing(scene: Scene, target: Target, points: Collection[str]) -> None:
    """Kill the night at each point in turn: readers see whole nights, and the next one heals all."""
    with reader(target) as seen:
        for point in points:
            exit_code, said = run(target, scene.night, point)
            assert exit_code == -signal.SIGKILL, (point, said)
            require_nobody_at_work(target)
        require_recovery(scene, target)
    assert seen == {scene.old, scene.new}
    crashed = [one for one in target.runs() if one["outcome"] == "crashed"]
    assert len(crashed) == len(points)


def require_one_of_two(scene: Scene, target: Target) -> None:
    """Run two nights at once: one publishes, the other exits 75 and names the first."""
    with reader(target) as seen:
        processes = [start(target, scene.night) for _ in range(2)]
        said = [process.communicate(timeout=RUN_SECONDS) for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 75], said
    (busy,) = (err for process, (_, err) in zip(processes, said, strict=True) if process.returncode == 75)
    winner = target.runs()[-1]
    assert winner["run_id"] in busy
    assert (winner["outcome"], len(target.runs())) == ("done", 2)  # the first night's run, and this one's
    assert seen <= {scene.old, scene.new}
    assert target.seen() == scene.new
    assert target.leftovers() == []
