"""`almanac probe --every`: rounds that nothing else holds up, and a check of the alerts beside them.

A check may wait for a mail server or fail; it is a process of its own, one at a time, so that no round is
late for it and nothing that happens in it ends the probing.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

import typer

from flows.crash_log import keep_traceback
from flows.errors import AlmanacError
from flows.probe_run import probe_once
from flows.progress import SilentProgress

if TYPE_CHECKING:
    from flows.settings import Settings

# of a check; the next one does what it did not
LONGEST_CHECK_SECONDS = 600


def probe_on(
    settings: Settings, *, every_seconds: int, ask_alerts: bool, now: Callable[[], datetime]
) -> NoReturn:
    """Probe every so many seconds until the process is ended; a round that fails is told, no more."""
    check = _Check(settings)
    try:
        while True:
            began = time.monotonic()
            try:
                report = probe_once(settings, now=now(), ask_alerts=False, progress=SilentProgress())
                typer.echo("\n".join(report.lines()))
                if ask_alerts and report.recorded.has_news and settings.landing_path.is_file():
                    check.start()
            except AlmanacError as error:
                typer.echo(str(error), err=True)
            except Exception as error:
                typer.echo(keep_traceback(error, settings.logs_dir, at=now()), err=True)
            check.end_if_late()
            time.sleep(max(1.0, began + every_seconds - time.monotonic()))
    finally:
        check.end()


class _Check:
    """At most one `almanac alerts check` at a time."""

    def __init__(self, settings: Settings) -> None:
        # what it prints goes where this process prints
        program = (sys.executable, "-m", "flows.cli", "-q", "--data-dir", str(settings.data_dir))
        self._command = (*program, "alerts", "check", "--no-land")
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def start(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
            self._started = time.monotonic()

    def end_if_late(self) -> None:
        if time.monotonic() - self._started > LONGEST_CHECK_SECONDS:
            self.end()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
