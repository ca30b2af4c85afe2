"""Run dbt in a child process, follow it, and fail loudly: the only module that knows dbt's command.

A child, because a killed or crashed dbt must not take the night's own process with it. It stays for the
next command until `release_dbt` (see flows.dbt_process): loading dbt and its project once a night is enough.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flows import PROJECT_DIR
from flows.errors import AlmanacError
from flows.failpoints import failpoint
from flows.progress import Progress
from flows.settings import Settings

LOGGED_NODES = 40  # a plain log tells how far dbt is every so many nodes
STOP_SECONDS = 5  # that dbt has to end by itself when the run is cancelled
_NO_SPACE = "No space left on device"
TIED_CHILD = Path(__file__).with_name("tied_child.py")


class DbtFailed(AlmanacError):
    """A dbt command could not run, or some of its nodes failed."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one node: status is success, pass, warn, fail, error or skipped."""

    unique_id: str
    status: str
    message: str
    failures: int
    compiled_sql: str

    @property
    def name(self) -> str:
        return self.unique_id.split(".")[2]


def run_dbt(
    command: Sequence[str],
    *,
    settings: Settings,
    environment: Mapping[str, str],
    as_of: datetime,
    progress: Progress,
    stage: str,
    variables: Mapping[str, Any] | None = None,
    work_dir: Path | None = None,
    keeps_parsed: bool = True,
    writes_manifest: bool = True,
) -> tuple[NodeResult, ...]:
    """Run one dbt command on what `environment` names (see profiles.yml); return what became of every node.

    dbt leaves its files in target/ and logs/ of `work_dir`: that of the nights, unless one of its own is
    given. `keeps_parsed` is for commands that need no manifest.json of their parsing; without
    `writes_manifest` they leave none at all, nor compiled SQL beside their results, which takes a second.
    Failed data tests are results; anything that kept dbt from running raises DbtFailed.
    """
    work_dir = work_dir or settings.data_dir / "dbt"
    target_dir = work_dir / "target"
    results_path = target_dir / "run_results.json"
    # the results of a previous command must never pass for this one's
    results_path.unlink(missing_ok=True)
    request = {
        "arguments": list(command),
        "options": [
            *("--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)),
            *("--target-path", str(target_dir), "--log-path", str(work_dir / "logs")),
            # what is said to people goes through `_follow`
            *("--log-level", "none", "--log-level-file", "info", "--log-format-file", "json"),
            "--no-version-check",
            *([] if writes_manifest else ["--no-write-json"]),
        ],
        "variables": {
            "as_of": f"{as_of:%Y-%m-%d %H:%M:%S.%f}",
            "reporting_timezone": settings.reporting_timezone,
            **(variables or {}),
        },
        "environment": dict(environment),
        "project_dir": str(PROJECT_DIR),
        "parsed_dir": str(_parsed_dir(work_dir)),
        "keeps_parsed": keeps_parsed,
        "results_path": str(results_path),
    }
    complaints: list[str] = []
    code: int | None = None
    with progress.stage(stage, None) as advance:
        child = _child()
        try:
            code = _ask(child, request, advance, complaints)
        finally:
            if code is None:
                release_dbt()
    failpoint("dbt.ended")
    # 1: some nodes failed, which the results tell; anything else kept dbt from finishing
    if code not in (0, 1) or not results_path.is_file():
        if any(_NO_SPACE in line for line in complaints):
            raise DbtFailed(
                f"dbt {command[0]} did not run: no space is left on the disk of {settings.data_dir} "
                "or of the temporary files. Make room and run again."
            )
        ended = code if code is not None else child.returncode
        story = "\n  ".join(complaints[-8:]) or f"it ended with code {ended}"
        raise DbtFailed(f"dbt {command[0]} did not run: {story}\nIts log: {work_dir / 'logs' / 'dbt.log'}")
    try:
        return _read_results(results_path)
    except (OSError, ValueError, KeyError) as error:
        raise DbtFailed(
            f"dbt {command[0]} left results in {results_path} that cannot be read "
            f"({type(error).__name__}), as when the disk is full. Make room and run again."
        ) from error


def _parsed_dir(work_dir: Path) -> Path:
    """Where what dbt parsed is kept: with the project, for all that is built with it, if it may be."""
    return (PROJECT_DIR / "target" if os.access(PROJECT_DIR, os.W_OK) else work_dir) / "parsed"


# --- the child ----------------------------------------------------------------------------------------------

# of the thread that started it: the kernel ends a tied child with the thread, not with the process
_kept = threading.local()


def kept_child() -> subprocess.Popen[str] | None:
    """This thread's child, if it has one."""
    child: subprocess.Popen[str] | None = getattr(_kept, "child", None)
    return child


def start_dbt() -> None:
    """Have dbt loaded by the time that this thread needs it, if nothing else keeps the processor busy."""
    _child()


def _child() -> subprocess.Popen[str]:
    """The child of this thread, started when there is none."""
    child = kept_child()
    if child is None or child.poll() is not None:
        # dbt's own switches in the caller's environment must not change a night
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("DBT_") or name.startswith("DBT_ENV_SECRET_")
        }
        child = subprocess.Popen(
            # without site packages: 15 ms, for a dbt that a killed run does not leave behind
            [
                *(sys.executable, "-S", "-E", str(TIED_CHILD), str(os.getpid())),
                *(sys.executable, "-m", "flows.dbt_process"),
            ],
            env={**inherited, "TZ": "UTC"},
            cwd=PROJECT_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        _kept.child = child
        failpoint("dbt.started")
    return child


def release_dbt() -> None:
    """End this thread's child, if there is one: nobody needs dbt for a while."""
    child = kept_child()
    if child is None:
        return
    _kept.child = None
    with child:
        _stop(child)


atexit.register(release_dbt)


def _ask(
    child: subprocess.Popen[str], request: Mapping[str, Any], advance: Any, complaints: list[str]
) -> int | None:
    """Have the child run a command, and follow it; dbt's exit code, None when the child ended before."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.flush()
    except BrokenPipeError:
        pass  # it ended; what it said on the way is still to be read
    for line in child.stdout:
        code = _follow(line, advance, complaints)
        if code is not None:
            return code
    child.wait(STOP_SECONDS)
    return None


def _stop(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


def _follow(line: str, advance: Any, complaints: list[str]) -> int | None:
    """Take one line of the child's; dbt's exit code when it is the last one of a command."""
    try:
        told = json.loads(line)
    except json.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        complaints.append(line.rstrip())
        return None
    if "complaint" in told:
        complaints.append(str(told["complaint"]))
    if told.get("total"):
        failpoint("dbt.node_done")
        done, total = int(told["done"]), int(told["total"])
        advance(1, f"{done} of {total}" if done % LOGGED_NODES == 0 or done == total else "")
    return int(told["exit"]) if "exit" in told else None


def _read_results(path: Path) -> tuple[NodeResult, ...]:
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    return tuple(
        NodeResult(
            unique_id=result["unique_id"],
            status=str(result["status"]),
            message=str(result.get("message") or ""),
            failures=int(result.get("failures") or 0),
            compiled_sql=str(result.get("compiled_code") or ""),
        )
        for result in results
    )
