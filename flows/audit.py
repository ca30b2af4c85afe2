"""Decide whether a side file may be published: the laws and every error-severity data test.

The checks themselves are dbt tests (tests/dbt, and those declared beside the models);
this module runs them, fetches the rows that break them, and says which law broke.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.build import variables_of
from flows.dbt_runner import NodeResult, run_dbt
from flows.errors import AlmanacError
from flows.progress import Progress, SilentProgress
from flows.settings import Settings

SHOWN_ROWS = 5  # rows that a failed check shows


class AuditFailed(AlmanacError):
    """A law or a data test of severity error broke; nothing is published."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """How many checks held, and the names of those that only warn."""

    check_count: int
    warnings: tuple[str, ...]


def audit(
    side_file: Path, settings: Settings, as_of: datetime, *, progress: Progress | None = None
) -> AuditReport:
    """Run every data test on the side file.

    Raises AuditFailed with the broken laws and up to five rows of each.
    """
    _require_rows(side_file, settings, as_of)
    results = run_dbt(
        ["test", "--exclude-resource-type", "unit_test"],
        settings=settings,
        side_file=side_file,
        as_of=as_of,
        variables=json.loads(variables_of(side_file).read_text(encoding="utf-8")),
        progress=progress or SilentProgress(),
        stage="Auditing",
    )
    if not results:
        raise AuditFailed("No check ran, so nothing is known of this build; nothing is published.")
    broken = [result for result in results if result.status in ("fail", "error", "skipped")]
    if broken:
        raise AuditFailed(_explain(broken, side_file, settings))
    return AuditReport(
        check_count=len(results),
        warnings=tuple(sorted(result.name for result in results if result.status == "warn")),
    )


def _require_rows(side_file: Path, settings: Settings, as_of: datetime) -> None:
    """A night without any job, call or ledger row must not replace one that has some."""
    if _row_count(settings.warehouse_path) and not _row_count(side_file):
        raise AuditFailed(
            f"No job, call or ledger row existed as of {as_of} UTC, and the published warehouse has some. "
            "Nothing is published. Is --as-of what you meant?"
        )


def _row_count(warehouse: Path) -> int:
    import duckdb

    if not warehouse.is_file():
        return 0
    facts = ("fct_jobs", "fct_llm_calls", "fct_credit_transactions")
    counts = " + ".join(f"(select count(*) from marts.{fact})" for fact in facts)
    try:
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            row = connection.execute(f"select {counts}").fetchone()
    except duckdb.Error:
        return 0  # damaged, or without these marts: nothing that a night could take away
    return int(row[0]) if row else 0


def law_of(test_name: str) -> str | None:
    """The law (I1 … I13) that a test holds, from its name; None for other data tests."""
    match = re.match(r"assert_i(\d+)_", test_name)
    return f"I{int(match[1])}" if match else None


def _explain(broken: Sequence[NodeResult], side_file: Path, settings: Settings) -> str:
    lines = [f"The audit failed: {len(broken)} checks broke. Nothing is published."]
    for result in sorted(broken, key=lambda result: result.name):
        law = law_of(result.name)
        title = f"law {law}, {result.name}" if law else result.name
        if result.status != "fail":
            lines.append(f"- {title}: could not be checked: {result.message.strip()}")
            continue
        lines.append(f"- {title}: {result.failures} rows break it")
        lines.extend(f"    {row}" for row in _breaking_rows(result, side_file, settings))
    lines.append(f"The build is kept for a look: {side_file}")
    return "\n".join(lines)


def _breaking_rows(result: NodeResult, side_file: Path, settings: Settings) -> list[str]:
    import duckdb

    landing = str(settings.landing_path).replace("'", "''")
    with duckdb.connect(str(side_file), read_only=True) as connection:
        connection.execute(f"attach '{landing}' as landing (read_only)")
        cursor = connection.execute(f"select * from ({result.compiled_sql}) as breaks limit {SHOWN_ROWS}")
        names = [str(column[0]) for column in cursor.description or ()]
        return [_row_text(names, row) for row in cursor.fetchall()]


def _row_text(names: Sequence[str], row: Sequence[Any]) -> str:
    # one line per row whatever a tenant's id holds
    text = ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True))
    return " ".join(text.split())[:400]
