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
    """All components in one word.

    Healthy: everything required is up, and nothing else is worse. Unhealthy: nothing required works. Unknown:
    nothing required is known, or nothing was probed. Where nothing is required everything counts.
    """
    known = list(results)
    counted = [result for result in known if result.is_required] or known
    verdicts = [result.verdict for result in counted]
    if all(verdict is ProbeVerdict.unknown for verdict in verdicts):
        return Overall.unknown
    if all(result.verdict is ProbeVerdict.up for result in known):
        return Overall.healthy
    if any(verdict.is_working for verdict in verdicts):
        return Overall.degraded
    return Overall.degraded if ProbeVerdict.unknown in verdicts else Overall.unhealthy
