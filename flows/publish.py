"""Put an audited side file in place, at once: the only module that writes warehouse.duckdb."""

from __future__ import annotations

import os
import shutil
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flows.built import Built
from flows.errors import AlmanacError
from flows.failpoints import failpoint
from flows.private_relations import put_aside
from flows.publish_postgres import publish_generation
from flows.settings import Settings
from flows.warehouse_postgres import Generation, connect, connection_parameters, place

if TYPE_CHECKING:
    import psycopg

    from flows.run_ledger import ClaimedRun


def publish(built: Built, settings: Settings, *, run: ClaimedRun | None = None) -> str:
    """Let people read what was built, all of it at once; return where.

    Raises Fenced when a newer run than `run` took over (None: the caller is known to be the only one).
    """
    if isinstance(built, Generation):
        return _publish_generation(built, settings, run)
    return _publish_file(built, settings, run)


def _publish_generation(generation: Generation, settings: Settings, run: ClaimedRun | None) -> str:
    if run is None:
        with closing(connect(settings)) as warehouse:
            publish_generation(warehouse, settings, generation)
    else:
        # in the transaction in which the ledger notes the publication
        with run.publishing() as ledger:
            warehouse = cast("psycopg.Connection[Any]", ledger.connection.driver_connection)
            publish_generation(warehouse, settings, generation)
    return place(connection_parameters(settings))


def _publish_file(side_file: Path, settings: Settings, run: ClaimedRun | None) -> str:
    """Replace the published file: whoever has the old one open keeps reading the old night."""
    import duckdb

    failpoint("publish.before_checkpoint")

    with duckdb.connect(str(side_file)) as connection:
        put_aside(connection)
        connection.execute("force checkpoint")
    if side_file.with_name(side_file.name + ".wal").exists():
        raise AlmanacError(
            f"{side_file} could not be closed cleanly; nothing is published. Run the night again."
        )
    failpoint("publish.before_flush")
    _flush(side_file)
    failpoint("publish.after_flush")
    with run.publishing() if run else nullcontext():
        _replace(side_file, settings)
        _flush(settings.warehouse_path.parent)
    failpoint("publish.before_tidying")
    shutil.rmtree(side_file.parent, ignore_errors=True)
    failpoint("publish.after_tidying")
    return str(settings.warehouse_path)


def _replace(side_file: Path, settings: Settings) -> None:
    """Put the new file in place and keep the old one: the next night goes on from it.

    The old one gets its name for that only once it is no longer the published one, so that no build
    can take the published file for its own, wherever this process dies.
    """
    kept = settings.previous_path.with_suffix(".new")
    kept.unlink(missing_ok=True)
    if settings.warehouse_path.exists():
        os.link(settings.warehouse_path, kept)
    failpoint("publish.before_replace")
    os.replace(side_file, settings.warehouse_path)
    failpoint("publish.after_replace")
    if kept.exists():
        os.replace(kept, settings.previous_path)
    failpoint("publish.after_previous_kept")


def _flush(path: Path) -> None:
    """Make a file, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
