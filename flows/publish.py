"""Put an audited side file in place, at once: the only module that writes warehouse.duckdb."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from flows.errors import AlmanacError
from flows.settings import Settings

# Views over the landing file, of use to the build only.
PRIVATE_SCHEMAS = ("staging", "intermediate")


def publish(side_file: Path, settings: Settings) -> Path:
    """Replace the published warehouse by the side file, atomically.

    Whoever has the old file open keeps reading the old night; nobody sees half of either.
    """
    import duckdb

    with duckdb.connect(str(side_file)) as connection:
        for schema in PRIVATE_SCHEMAS:
            connection.execute(f"drop schema if exists {schema} cascade")
        connection.execute("force checkpoint")
    if side_file.with_name(side_file.name + ".wal").exists():
        raise AlmanacError(
            f"{side_file} could not be closed cleanly; nothing is published. Run the night again."
        )
    _flush(side_file)
    _replace(side_file, settings)
    _flush(settings.warehouse_path.parent)
    shutil.rmtree(side_file.parent, ignore_errors=True)
    return settings.warehouse_path


def _replace(side_file: Path, settings: Settings) -> None:
    """Put the new file in place and keep the old one: the next night goes on from it.

    The old one gets its name for that only once it is no longer the published one, so that no build
    can take the published file for its own, wherever this process dies.
    """
    kept = settings.previous_path.with_suffix(".new")
    kept.unlink(missing_ok=True)
    if settings.warehouse_path.exists():
        os.link(settings.warehouse_path, kept)
    os.replace(side_file, settings.warehouse_path)
    if kept.exists():
        os.replace(kept, settings.previous_path)


def _flush(path: Path) -> None:
    """Make a file, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
