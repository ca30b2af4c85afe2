"""Which process is it, and does it still live: an id that a later process with the same number cannot have.

A process is known by its host, its number and the moment it started. On Linux the start is counted by the
kernel since the boot, and goes with the boot and the namespace of process numbers (two containers may share a
host name); elsewhere it is what `ps` tells.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process for ever; `started` is opaque and only compared."""

    host: str
    pid: int
    started: str


def this_process() -> ProcessIdentity:
    pid = os.getpid()
    return ProcessIdentity(socket.gethostname(), pid, _started(pid) or "")


def same_boot(identity: ProcessIdentity) -> bool:
    """Does the process count its uptime from the same boot as we do."""
    boot, _, _ = _boot_and_namespace().partition("/")
    return bool(boot) and identity.host == socket.gethostname() and identity.started.startswith(boot + "/")


def is_alive(identity: ProcessIdentity) -> bool | None:
    """Whether the process lives; None when nobody on this machine can tell."""
    if identity.host != socket.gethostname() or not identity.started:
        return None
    if sys.platform == "linux":
        boot, namespace = _boot_and_namespace().split("/")
        their_boot, their_namespace, _ = identity.started.split("/")
        if not boot or not their_boot:
            return None
        if their_boot != boot:
            return False  # the machine was started again since
        if their_namespace != namespace:
            return None
    return _started(identity.pid) == identity.started


def _started(pid: int) -> str | None:
    """When the process started; None when there is none, or only its unread exit code."""
    if sys.platform == "linux":
        try:
            # the name in brackets may hold spaces and brackets; the state is the first field after it
            state, *fields = (
                (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
            )
        except OSError:
            return None
        return None if state in "ZX" else f"{_boot_and_namespace()}/{fields[18]}"
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=10, check=False
    )
    return told.stdout.strip() or None


def _boot_and_namespace() -> str:
    """`boot/namespace` of this process; both empty where the kernel does not tell."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink(_PROC / 'self/ns/pid')}"
    except OSError:
        return "/"
