"""`almanac serve` as a process of its own, on a free port of this machine, and what it uses."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.almanac_command import ALMANAC, environment

# Seconds until it listens; a busy machine needs more than an idle one.
READY_SECONDS = 60
END_SECONDS = 30
_ADDRESS = re.compile(r"^Serving (http://\S+?)/monitoring", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ApiServer:
    """The running service; everything it says is in `story`."""

    url: str
    process: subprocess.Popen[bytes]
    story: Path

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    @property
    def web_socket_url(self) -> str:
        return self.url.replace("http://", "ws://")

    def said(self) -> str:
        return self.story.read_text(encoding="utf-8", errors="replace")

    def memory(self, line: str = "VmRSS") -> int:
        """Bytes resident now, or the most so far (`VmHWM`)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        found = re.search(rf"^{line}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    def cpu_seconds(self) -> float:
        """Of the processors so far, in steps of 10 ms."""
        rest = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self) -> list[str]:
        """What its descriptors lead to."""
        found = []
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                found.append(os.readlink(entry))
            except OSError:
                continue  # closed meanwhile
        return found

    def end(self) -> float:
        """Tell it to end as a service manager does; the seconds it took."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        return time.monotonic() - began


@contextmanager
def serving(data_dir: Path, story: Path, **variables: str) -> Iterator[ApiServer]:
    """Serve a data folder; `variables` are settings, such as ALMANAC_PROBES."""
    with story.open("wb") as out:
        process = subprocess.Popen(
            [str(ALMANAC), "--data-dir", str(data_dir), "serve", "--port", "0"],
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield _ready(process, story)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _ready(process: subprocess.Popen[bytes], story: Path) -> ApiServer:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        said = story.read_text(encoding="utf-8", errors="replace")
        found = _ADDRESS.search(said)
        if found is not None:
            return ApiServer(found[1], process, story)
        assert process.poll() is None, f"almanac serve ended with {process.returncode}:\n{said}"
        assert time.monotonic() < deadline, f"almanac serve does not listen:\n{said}"
        time.sleep(0.05)
