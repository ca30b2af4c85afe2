"""Whether the mirror in PostgreSQL holds what the landing database holds for the models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from flows.mirror import OF_LANDINGS
from tests.canonical import canonical_differences, canonical_rows

if TYPE_CHECKING:
    import psycopg


def mirrored_differences(landing: Path, warehouse: psycopg.Connection[Any]) -> list[str]:
    """How schema raw of the two differs, in lines; without what landings note for themselves."""
    with duckdb.connect(str(landing), read_only=True) as connection:
        landed = canonical_rows(connection, schemas=("raw",))
    own = {f"raw.{table}" for table in OF_LANDINGS}
    expected = {name: rows for name, rows in landed.items() if name not in own}
    return canonical_differences(expected, canonical_rows(warehouse, schemas=("raw",)))
