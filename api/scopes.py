"""Whose figures a question is about: the caller's own, or those of one tenant that the caller may see."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query

from api.access import Caller, require_organization, require_team
from api.nights import Night
from api.problems import Wrong
from flows.review_scopes import PLATFORM, Scope

OrganizationChoice = Annotated[
    str | None, Query(max_length=500, description="Of this organization alone [all that the key may see].")
]
TeamChoice = Annotated[
    str | None, Query(max_length=500, description="Of this team alone [all that the key may see].")
]


def scope_of(night: Night, caller: Caller, organization_id: str | None, team_id: str | None) -> Scope:
    """The scope that was asked for; NotFound when it is not the caller's to see."""
    if organization_id is not None and team_id is not None:
        raise Wrong("Give an organization or a team, not both.")
    if team_id is not None:
        require_team(night, caller, team_id)
        return Scope("team", team_id)
    if organization_id is not None:
        require_organization(night, caller, organization_id)
        return Scope("organization", organization_id)
    if caller.scope.kind == "team":
        require_team(night, caller, caller.scope.id)
    elif caller.scope.kind == "organization":
        require_organization(night, caller, caller.scope.id)
    return caller.scope


def usage_mart(scope: Scope, grain: str) -> str:
    """The mart with one row per period of the scope."""
    return f"warehouse.marts.{scope.kind}_usage_{grain}"


def of_scope(scope: Scope) -> tuple[str, list[Any]]:
    """A condition on a scope's own rows, in its usage mart and in the facts; and its parameters."""
    return ("true", []) if scope == PLATFORM else (f"{scope.kind}_id = ?", [scope.id])
