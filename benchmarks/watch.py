"""Run one command and watch it from outside: seconds, memory, processor time, and an `almanac`'s steps."""

import math
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

# Between two looks: a shorter step may go unseen.
LOOK_SECONDS = 0.05

ALMANAC = Path(sys.executable).with_name("almanac")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Watched:
    """What one command took; memory in bytes, added up over its processes (shared pages count in each)."""

    seconds: float = 0.0
    # Of the processors, all its processes together: other work on the machine changes it least.
    cpu_seconds: float = 0.0
    # By step.
    peak_bytes: dict[str, int] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)


class Exceeded(RuntimeError):
    """A command was ended because it took more than it might."""


def watch(arguments: list[str], *, data_dir: Path, environment: dict[str, str]) -> Watched:
    """Run `almanac` with a data folder of its own; RuntimeError with the end of its story when it fails."""
    command = [str(ALMANAC), "--quiet", "--data-dir", str(data_dir), *arguments]
    return watch_command(
        command, story=data_dir.with_suffix(".log"), environment=environment, data_dir=data_dir
    )


def watch_command(
    command: list[str],
    *,
    story: Path,
    environment: dict[str, str] | None = None,
    data_dir: Path | None = None,
    most_seconds: float = math.inf,
    most_bytes: float = math.inf,
    output: Path | None = None,
) -> Watched:
    """Run any command, its output into the file `story`; RuntimeError with the end of that when it fails.

    Exceeded when it ran longer than `most_seconds` or its processes held more than `most_bytes` together:
    it is ended then. With `output` its standard output goes there instead.
    """
    # Nothing of the caller's own settings or .env reaches a measured run.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ALMANAC_")}
    watched = Watched()
    cpu_before = _cpu_of_children()
    started = time.perf_counter()
    with ExitStack() as stack:
        log = stack.enter_context(story.open("wb"))
        process = subprocess.Popen(
            command,
            env=inherited | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=stack.enter_context(output.open("wb")) if output else log,
            stderr=log,
            # its own group, so that it can be ended with everything below it
            start_new_session=True,
        )
        stack.callback(_end_group, process)
        before, last_look = "start", started
        while process.poll() is None:
            used = _tree_bytes(process.pid)
            watched.peak_bytes[before] = max(watched.peak_bytes.get(before, 0), used)
            now = time.perf_counter()
            watched.steps[before] = watched.steps.get(before, 0.0) + now - last_look
            before, last_look = (_phase(data_dir / "ops.db") if data_dir else None) or before, now
            if used > most_bytes:
                raise Exceeded(f"out of memory ({most_bytes / 2**30:.0f} GiB)")
            if now - started > most_seconds:
                raise Exceeded(f"over {most_seconds / 60:.0f} min")
            time.sleep(LOOK_SECONDS)
    watched.seconds = time.perf_counter() - started
    watched.cpu_seconds = _cpu_of_children() - cpu_before
    if process.returncode:
        end = story.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}:\n{end}")
    return watched


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of a command and its children; nothing when it ended by itself."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _cpu_of_children() -> float:
    """Seconds of all child processes that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _phase(ops: Path) -> str | None:
    """The step in which the running command is, from its own ledger; None outside of steps."""
    if not ops.exists():
        return None
    try:
        with closing(sqlite3.connect(f"file:{ops}?mode=ro", uri=True, timeout=0.01)) as connection:
            row = connection.execute(
                "select phase from runs where ended_at is null order by token desc limit 1"
            ).fetchone()
    except sqlite3.Error:
        return None
    return str(row[0]) if row and row[0] != "claimed" else None


def _tree_bytes(root: int) -> int:
    """Resident memory of a process and everything below it (Linux)."""
    size, waiting = 0, [str(root)]
    while waiting:
        pid = waiting.pop()
        try:
            size += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
            # from parent to child: to look at every process of the machine would take a twentieth of a core
            for thread in os.listdir(f"/proc/{pid}/task"):
                waiting += Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
        except OSError:
            continue
    return size
