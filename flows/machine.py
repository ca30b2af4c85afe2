"""What the machine gives this process: how much of its memory the engine may take."""

from __future__ import annotations

import os
from pathlib import Path

MIB = 2**20

# Of the memory that this process may use; the rest is for dbt, for what the engine does not count, and for
# whatever else runs there. A partial build needs less, and what it leaves holds the files it reads.
FULL_BUILD_SHARE = 0.25
PARTIAL_BUILD_SHARE = 0.125
LEAST_MEMORY = 512 * MIB

# Where a container's limit stands, of both generations of control groups.
CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def usable_memory(limits: tuple[Path, ...] = CGROUP_LIMITS) -> int:
    """Bytes of memory that this process may use: the machine's, or its container's if that has less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in limits:
        try:
            found.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # not there, or `max`: no limit
            continue
    return min(found)


def engine_memory(usable: int, *, is_partial: bool) -> int:
    """Bytes that the engine may take for a build; beyond that it works on the disk."""
    share = PARTIAL_BUILD_SHARE if is_partial else FULL_BUILD_SHARE
    return max(LEAST_MEMORY, int(usable * share))


def engine_memory_mb(given: int | None, *, is_partial: bool) -> int:
    """The same in megabytes, unless it is `given` (ALMANAC_BUILD_MEMORY_MB)."""
    return given if given is not None else engine_memory(usable_memory(), is_partial=is_partial) // 1_000_000
