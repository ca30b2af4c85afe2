"""Build the models of the postgres target into the generation that nobody reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing
from datetime import date, datetime

from flows.built import build_models
from flows.coverage import landed_coverage, touched_since
from flows.failpoints import failpoint
from flows.mirror import mirror
from flows.progress import Progress
from flows.published_night_postgres import remember_published_in_postgres
from flows.settings import Settings
from flows.warehouse_postgres import (
    Generation,
    connect,
    prepare_generation,
    reset_generation,
    terminate_orphans,
    write_coverage,
)


def build_generation(
    settings: Settings,
    *,
    as_of: datetime,
    progress: Progress,
    full_refresh: bool = False,
    also: Iterable[date] = (),
    run_id: str | None = None,
    dead_run_ids: Collection[str] = (),
) -> Generation:
    """Bring schema raw of the warehouse and the unpublished generation to what has landed; not yet audited.

    What dead runs left at work in the warehouse is ended first. Raises MirrorError, DbtFailed and what
    the warehouse's connection raises.
    """
    import duckdb

    with closing(connect(settings, run_id=run_id)) as warehouse:
        terminate_orphans(warehouse, dead_run_ids)
        failpoint("build.before_mirror")
        mirror(settings.landing_path, warehouse, progress=progress)
        failpoint("build.before_side_file")
        generation = prepare_generation(warehouse)
        with duckdb.connect(str(settings.landing_path), read_only=True) as landing:
            wanted = landed_coverage(landing, as_of=as_of, reporting_timezone=settings.reporting_timezone)
            touched = None
            if generation.coverage is not None and not full_refresh:
                touched = touched_since(landing, generation.coverage, wanted, also=also)
        if touched is None:
            generation = reset_generation(warehouse, generation)
        failpoint("build.before_remember")
        remember_published_in_postgres(warehouse, settings, touched)
    failpoint("build.after_remember")
    variables = {"touched": touched.variables} if touched else {}
    failpoint("build.before_models")
    build_models(settings, generation, as_of=as_of, variables=variables, progress=progress, run_id=run_id)
    failpoint("build.before_coverage")
    with closing(connect(settings, run_id=run_id)) as warehouse:
        generation = write_coverage(warehouse, generation, wanted, run_id=run_id)
    failpoint("build.done")
    return generation
