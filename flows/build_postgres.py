"""Build the models of the postgres target into the generation that nobody reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from datetime import date, datetime
from typing import TYPE_CHECKING

from flows.built import build_models
from flows.coverage import Coverage, Touched, audited_with, landed_coverage, touched_since
from flows.dbt_runner import DbtFailed
from flows.failpoints import failpoint
from flows.mirror import mirror
from flows.progress import Progress
from flows.published_night_postgres import remember_published_in_postgres
from flows.settings import Settings
from flows.warehouse_postgres import (
    Generation,
    connect,
    prepare_generation,
    published_generation,
    reset_generation,
    terminate_orphans,
    write_coverage,
)

if TYPE_CHECKING:
    import duckdb


def build_generation(
    settings: Settings,
    *,
    as_of: datetime,
    progress: Progress,
    full_refresh: bool = False,
    also: Iterable[date] = (),
    run_id: str | None = None,
    dead_run_ids: Collection[str] = (),
    require_current: Callable[[], None] = lambda: None,
) -> Generation:
    """Bring schema raw of the warehouse and the unpublished generation to what has landed; not yet audited.

    What dead runs left at work in the warehouse is ended first; that this run is not one of them is asked
    of `require_current` on every connection, once a newer run could end it, and by dbt before every model
    (macros/require_current_run.sql). Raises MirrorError, DbtFailed, Fenced and what the warehouse's
    connection raises.
    """
    import duckdb

    with closing(connect(settings, run_id=run_id)) as warehouse:
        require_current()
        terminate_orphans(warehouse, dead_run_ids)
        failpoint("build.before_mirror")
        mirror(settings.landing_path, warehouse, progress=progress)
        failpoint("build.before_side_file")
        generation = prepare_generation(warehouse)
        with duckdb.connect(str(settings.landing_path), read_only=True) as landing:
            wanted = landed_coverage(landing, as_of=as_of, reporting_timezone=settings.reporting_timezone)
            touched = None
            if not full_refresh:
                touched = _touched(landing, generation, published_generation(warehouse), wanted, also)
            audited = touched and audited_with(touched, landing, wanted)
        if touched is None:
            generation = reset_generation(warehouse, generation)
        failpoint("build.before_remember")
        remember_published_in_postgres(warehouse, settings, touched)
    failpoint("build.after_remember")
    failpoint("build.before_models")
    try:
        build_models(
            settings,
            generation,
            as_of=as_of,
            touched=touched,
            audited=audited,
            progress=progress,
            run_id=run_id,
        )
    except DbtFailed:
        # of a run that a newer one took for dead, that is the reason
        require_current()
        raise
    failpoint("build.before_coverage")
    with closing(connect(settings, run_id=run_id)) as warehouse:
        require_current()
        generation = write_coverage(warehouse, generation, wanted, run_id=run_id)
    failpoint("build.done")
    return generation


def _touched(
    landing: duckdb.DuckDBPyConnection,
    generation: Generation,
    published: Generation | None,
    wanted: Coverage,
    also: Iterable[date],
) -> Touched | None:
    """What the generation lacks, and what it has that was built but never published; None: all of it.

    The latter too, because only what is built again is audited, and compared with what people were told.
    """
    if generation.coverage is None:
        return None
    lacking = touched_since(landing, generation.coverage, wanted, also=also)
    if lacking is None or published is None or published.coverage is None:
        return lacking
    untold = touched_since(landing, published.coverage, wanted)
    return None if untold is None else lacking.and_also(untold)
