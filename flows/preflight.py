"""Room on the disk: asked for before anything is written, and explained when it runs out all the same."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.errors import AlmanacError
from flows.settings import Settings

# The side file, and as much again for what the engine sorts on the disk. The file of the night before the
# last is taken up again or makes room.
GENERATIONS = 2

# Of the landing: what a night's changes may add to it before old blocks are used again.
LANDED_SHARE = 0.25

# Bytes that even an empty platform's night takes: the marts' tables, dbt's own files, the review.
LEAST_ROOM = 100 * 2**20


def needed_bytes(settings: Settings, source: Path | None) -> int:
    """Bytes that a night from `source` may take at its height, from what the last ones left."""
    landing, warehouse = _size(settings.landing_path), _size(settings.warehouse_path)
    if landing:
        added = round(LANDED_SHARE * landing)
    else:
        # the first time the folder's own size is all that is known; as Parquet it is about the landing's
        added = landing = _size(source) if source is not None else 0
    # a first warehouse is about as large as its landing
    room = added + GENERATIONS * (warehouse or landing) - _size(settings.previous_path)
    return max(LEAST_ROOM, room)


def free_bytes(settings: Settings) -> int:
    """Bytes free where the data folder is, or will be."""
    folder = next(folder for folder in (settings.data_dir, *settings.data_dir.parents) if folder.exists())
    return shutil.disk_usage(folder).free


def require_room(settings: Settings, source: Path | None = None) -> None:
    """Raise AlmanacError, before anything is written, when the disk is too full for a night."""
    needed, free = needed_bytes(settings, source), free_bytes(settings)
    if free < needed:
        raise AlmanacError(
            f"The disk of {settings.data_dir} has {free:,} bytes free, and a night may need {needed:,} "
            f"({GENERATIONS} times the warehouse, and what is landed). Nothing was written. Make room, or "
            "set ALMANAC_DATA_DIR to a folder on a larger disk."
        )


@contextmanager
def full_disk_explained(settings: Settings) -> Iterator[None]:
    """Turn a disk that fills up in this block, whatever meets it, into an AlmanacError that says so."""
    try:
        yield
    except Exception as error:
        if isinstance(error, AlmanacError) or not _is_full_disk(error):
            raise
        raise AlmanacError(
            f"The disk of {settings.data_dir} is full ({free_bytes(settings):,} bytes free). "
            "What is published is whole. Make room, then run the same command again."
        ) from error


def _is_full_disk(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    # DuckDB's IOException, and what others make of it, carry the system's words
    return any(words in str(error) for words in ("No space left on device", "Disk quota exceeded"))


def _size(path: Path) -> int:
    """Bytes of a file, or of the files right in a folder and in its folders; 0 when there is none."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in (*path.glob("*"), *path.glob("*/*")) if file.is_file())
