"""The channel over any service that the Apprise library knows by URL.

Apprise makes its own connections, to wherever the URL leads: flows.outbound_http guards none of them. What
can be bounded is: one process for each message, ended at its deadline, without the environment, redirects,
retries or a word of what the library logs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Timer

from flows.channels import ChannelDown, NobodyKnows, Parcel, TryLater
from flows.errors import UsageError

DEADLINE_SECONDS = 30.0
READ_SECONDS = 20.0  # for one answer of the service
_CHILD = Path(__file__).with_name("apprise_child.py")
_TIED = Path(__file__).with_name("tied_child.py")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}")


class AppriseChannel:
    """Hands messages to one Apprise URL."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        source: str,
        deadline_seconds: float = DEADLINE_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Raises UsageError, which names `source` and not the URL, when that cannot be one."""
        scheme, found, rest = url.partition("://")
        if not found or not rest or not _SCHEME.fullmatch(scheme) or not url.isprintable():
            raise UsageError(
                f"{source} holds no Apprise URL such as ntfys://ntfy.example.com/topic (appriseit.com)."
            )
        self.name = name
        self._url = url
        # the one part of the URL that is told
        self._service = f"the service {scheme[:20]}"
        self._source = source
        self._deadline_seconds = deadline_seconds
        self._read_seconds = read_seconds

    def send(self, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        """Run Apprise once; it says whether the service took the message, and not why it did not."""
        document = json.loads(parcel.content)
        order = {
            "url": self._url,
            "is_check": False,
            "read_seconds": self._read_seconds,
            **{name: document[name] for name in ("title", "body", "type")},
        }
        handing_over()
        words = self._run(order)
        last = words[-1] if words else ""
        if last == "sent":
            return
        if last == "unknown":
            raise ChannelDown(f"Apprise knows no service by the URL in {self._source}. Correct it.")
        if last == "failed":
            raise TryLater(
                f"{self._service} did not take the message; Apprise does not say why", is_outage=True
            )
        if last == "doubtful":
            raise NobodyKnows(
                f"{self._service} failed, and not before the {self._read_seconds:g} s that it has to answer",
                is_outage=True,
            )
        if "ready" in words:
            raise NobodyKnows(
                f"{self._service} did not answer within {self._deadline_seconds:g} s", is_outage=True
            )
        raise TryLater("Apprise did not start in time, or failed", is_outage=True)

    def was_taken(self, parcel: Parcel) -> None:
        """Services cannot be asked."""
        return None

    def close(self) -> None:
        """Nothing is held open."""

    def check(self) -> None:
        """Raise UsageError when Apprise knows no service by the URL; nothing is sent."""
        if self._run({"url": self._url, "is_check": True}) != ["known"]:
            raise UsageError(f"Apprise knows no service by the URL in {self._source}. Correct it.")

    def _run(self, order: dict[str, object]) -> list[str]:
        """What the child said, by the deadline."""
        child = subprocess.Popen(
            # it does not outlive this process either
            [sys.executable, "-S", "-E", str(_TIED), str(os.getpid()), sys.executable, "-I", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        timer = Timer(self._deadline_seconds, child.kill)
        timer.daemon = True
        timer.start()
        try:
            # what a killed child has said stays readable
            with contextlib.suppress(OSError):
                said, _ = child.communicate(json.dumps(order))
                return said[:1000].split()
            return []
        finally:
            timer.cancel()
            child.kill()
            child.wait()
