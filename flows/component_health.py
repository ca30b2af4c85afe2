"""How the platform's components are at a moment, by the newest probe of each that still says something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flows.ops_store import OpsStore
from flows.probe_records import is_fresh, latest
from flows.probe_results import Overall, ProbeResult, ProbeVerdict, overall

if TYPE_CHECKING:
    from flows.probe_config import Probes

# The page's own three, by the kinds of components that they are made of.
PAGE_NAMES = {
    "saas_api": ("saas_api",),
    "litellm_proxy": ("litellm_liveliness", "litellm_readiness"),
    "database": ("database",),
}


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """One component; `unknown` when no fresh probe says anything. Moments are naive UTC."""

    name: str
    kind: str | None
    is_required: bool
    verdict: ProbeVerdict
    # milliseconds; None when nothing was measured
    latency_ms: float | None
    reason: str | None
    checked_at: datetime | None
    # whether the newest probe still says something
    is_fresh: bool

    @property
    def is_working(self) -> bool | None:
        """Whether it answers, slowly too; None when nobody knows."""
        return None if self.verdict is ProbeVerdict.unknown else self.verdict.is_working


@dataclass(frozen=True, slots=True)
class PlatformHealth:
    """All components at one moment."""

    overall: Overall
    components: tuple[ComponentHealth, ...]

    @property
    def checked_at(self) -> datetime | None:
        return max((one.checked_at for one in self.components if one.checked_at), default=None)

    def is_working(self, page_name: str) -> bool | None:
        """One of the page's three; down when one of its components is, None when nobody knows."""
        kinds = PAGE_NAMES[page_name]
        found = [one.is_working for one in self.components if one.name == page_name or one.kind in kinds]
        if False in found:
            return False
        return None if None in found or not found else True


def read_health(store: OpsStore, probes: Probes | None, *, now: datetime) -> PlatformHealth:
    """The components of the probes file, or those that were ever probed where there is none."""
    return health_by(latest(store, now), probes, now=now)


def health_by(
    newest: Iterable[tuple[datetime, ProbeResult, int]], probes: Probes | None, *, now: datetime
) -> PlatformHealth:
    """The same by what `flows.probe_records.latest` found, which may have been a while ago."""
    seen = {result.component: (at, result, seconds) for at, result, seconds in newest}
    kinds = {} if probes is None else {one.name: one for one in probes.components}
    components, is_unseen = [], False
    for name in kinds or sorted(seen):
        at, result, seconds = seen.get(name, (None, None, 0))
        known = result if at is not None and is_fresh(at, seconds, now) else None
        configured = kinds.get(name)
        is_required = configured.required if configured else bool(result and result.is_required)
        # what was probed once and is in no file may be long gone
        is_unseen |= known is None and (configured is not None or is_required)
        components.append(
            ComponentHealth(
                name=name,
                kind=configured.kind if configured else None,
                is_required=is_required,
                verdict=known.verdict if known else ProbeVerdict.unknown,
                latency_ms=known.latency_ms if known else None,
                reason=known.reason if known else "no fresh probe",
                checked_at=at,
                is_fresh=known is not None,
            )
        )
    word = overall(ProbeResult(one.name, one.is_required, one.verdict, one.latency_ms) for one in components)
    # what nobody has looked at is not known, whatever the rest is
    return PlatformHealth(Overall.unknown if is_unseen else word, tuple(components))
