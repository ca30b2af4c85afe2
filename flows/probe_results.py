"""What a probe found, and what the findings of all components come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class ProbeVerdict(StrEnum):
    """`degraded` works, slowly or in part; `unknown` is the prober's own failure, and says nothing."""

    up = "up"
    degraded = "degraded"
    down = "down"
    unknown = "unknown"

    @property
    def is_working(self) -> bool:
        return self in (ProbeVerdict.up, ProbeVerdict.degraded)


class Overall(StrEnum):
    healthy = "healthy"
    degraded = "degraded"
    unhealthy = "unhealthy"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What an answer means, before anybody looked at how long it took."""

    verdict: ProbeVerdict
    # for people; null when all is well
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe of one component."""

    component: str
    is_required: bool
    verdict: ProbeVerdict
    # until the verdict; None when nothing was measured
    latency_ms: float | None
    reason: str | None = None


def overall(results: Iterable[ProbeResult]) -> Overall:
    """All components that are required in one word; where none is, all of them.

    Healthy: every one is up. Unhealthy: none works. Unknown: nothing is known, or nothing was probed.
    """
    known = list(results)
    verdicts = [result.verdict for result in known if result.is_required] or [one.verdict for one in known]
    if all(verdict is ProbeVerdict.unknown for verdict in verdicts):
        return Overall.unknown
    if all(verdict is ProbeVerdict.up for verdict in verdicts):
        return Overall.healthy
    if any(verdict.is_working for verdict in verdicts) or ProbeVerdict.unknown in verdicts:
        return Overall.degraded
    return Overall.unhealthy
