"""`/metrics`: the night, the day so far, components, alerts, and this service itself, as OpenMetrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric, StateSetMetricFamily
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from api.access import Operator
from api.health import health_now
from api.problems import OF_ONE
from flows.headlines import read_headlines
from flows.incidents import SEVERITIES, open_by_scope
from flows.probe_results import ProbeVerdict
from flows.review_scopes import PLATFORM
from flows.status import STALE_AFTER

router = APIRouter(tags=["metrics"])

# Seconds: a page of the dashboard is at the upper end.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class ServiceMetrics:
    """What this process counts of itself."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.seconds = Histogram(
            "almanac_http_request_duration_seconds",
            "How long requests took, by route and status.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        self.seconds.labels(method, route, str(status)).observe(seconds)


@router.get("/metrics", response_class=Response, responses=OF_ONE)
def metrics(request: Request, caller: Operator) -> Response:
    """Everything in the OpenMetrics text format; with an operator's key."""
    state = request.app.state
    found = CollectorRegistry(auto_describe=False)
    found.register(_Collector(state))
    found.register(_Relayed(state.metrics.registry))
    text = generate_latest(found)  # type: ignore[no-untyped-call]
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})


class _Relayed:
    """The metrics of another registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()


class _Collector:
    """What the marts and the ops store say now. What is not known is left out, never 0."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def collect(self) -> Iterable[Metric]:
        with self._state.nights.reading() as night:
            headlines, as_of = read_headlines(night, PLATFORM), night.as_of
        age = (self._state.now() - as_of).total_seconds()
        yield _gauge("almanac_published_age_seconds", "Age of the published night.", age)
        yield _gauge(
            "almanac_published_stale",
            "1 when the published night is too old, else 0.",
            int(age > STALE_AFTER.total_seconds()),
        )
        for one in headlines:
            if one.value is not None:
                yield _gauge(
                    f"almanac_today_{one.key}",
                    f"{one.label} of today so far, as of the night.",
                    float(one.value),
                )
        yield from self._components()
        yield from self._incidents()
        yield _gauge("almanac_live_viewers", "Open live connections.", self._state.live.viewer_count)

    def _components(self) -> Iterable[Metric]:
        status = StateSetMetricFamily(
            "almanac_component_status", "What the newest fresh probe found.", labels=("component",)
        )
        latency = GaugeMetricFamily(
            "almanac_component_latency_seconds", "Until the newest verdict.", labels=("component",)
        )
        for one in health_now(self._state).components:
            status.add_metric((one.name,), {str(word): word is one.verdict for word in ProbeVerdict})
            if one.latency_ms is not None:
                latency.add_metric((one.name,), one.latency_ms / 1000)
        yield status
        yield latency

    def _incidents(self) -> Iterable[Metric]:
        with self._state.store().reading() as connection:
            counts = open_by_scope(connection, {})
        if counts is None:
            return
        family = GaugeMetricFamily("almanac_open_incidents", "Incidents that are open.", labels=("severity",))
        for severity in SEVERITIES:
            family.add_metric((severity,), counts.get(PLATFORM, Counter())[severity])
        yield family


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, text)
    family.add_metric((), value)
    return family
