"""Processes that draw documents: recycled, and bounded in memory and time, so that one job harms no other.

WeasyPrint gives memory back to nobody and can be sent into minutes of work by one document; a process that is
used up or killed is replaced, and only the job that it had fails.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as Overtime
from dataclasses import dataclass
from typing import Generic, TypeVar

Job = TypeVar("Job")
Value = TypeVar("Value")

WORKERS = 2
TASKS_PER_WORKER = 20
SECONDS = 120  # for one job
MEMORY_MB = 2048  # of address space: libraries and the interpreter take some 700 of it

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Result(Generic[Job, Value]):
    """What came of a job: a value, or why there is none."""

    job: Job
    value: Value | None
    error: str | None


def run_all(
    jobs: Iterable[Job],
    work: Callable[[Job], Value],
    *,
    workers: int = WORKERS,
    tasks_per_worker: int = TASKS_PER_WORKER,
    seconds: float = SECONDS,
    memory_mb: int = MEMORY_MB,
) -> Iterator[Result[Job, Value]]:
    """Do every job, in their order; `work` and jobs are sent to other processes.

    A job that raises, takes too long or too much, or takes its process with it, has an error instead of a
    value; the others go on. Only a few jobs are held at a time.
    """
    from pebble import ProcessExpired, ProcessPool

    pool = ProcessPool(
        max_workers=workers,
        max_tasks=tasks_per_worker,
        context=multiprocessing.get_context("spawn"),
        initializer=_bind,
        initargs=(memory_mb * 2**20, os.getpid()),
    )
    waiting: deque[tuple[Job, object]] = deque()

    def outcome(job: Job, future: object) -> Result[Job, Value]:
        try:
            return Result(job, future.result(), None)  # type: ignore[attr-defined]
        except Overtime:
            return Result(job, None, f"it took more than {seconds:g} seconds")
        except MemoryError:
            return Result(job, None, f"it took more than {memory_mb} MB of memory")
        except ProcessExpired as expired:
            return Result(job, None, f"its process ended with code {expired.exitcode}")
        except Exception as error:
            return Result(job, None, f"{type(error).__name__}: {error}")

    try:
        for job in jobs:
            waiting.append((job, pool.schedule(work, args=(job,), timeout=seconds)))
            if len(waiting) > 2 * workers:
                yield outcome(*waiting.popleft())
        while waiting:
            yield outcome(*waiting.popleft())
        pool.close()  # type: ignore[no-untyped-call]
        pool.join(timeout=30)
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join(timeout=30)


def _bind(size: int, parent: int) -> None:
    """In a new process: take no more memory than `size`, and end when the process that draws is killed."""
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    if sys.platform == "linux":
        # what the kernel watches is the thread that made this process; that is one of the pool's, and lasts
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was killed before the kernel knew
            os._exit(1)
