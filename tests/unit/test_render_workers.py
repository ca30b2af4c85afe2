"""One bad job harms no other, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.render_workers import run_all

ROOT = Path(__file__).resolve().parents[2]


def work(job: str) -> str:
    match job:
        case "hang":
            time.sleep(60)
        case "eat":
            held = [bytearray(64 * 2**20) for _ in range(200)]
            return str(len(held))
        case "exit":
            os._exit(3)
        case "raise":
            raise ValueError("this one cannot be drawn")
    return f"{job} by {os.getpid()}"


def children() -> set[int]:
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.add(int(status.parent.name))
    return found


def test_bad_jobs_fail_alone() -> None:
    jobs = ["a", "hang", "b", "eat", "c", "exit", "d", "raise", "e"]
    results = list(run_all(jobs, work, seconds=8, memory_mb=512))
    assert [result.job for result in results] == jobs
    errors = {result.job: result.error for result in results if result.error}
    assert set(errors) == {"hang", "eat", "exit", "raise"}
    assert "8 seconds" in str(errors["hang"])
    assert "512 MB" in str(errors["eat"])
    assert "ended with code 3" in str(errors["exit"])
    assert "this one cannot be drawn" in str(errors["raise"])


def test_processes_are_replaced_and_end() -> None:
    before = children()
    results = list(run_all([str(n) for n in range(7)], work, workers=1, tasks_per_worker=2))
    pids = [str(result.value).rpartition(" ")[2] for result in results]
    assert len(set(pids)) == 4
    # the resource tracker of multiprocessing outlives its pool by design
    left = {pid for pid in children() - before if "resource_tracker" not in _command(pid)}
    assert left == set()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return "resource_tracker"


def test_jobs_are_taken_as_they_are_needed() -> None:
    taken = 0

    def jobs() -> Iterator[str]:
        nonlocal taken
        for n in range(100):
            taken += 1
            yield str(n)

    results = run_all(jobs(), work)
    next(results)
    assert taken <= 6
    results.close()  # type: ignore[attr-defined]


def test_a_broken_off_run_ends_its_processes() -> None:
    before = children()
    results = run_all(["a", "hang", "hang", "hang"], work)
    next(results)
    results.close()  # type: ignore[attr-defined]
    left = {pid for pid in children() - before if "resource_tracker" not in _command(pid)}
    assert left == set()


KILLED = """
import signal
# whoever started the tests may ignore it, and children inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)
from flows.render_workers import run_all
from tests.unit.test_render_workers import work
if __name__ == "__main__":
    for result in run_all(["a", "hang", "hang", "hang"], work):
        print(result.value, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_leaves_no_process(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    run = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert run.stdout is not None
        assert run.stdout.readline().startswith(b"a by")
        os.kill(run.pid, how)
        run.wait(30)
        deadline = time.monotonic() + 20
        while (left := session(run.pid)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left == set()
    finally:
        for pid in session(run.pid):
            os.kill(pid, signal.SIGKILL)
        if run.stdout is not None:
            run.stdout.close()


def session(leader: int) -> set[int]:
    """The living processes of a session."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.add(int(status.parent.name))
    return found
