"""Where a dashboard's links lead: to the service's own pages, or to the files of a static copy.

A link is None where its reader may not go, or where there is nothing.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Protocol
from urllib.parse import urlencode

from reports.dashboard_figures import Dashboard, TeamTable

HOME = "/monitoring"


class Links(Protocol):
    """What the templates ask for; ids are as they are in the data."""

    # whether one can ask for another period, for a search, for another page
    can_ask: bool
    # whether the page is of its reader's own scope: the live figures are
    is_own: bool

    def platform(self) -> str | None: ...
    def organization(self, organization_id: str | None) -> str | None: ...
    def team(self, team_id: str) -> str | None: ...
    def teams(self, table: TeamTable, *, sort: str, is_descending: bool, page: int) -> str | None: ...
    def csv(self) -> str | None: ...


class ServedLinks:
    """Links of the service, for a reader of a scope: operators go anywhere, a team's reader nowhere else."""

    can_ask = True

    def __init__(self, page: Dashboard, *, reader_kind: str, teams: Container[str] | None = None) -> None:
        """`teams`: the ids of those that the reader may open; None: all of the page's."""
        self._page = page
        self._reader_kind = reader_kind
        self._teams = teams
        self.is_own = reader_kind == page.scope_kind

    def platform(self) -> str | None:
        return self._with_period(HOME) if self._reader_kind == "platform" else None

    def organization(self, organization_id: str | None) -> str | None:
        if organization_id is None or self._reader_kind == "team":
            return None
        return self._with_period(f"{HOME}/organization", id=organization_id)

    def team(self, team_id: str) -> str | None:
        if self._teams is not None and team_id not in self._teams:
            return None
        return self._with_period(f"{HOME}/team", id=team_id)

    def teams(self, table: TeamTable, *, sort: str, is_descending: bool, page: int) -> str | None:
        return (
            self._with_period(
                self.path(),
                **self.scope(),
                **({"q": table.search} if table.search else {}),
                sort=sort,
                order="desc" if is_descending else "asc",
                **({"page": str(page)} if page > 1 else {}),
            )
            + "#teams"
        )

    def csv(self) -> str | None:
        """The teams of the page that did something in its period, as CSV from the API."""
        page = self._page
        if page.period is None:
            return None
        tenant = {} if page.scope_kind == "platform" else {f"{page.scope_kind}_id": page.scope_id}
        asked = {"period": page.period.label, **tenant, "table": "teams", "format": "csv"}
        return f"/api/analytics/usage?{urlencode(asked)}"

    def path(self) -> str:
        """The page's own address, without what follows the question mark."""
        return HOME if self._page.scope_kind == "platform" else f"{HOME}/{self._page.scope_kind}"

    def scope(self) -> dict[str, str]:
        """What names the page's scope in its address."""
        return {} if self._page.scope_kind == "platform" else {"id": self._page.scope_id}

    def _with_period(self, path: str, **parameters: str) -> str:
        if self._page.period is not None:
            parameters["period"] = self._page.period.label
        return f"{path}?{urlencode(parameters)}" if parameters else path


class StaticLinks:
    """Links among the files of a static copy: the platform's page leads to the organizations'."""

    can_ask = False
    is_own = False

    def __init__(self, organizations: Mapping[str, str]) -> None:
        """`organizations`: their file names by id; none for a tenant's own page."""
        self._organizations = organizations

    def platform(self) -> str | None:
        return None

    def organization(self, organization_id: str | None) -> str | None:
        return self._organizations.get(organization_id or "")

    def team(self, team_id: str) -> str | None:
        return None

    def teams(self, table: TeamTable, *, sort: str, is_descending: bool, page: int) -> str | None:
        return None

    def csv(self) -> str | None:
        return None
