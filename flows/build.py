"""Build what is landed, aside from what people read: on either target, what the audit then looks at."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from datetime import date, datetime
from typing import TYPE_CHECKING

from flows import landing_store
from flows.build_duckdb import build_side_file, coverage_of
from flows.build_postgres import build_generation
from flows.built import Built
from flows.coverage import Coverage
from flows.errors import AlmanacError
from flows.progress import Progress
from flows.settings import Settings
from flows.warehouse_postgres import connect, published_generation

if TYPE_CHECKING:
    from flows.run_ledger import ClaimedRun


def build(
    settings: Settings,
    *,
    as_of: datetime,
    progress: Progress,
    full_refresh: bool = False,
    also: Iterable[date] = (),
    run: ClaimedRun | None = None,
) -> Built:
    """Build all models as of a moment; what it returns is not yet audited.

    Only the periods that have changed since it was last built are built anew, and the local days `also`;
    all of them when it cannot go on from there or `full_refresh` asks for it. Raises AlmanacError when
    nothing is landed, and DbtFailed naming the models that failed.
    """
    if not settings.landing_path.is_file():
        raise AlmanacError(f"Nothing has landed in {settings.data_dir} yet. Run `almanac land` first.")
    if not landing_store.has_side_tables(settings.landing_path):
        with landing_store.transaction(settings.landing_path) as landing:
            landing_store.create_side_tables(landing)
    if settings.target == "postgres":
        return build_generation(
            settings,
            as_of=as_of,
            progress=progress,
            full_refresh=full_refresh,
            also=also,
            run_id=run.run_id if run else None,
            dead_run_ids=run.dead_run_ids() if run else (),
            require_current=run.require_current if run else lambda: None,
        )
    return build_side_file(settings, as_of=as_of, progress=progress, full_refresh=full_refresh, also=also)


def published_coverage(settings: Settings) -> Coverage | None:
    """What the published night was built from; None when there is none."""
    if settings.target == "postgres":
        with closing(connect(settings)) as warehouse:
            published = published_generation(warehouse)
            return published.coverage if published else None
    return coverage_of(settings.warehouse_path)
