"""Decide whether a side file may be published: the laws and every error-severity data test.

The checks themselves are dbt tests (tests/dbt, and those declared beside the models);
this module runs them, fetches the rows that break them, and says which law broke.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.built import Built, audited_variables, dbt_settings
from flows.dbt_runner import NodeResult, release_dbt, run_dbt
from flows.errors import AlmanacError
from flows.failpoints import failpoint
from flows.progress import Progress, SilentProgress
from flows.settings import Settings
from flows.warehouse_postgres import Generation, connect, published_generation

SHOWN_ROWS = 5  # rows that a failed check shows

# Of the declared tests, all in one query, each with its name in a column.
DECLARED_TESTS = "assert_declared_tests_hold"
DECLARED_TEST = " as declared_test,"

# Macros tried on literal rows: of the code, not of what it built.
LITERAL_TESTS = "path:tests/dbt/macros"

FACTS = ("fct_jobs", "fct_llm_calls", "fct_credit_transactions")


class AuditFailed(AlmanacError):
    """A law or a data test of severity error broke; nothing is published."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """How many checks held, and the names of those that only warn."""

    check_count: int
    warnings: tuple[str, ...]


def audit(
    built: Built,
    settings: Settings,
    as_of: datetime,
    *,
    progress: Progress | None = None,
    is_thorough: bool = False,
    run_id: str | None = None,
) -> AuditReport:
    """Run every data test: on the rows that the build replaced and on an older week; `is_thorough` on all.

    Raises AuditFailed with the broken laws and up to five rows of each.
    """
    failpoint("audit.before_checks")
    _require_rows(built, settings, as_of)
    variables = {} if is_thorough else audited_variables(settings, built)

    def run_tests(*selection: str) -> tuple[NodeResult, ...]:
        environment, places = dbt_settings(settings, built, run_id, is_partial=bool(variables))
        return run_dbt(
            ["test", "--exclude-resource-type", "unit_test", *selection],
            settings=settings,
            environment=environment,
            as_of=as_of,
            variables={**variables, **places},
            progress=progress or SilentProgress(),
            stage="Auditing",
            writes_manifest=False,
        )

    try:
        results = run_tests("--exclude", "test_type:generic", LITERAL_TESTS)
        if any(result.name == DECLARED_TESTS and result.status != "pass" for result in results):
            # one by one, each with the rows that break it
            results += run_tests("--select", "test_type:generic")
    finally:
        release_dbt()
    if not results:
        raise AuditFailed("No check ran, so nothing is known of this build; nothing is published.")
    broken = [result for result in results if result.status in ("fail", "error", "skipped")]
    if broken:
        raise AuditFailed(_explain(broken, built, settings))
    failpoint("audit.passed")
    return AuditReport(
        check_count=sum(result.compiled_sql.count(DECLARED_TEST) or 1 for result in results),
        warnings=tuple(sorted(result.name for result in results if result.status == "warn")),
    )


def _require_rows(built: Built, settings: Settings, as_of: datetime) -> None:
    """A night without any job, call or ledger row must not replace one that has some."""
    if isinstance(built, Generation):
        published, side = generation_row_counts(settings, built)
    else:
        published, side = _row_count(settings.warehouse_path), _row_count(built)
    if published and not side:
        raise AuditFailed(
            f"No job, call or ledger row existed as of {as_of} UTC, and the published warehouse has some. "
            "Nothing is published. Is --as-of what you meant?"
        )


def _row_count(warehouse: Path) -> int:
    import duckdb

    if not warehouse.is_file():
        return 0
    counts = " + ".join(f"(select count(*) from marts.{fact})" for fact in FACTS)
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


def _explain(broken: Sequence[NodeResult], built: Built, settings: Settings) -> str:
    lines = [f"The audit failed: {len(broken)} checks broke. Nothing is published."]
    for result in sorted(broken, key=lambda result: result.name):
        law = law_of(result.name)
        title = f"law {law}, {result.name}" if law else result.name
        if result.status != "fail":
            lines.append(f"- {title}: could not be checked: {result.message.strip()}")
            continue
        lines.append(f"- {title}: {result.failures} rows break it")
        query = f"select * from ({result.compiled_sql}) as breaks limit {SHOWN_ROWS}"
        lines.extend(f"    {_row_text(*row)}" for row in _breaking_rows(query, built, settings))
    what = built if isinstance(built, Path) else f"the schemas {built.prefix}..."
    lines.append(f"The build is kept for a look: {what}")
    return "\n".join(lines)


def _breaking_rows(query: str, built: Built, settings: Settings) -> list[tuple[Sequence[str], Sequence[Any]]]:
    """Column names and values of rows."""
    if isinstance(built, Generation):
        return read_rows(settings, query)
    import duckdb

    landing = str(settings.landing_path).replace("'", "''")
    with duckdb.connect(str(built), read_only=True) as connection:
        connection.execute(f"attach '{landing}' as landing (read_only)")
        cursor = connection.execute(query)
        names = [str(column[0]) for column in cursor.description or ()]
        return [(names, row) for row in cursor.fetchall()]


def _row_text(names: Sequence[str], row: Sequence[Any]) -> str:
    # one line per row whatever a tenant's id holds
    text = ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True))
    return " ".join(text.split())[:400]


# --- the postgres target -----------------------------------------------------------------------------------


def generation_row_counts(settings: Settings, generation: Generation) -> tuple[int, int]:
    """How many fact rows are published, and how many the generation has."""
    with closing(connect(settings)) as warehouse:
        published = published_generation(warehouse)
        prefixes = (published.prefix if published else None, generation.prefix)
        counts = []
        for prefix in prefixes:
            sums = " + ".join(f"(select count(*) from {prefix}marts.{fact})" for fact in FACTS)
            row = warehouse.execute(f"select {sums}".encode()).fetchone() if prefix else None
            counts.append(int(row[0]) if row else 0)
    return counts[0], counts[1]


def read_rows(settings: Settings, query: str) -> list[tuple[Sequence[str], Sequence[Any]]]:
    """Column names and values of a query's rows in the warehouse."""
    with closing(connect(settings)) as warehouse:
        cursor = warehouse.execute(query.encode())
        names = [str(column.name) for column in cursor.description or ()]
        return [(names, row) for row in cursor.fetchall()]
