"""What a killed run leaves in the data folder, and its removal by the next one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from flows.settings import Settings

# The names that flows.whole_files writes under before it puts a document or a page in place.
_HALF_WRITTEN = re.compile(r"\.[\w-]+(?:\.parts)?\.(?:html|pdf|csv)\.[a-z0-9_]{8}")


def collect_leftovers(settings: Settings, *, builds: bool) -> None:
    """Remove what dead runs left; only for the holder of the lease, and only names that runs make.

    `builds`: also the builds that nobody published, the audited ones included, as before a new build.
    """
    for path in _leftovers(settings, builds=builds):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _leftovers(settings: Settings, *, builds: bool) -> Iterator[Path]:
    landing = settings.landing_path
    # not landing.duckdb.wal, which holds what is committed
    for ending in (".new", ".new.wal", ".tmp"):
        yield landing.with_name(landing.name + ending)
    if builds and not settings.build_dir.is_symlink() and settings.build_dir.is_dir():
        yield from (path for path in settings.build_dir.iterdir() if path != settings.previous_path)
    for path in (*settings.reviews_dir.glob("*/*/.*"), *settings.dashboard_dir.glob(".*")):
        if _HALF_WRITTEN.fullmatch(path.name):
            yield path
