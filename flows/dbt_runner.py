"""Run dbt in a child process, follow it, and fail loudly: the only module that knows dbt's command.

A child, because dbt keeps its DuckDB file open for as long as its process lives, and
because a killed or crashed dbt must not take the night's own process with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
) -> tuple[NodeResult, ...]:
    """Run one dbt command on what `environment` names (see profiles.yml); return what became of every node.

    dbt leaves its files in target/ and logs/ of `work_dir`: that of the nights, unless one of its own is
    given. Failed data tests are results; anything that kept dbt from running raises DbtFailed.
    """
    work_dir = work_dir or settings.data_dir / "dbt"
    target_dir = work_dir / "target"
    results_path = target_dir / "run_results.json"
    # the results of a previous command must never pass for this one's
    results_path.unlink(missing_ok=True)
    all_variables = {
        "as_of": f"{as_of:%Y-%m-%d %H:%M:%S.%f}",
        "reporting_timezone": settings.reporting_timezone,
        **(variables or {}),
    }
    arguments = [
        *command,
        *("--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)),
        *("--target-path", str(target_dir), "--log-path", str(work_dir / "logs")),
        *(
            "--vars",
            json.dumps(all_variables),
            "--log-format",
            "json",
            "--log-level",
            "info",
            "--no-version-check",
        ),
    ]
    # dbt's own switches in the caller's environment must not change a night
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DBT_") or name.startswith("DBT_ENV_SECRET_")
    }
    complaints: list[str] = []
    with (
        progress.stage(stage, None) as advance,
        subprocess.Popen(
            # without site packages: 15 ms, for a dbt that a killed run does not leave behind
            [
                *(sys.executable, "-S", "-E", str(TIED_CHILD), str(os.getpid())),
                *(str(Path(sys.executable).with_name("dbt")), *arguments),
            ],
            env={**inherited, **environment, "TZ": "UTC"},
            cwd=PROJECT_DIR,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as child,
    ):
        assert child.stdout is not None
        try:
            failpoint("dbt.started")
            for line in child.stdout:
                _follow(line, advance, complaints)
        except BaseException:
            _stop(child)
            raise
    failpoint("dbt.ended")
    # 1: some nodes failed, which the results tell; anything else kept dbt from finishing
    if child.returncode not in (0, 1) or not results_path.is_file():
        if any(_NO_SPACE in line for line in complaints):
            raise DbtFailed(
                f"dbt {command[0]} did not run: no space is left on the disk of {settings.data_dir} "
                "or of the temporary files. Make room and run again."
            )
        story = "\n  ".join(complaints[-8:]) or f"it ended with code {child.returncode}"
        raise DbtFailed(f"dbt {command[0]} did not run: {story}\nIts log: {work_dir / 'logs' / 'dbt.log'}")
    try:
        return _read_results(results_path)
    except (OSError, ValueError, KeyError) as error:
        raise DbtFailed(
            f"dbt {command[0]} left results in {results_path} that cannot be read "
            f"({type(error).__name__}), as when the disk is full. Make room and run again."
        ) from error


def _stop(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


def _follow(line: str, advance: Any, complaints: list[str]) -> None:
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        event = None
    if not isinstance(event, dict):
        complaints.append(line.rstrip())
        return
    info = event.get("info", {})
    data = event.get("data", {})
    if info.get("level") == "error":
        complaints.append(str(info.get("msg", "")).strip())
    if data.get("total") and info.get("name") in ("LogModelResult", "LogTestResult", "LogSeedResult"):
        failpoint("dbt.node_done")
        done, total = int(data.get("index", 0)), int(data["total"])
        advance(1, f"{done} of {total}" if done % LOGGED_NODES == 0 or done == total else "")


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
