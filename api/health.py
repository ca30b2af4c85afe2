"""Is it up: this service for load balancers, and the platform's components for people."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from api.access import SignedIn
from api.answers import NOT_CHANGED, Moment, answered, encoded
from api.problems import OF_ANY, NotNow
from flows.component_health import PAGE_NAMES, ComponentHealth, PlatformHealth, read_health

router = APIRouter(tags=["health"])

SERVICE = "llm-almanac"


class ServiceHealth(BaseModel):
    """Whether this service has a night to answer from."""

    status: Literal["healthy", "unhealthy"]
    service: Literal["llm-almanac"]


class Component(BaseModel):
    name: str
    status: Literal["up", "degraded", "down", "unknown"]
    is_required: bool
    latency_ms: float | None
    checked_at: Moment | None
    reason: str | None


class HealthCheck(BaseModel):
    """The page's fields first: true answers, false does not, null is not known."""

    model_config = ConfigDict(extra="forbid")

    saas_api: bool | None
    litellm_proxy: bool | None
    database: bool | None
    overall: Literal["healthy", "degraded", "unhealthy", "unknown"]
    checked_at: Moment | None
    components: list[Component]


@router.get("/health", response_model=ServiceHealth, responses={503: {"model": ServiceHealth}})
def health(request: Request) -> Response:
    """Whether this service can answer. Needs no key, and says nothing of the platform."""
    is_well = request.app.state.nights.current_id() is not None
    word = "healthy" if is_well else "unhealthy"
    body = encoded({"status": word, "service": SERVICE})
    return Response(
        body,
        status_code=200 if is_well else NotNow.status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@router.get("/api/health-check", response_model=HealthCheck, responses=OF_ANY | NOT_CHANGED)
def health_check(request: Request, caller: SignedIn) -> Response:
    """Each component by its newest probe, and all of them in one word."""
    return answered(
        request, encoded(as_answer(health_now(request.app.state), with_reasons=caller.is_operator))
    )


def health_now(state: Any) -> PlatformHealth:
    """The platform's health at this moment."""
    return read_health(state.store(), state.probes, now=state.now())


def as_answer(found: PlatformHealth, *, with_reasons: bool) -> dict[str, Any]:
    """The page's shape; reasons name hosts and are for operators."""
    return {
        **{name: found.is_working(name) for name in PAGE_NAMES},
        "overall": str(found.overall),
        "checked_at": found.checked_at,
        "components": [_component(one, with_reasons) for one in found.components],
    }


def _component(one: ComponentHealth, with_reasons: bool) -> dict[str, Any]:
    return {
        "name": one.name,
        "status": str(one.verdict),
        "is_required": one.is_required,
        "latency_ms": one.latency_ms,
        "checked_at": one.checked_at,
        "reason": one.reason if with_reasons else None,
    }
