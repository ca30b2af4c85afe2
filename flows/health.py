"""Probes of all components at once, each under its own deadline, which no answer can stretch."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio

from flows.errors import AlmanacError, UsageError
from flows.probe_config import load_probes
from flows.probe_database import DatabaseProbe
from flows.probe_http import probe_http, trust
from flows.probe_results import Finding, Overall, ProbeResult, ProbeVerdict, overall

if TYPE_CHECKING:
    from flows.probe_config import Component, Probes
    from flows.settings import Settings

_T = TypeVar("_T")

# Seconds that a probe may take to be torn down after its deadline.
TEARDOWN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Round:
    """One probe of every component; `checked_at` is naive UTC, when it began."""

    checked_at: datetime
    interval_seconds: int
    results: tuple[ProbeResult, ...]

    @property
    def overall(self) -> Overall:
        return overall(self.results)

    def lines(self) -> list[str]:
        """For people, one component a line."""
        width = max(len(result.component) for result in self.results)
        lines = [f"{'overall':<{width}}  {self.overall}"]
        for result in self.results:
            latency = "" if result.latency_ms is None else f"{result.latency_ms:,.0f} ms"
            needed = "" if result.is_required else "optional"
            parts = [f"{result.component:<{width}}", f"{result.verdict:<9}", f"{latency:>9}", needed]
            if result.reason:
                parts.append(result.reason)
            lines.append("  ".join(part for part in parts if part).rstrip())
        return lines


def configured(settings: Settings) -> Probes:
    """What the settings say is probed. Raises UsageError when they name nothing."""
    if settings.probes is None:
        raise UsageError(
            "Nothing is set up to be probed. Set ALMANAC_PROBES to a probes file; docs/operations.md shows "
            "one under Health probes."
        )
    return load_probes(settings.probes)


def probe_all(settings: Settings, probes: Probes, *, checked_at: datetime) -> Round:
    """Probe every component once, all at the same time. Never raises: what fails is a result."""
    prepared = [(component, _prepare(component, settings)) for component in probes.components]
    with asyncio.Runner(loop_factory=_Loop) as runner:
        results = runner.run(_gather(prepared))
    return Round(checked_at, probes.interval_seconds, tuple(results))


# What a probe needs beforehand: its trust, the URL of its database, or why it cannot be made.
_Prepared = ssl.SSLContext | str | Finding


def _prepare(component: Component, settings: Settings) -> _Prepared:
    """Before any clock runs."""
    if component.kind != "database":
        try:
            return trust(component)
        except AlmanacError as error:
            return Finding(ProbeVerdict.unknown, str(error))
    url = settings.source if component.database == "source" else settings.warehouse_url
    if url is None or "://" not in url:
        name = f"ALMANAC_{'SOURCE' if component.database == 'source' else 'WAREHOUSE_URL'}"
        return Finding(ProbeVerdict.unknown, f"{name} names no database")
    return url


async def _gather(prepared: Sequence[tuple[Component, _Prepared]]) -> list[ProbeResult]:
    # loads what the first request would load: that is no component's latency
    await anyio.sleep(0)
    tasks = [asyncio.create_task(_probe(component, ready)) for component, ready in prepared]
    longest = max(component.deadline_seconds for component, _ in prepared) + TEARDOWN_SECONDS
    await asyncio.wait(tasks, timeout=longest)
    return [
        # one that resists its own cancellation has no say in the verdict
        task.result() if task.done() else ProbeResult(component.name, component.required, *_late(component))
        for task, (component, _) in zip(tasks, prepared, strict=True)
    ]


async def _probe(component: Component, ready: _Prepared) -> ProbeResult:
    if isinstance(ready, Finding):
        return ProbeResult(component.name, component.required, ready.verdict, None, ready.reason)
    started = time.perf_counter()
    try:
        async with asyncio.timeout(component.deadline_seconds):
            if isinstance(ready, str):
                finding = await _probe_database(component, ready)
            else:
                finding = await probe_http(component, ready)
    except TimeoutError:
        return ProbeResult(component.name, component.required, *_late(component))
    except Exception as error:
        # our own mistake says nothing about the component
        finding = Finding(ProbeVerdict.unknown, f"the probe itself failed: {type(error).__name__}")
    latency_ms = (time.perf_counter() - started) * 1000
    if finding.verdict is ProbeVerdict.up and latency_ms > component.slow_ms:
        finding = Finding(ProbeVerdict.degraded, f"slow: more than {component.slow_ms:,} ms")
    is_measured = finding.verdict is not ProbeVerdict.unknown
    return ProbeResult(
        component.name,
        component.required,
        finding.verdict,
        round(latency_ms, 3) if is_measured else None,
        finding.reason,
    )


def _late(component: Component) -> tuple[ProbeVerdict, float, str]:
    seconds = component.deadline_seconds
    return ProbeVerdict.down, seconds * 1000, f"no whole answer within {seconds:g} s"


async def _probe_database(component: Component, url: str) -> Finding:
    probe = DatabaseProbe(url, deadline_seconds=component.deadline_seconds)
    answer = _Answer[Finding](asyncio.get_running_loop())
    try:
        probe.start(answer.set)
        return await answer.future
    finally:
        probe.abandon()


class _Loop(asyncio.SelectorEventLoop):
    """Names are resolved in threads that nobody waits for: a resolver that hangs ends with its process."""

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        import socket

        answer = _Answer[Any](self)

        def resolve() -> None:
            try:
                answer.set(socket.getaddrinfo(host, port, **options))
            except Exception as error:
                answer.fail(error)

        threading.Thread(target=resolve, name="resolve a name", daemon=True).start()
        return await answer.future


class _Answer(Generic[_T]):
    """A future that a thread fulfils, be anybody still waiting for it or not."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.future: asyncio.Future[_T] = loop.create_future()

    def set(self, value: _T) -> None:
        self._tell(lambda: self.future.set_result(value))

    def fail(self, error: Exception) -> None:
        self._tell(lambda: self.future.set_exception(error))

    def _tell(self, act: Callable[[], None]) -> None:
        def unless_too_late() -> None:
            if not self.future.done():
                act()

        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(unless_too_late)
