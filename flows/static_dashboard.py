"""The dashboard as files: a copy that each night writes, for a web server or a shared folder to show.

The platform's page is `index.html`; the busiest organizations have one of their own, drawn from queries that
are filtered by them. A copy shows the latest complete week as of its night, and nothing live.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flows.build import published_coverage
from flows.dashboard_reader import read_dashboard
from flows.dashboard_teams import TeamQuery
from flows.errors import AlmanacError
from flows.failpoints import failpoint
from flows.night_name import NightName
from flows.ops_store import open_ops_store
from flows.own_teams import UNASSIGNED
from flows.probe_config import load_probes
from flows.redaction import redact
from flows.review_scopes import PLATFORM, Scope
from flows.warehouse import Reader, open_warehouse
from flows.whole_files import write_whole

if TYPE_CHECKING:
    from flows.ops_store import OpsStore
    from flows.probe_config import Probes
    from flows.settings import Settings

INDEX = "index.html"
# Rows of a table of teams that cannot be searched; the service shows all of them.
LISTED_TEAMS = 500
# Each costs a night a fifth of a second; the service draws all of them.
MOST_ORGANIZATIONS = 50


@dataclass(slots=True)
class Copies:
    """The pages that were written, the platform's first; and what kept others from being."""

    paths: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people, one thing a line."""
        lines = []
        if self.paths:
            more = f", and {len(self.paths) - 1:,} of organizations" if len(self.paths) > 1 else ""
            lines.append(f"dashboard  {self.paths[0]}{more}")
        return lines + [f"failed     {failure}" for failure in self.failures]


def write_copies(settings: Settings) -> Copies:
    """Write the pages of the published night; whatever goes wrong is told and raises nothing.

    Pages of organizations that have none any more are taken away. One that cannot be drawn stays as it was.
    """
    copies = Copies()
    try:
        coverage = published_coverage(settings)
        if coverage is None:
            return copies
        night = NightName.of(
            coverage.landing_number, coverage.as_of, coverage.reporting_timezone, coverage.models_fingerprint
        )
        probes = None if settings.probes is None else load_probes(settings.probes)
        store = open_ops_store(settings)
        with closing(open_warehouse(settings)) as reader:
            files = file_names(reader)
            for scope, name in files.items():
                path = settings.dashboard_dir / name
                try:
                    page = _draw(reader, scope, files, night, store, probes)
                    write_whole(path, page.encode(), before_replace=_passed)
                    copies.paths.append(path)
                except Exception as error:  # no page may cost a night, whatever is wrong with it
                    copies.failures.append(f"dashboard of {scope}: {_told(error)}")
        for path in _gone(settings, set(files.values())):
            path.unlink(missing_ok=True)
    except (AlmanacError, OSError) as error:
        copies.failures.append(f"dashboard: {_told(error)}")
    return copies


def _passed() -> None:
    failpoint("dashboard.before_replace")


def file_names(reader: Reader) -> dict[Scope, str]:
    """Whose pages there are, the platform's first, and the file of each: the busiest organizations'."""
    rows = reader.execute(
        f"""
        select organizations.organization_id
        from warehouse.marts.dim_organizations as organizations
        left join warehouse.marts.organization_usage_monthly as usage
            on
                organizations.organization_id = usage.organization_id
                and usage.period_start_date = (
                    select max(period_start_date) from warehouse.marts.platform_usage_monthly
                )
        where not organizations.is_deleted and organizations.organization_id <> ?
        order by coalesce(usage.job_count, 0) desc, organizations.organization_id
        limit {MOST_ORGANIZATIONS}
        """,
        [UNASSIGNED],
    ).fetchall()
    organizations = [Scope("organization", organization_id) for (organization_id,) in rows]
    return {PLATFORM: INDEX} | {scope: f"{scope.file_name}.html" for scope in organizations}


def _draw(
    reader: Reader,
    scope: Scope,
    files: dict[Scope, str],
    night: NightName,
    store: OpsStore,
    probes: Probes | None,
) -> str:
    from reports.dashboard import render_dashboard
    from reports.dashboard_links import StaticLinks

    page = read_dashboard(
        reader,
        scope,
        night_id=night.id,
        as_of=night.as_of,
        zone=night.reporting_timezone,
        now=night.as_of,
        store=store,
        probes=probes,
        teams=TeamQuery(page_size=LISTED_TEAMS),
    )
    # nobody's page leads to another tenant's
    others = {one.id: name for one, name in files.items() if one != PLATFORM} if scope == PLATFORM else {}
    return render_dashboard(page, StaticLinks(others), nonce=None)


def _gone(settings: Settings, names: set[str]) -> Iterator[Path]:
    return (path for path in settings.dashboard_dir.glob("*.html") if path.name not in names)


def _told(error: Exception) -> str:
    """One line, without a secret."""
    said = redact(" ".join(str(error).split()))[:300]
    return said if isinstance(error, AlmanacError) else f"{type(error).__name__}: {said}"
