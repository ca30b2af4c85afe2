"""Partial builds of the models' own compiled SQL, many in one process, beside full ones of the same rows.

Owns the short cut of `tests.warehouse` for incremental builds: dbt compiles the project once for full builds
and once with marks where the touched ranges go, with the text of the project's own strategies; each build
fills them in and applies every node as dbt would. What is landed comes through the real landing.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from flows.coverage import Coverage, Touched, landed_coverage, touched_since
from flows.published_night import remember_published
from flows.settings import Settings
from tests.canonical import canonical_rows
from tests.warehouse import (
    AS_OF_MARK,
    ROOT,
    ZONE_MARK,
    compile_project,
    evaluated_at_function,
    nodes_in_order,
    seed_query,
)

KINDS = (
    *("day", "week", "month", "ledger", "ledger_day", "ledger_week", "ledger_month"),
    *("read", "read_week", "read_month", "read_summaries", "read_ledger_jobs", "read_ledger_charges"),
)
# Of the models that are replaced by several (replaced_when_one_touched), in their order.
KINDS_TOGETHER = (("ledger_week", "ledger_month"), ("month", "day"))
# Ranges of one kind that a build can have.
MOST_RANGES = 32
COMPARED_SCHEMAS = ("marts", "reviews", "compat", "kept")
# When a row was built is no fact: rows that are not touched keep the as_of of an earlier build.
LEFT_OUT = ("built_at_as_of", "calculated_at")
GENERATIONS = ("gen_a", "gen_b")
FULL = "full_refresh"

_DATABASE = '"warehouse".'
_TARGET, _TEMP, _COLUMNS, _CLOCK = "target_mark", "rows_to_insert", "columns_mark", "column_mark"
_EMPTY, _NO_END = "8888-08-08", "9999-12-31"
_EMPTY_RANGE = re.compile(
    rf"""\s+or\s+\(\s*[\w."]+ >= cast\('{_EMPTY}' as \w+\)\s+and [\w."]+ < cast\('{_EMPTY}' as \w+\)\s*\)"""
)
_MARK = re.compile(r"11\d\d-\d\d-\d\d")
_PUBLISHED = ("kept.coverage", "marts.dim_dates", "marts.team_usage_daily", "marts.restatements")


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the project: how it is built anew and, if it is incremental, brought up to date."""

    name: str
    schema: str
    create: str
    full_query: str
    partial_query: str
    # delete and insert of its strategy; empty: it is built anew in a partial build as well
    replace: str


@dataclass(frozen=True, slots=True)
class Project:
    """Every node of the project in an order in which they can be built."""

    steps: tuple[Step, ...]
    schemas: tuple[str, ...]


# --- compiling ----------------------------------------------------------------------------------------------


def _marks(kind: str) -> list[list[str]]:
    first = date(1100 + KINDS.index(kind), 1, 1)
    days = [str(first + timedelta(days=n)) for n in range(2 * MOST_RANGES)]
    return [[days[n], days[n + 1]] for n in range(0, len(days), 2)]


def _clock(kind: str) -> str:
    """What stands in a strategy for the column of a kind of ranges."""
    return f"{_CLOCK}_{kind}"


_STRATEGIES = {
    **{
        f"replace_touched_{'_'.join(kinds)}": (
            f"{{{{ config(replaced={ {kind: _clock(kind) for kind in kinds} }) }}}}"
            "{{ get_incremental_replace_touched_sql(arguments) }}"
        )
        for kinds in (*((kind,) for kind in KINDS), *KINDS_TOGETHER)
    },
    "replace_walked": "{{ get_incremental_replace_walked_sql(arguments) }}",
    "replace_reviewed": "{{ get_incremental_replace_reviewed_sql(arguments) }}",
}


@cache
def incremental_project(*marts: str) -> Project:
    """The whole project, or what some marts need, compiled for full and for partial builds."""
    full, partial = _manifests()
    models = [node["name"] for node in full["nodes"].values() if node["resource_type"] == "model"]
    return _project(full, partial, marts or models)


def views_left_as_they_are() -> dict[str, tuple[str, str]]:
    """Views that a partial build on DuckDB does not make anew: their SQL in a full and a partial build."""
    full, partial = _manifests()
    return {
        node["name"]: (node["compiled_code"], partial["nodes"][node["unique_id"]]["compiled_code"])
        for node in full["nodes"].values()
        if node["resource_type"] == "model"
        and node["config"]["materialized"] == "view"
        and "each_build" not in node["tags"]
    }


@cache
def _manifests() -> tuple[dict[str, Any], dict[str, Any]]:
    """Compiled for full and for partial builds, once for this process."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        _copy_with_strategies(project)

        def compiled(name: str, variables: dict[str, Any]) -> dict[str, Any]:
            return compile_project(
                Path(folder) / name / "target",
                as_of=AS_OF_MARK,
                reporting_timezone=ZONE_MARK,
                more_variables=variables,
                project=project,
            )

        touched = {kind: _marks(kind) for kind in KINDS}
        with ThreadPoolExecutor(2) as both:
            full = both.submit(compiled, "full", {})
            partial = both.submit(compiled, "partial", {"touched": touched})
            return full.result(), partial.result()


def _copy_with_strategies(project: Path) -> None:
    """A copy of the project whose analyses call its incremental strategies."""
    for name in ("models", "macros", "tests/dbt"):
        shutil.copytree(ROOT / name, project / name)
    shutil.copy(ROOT / "profiles.yml", project)
    text = (ROOT / "dbt_project.yml").read_text(encoding="utf-8")
    text, count = re.subn(r"analysis-paths: \[\]", 'analysis-paths: ["analyses"]', text)
    assert count == 1
    (project / "dbt_project.yml").write_text(text, encoding="utf-8")
    (project / "analyses").mkdir()
    arguments = (
        f"{{% set arguments = {{'target_relation': '{_TARGET}', 'temp_relation': '{_TEMP}', "
        f"'dest_columns': [{{'quoted': '{_COLUMNS}'}}]}} %}}"
    )
    for name, call in _STRATEGIES.items():
        (project / "analyses" / f"{name}.sql").write_text(arguments + call, encoding="utf-8")


def _project(full: dict[str, Any], partial: dict[str, Any], names: Collection[str]) -> Project:
    strategies = {
        node["name"]: node["compiled_code"]
        for node in partial["nodes"].values()
        if node["resource_type"] == "analysis"
    }
    steps = tuple(
        _step(node, partial["nodes"][node["unique_id"]], strategies)
        for node in nodes_in_order(full, names)
        if node["config"]["materialized"] != "ephemeral"  # a part of what reads it
    )
    return Project(steps, tuple(sorted({step.schema for step in steps})))


def _step(full: dict[str, Any], partial: dict[str, Any], strategies: dict[str, str]) -> Step:
    relation = full["relation_name"]
    config = full["config"]
    kind = "view" if config["materialized"] == "view" else "table"
    replacement = ""
    if full["resource_type"] == "seed":
        query = seed_query(full)
        return Step(full["name"], full["schema"], f"create or replace table {relation} as ", query, query, "")
    if config["materialized"] == "incremental":
        if config["incremental_strategy"] != "replace_touched":
            replacement = strategies[config["incremental_strategy"]]
        else:
            replacement = strategies[f"replace_touched_{'_'.join(config['replaced'])}"]
            for ranges, column in config["replaced"].items():
                replacement = replacement.replace(_clock(ranges), column)
        replacement = replacement.replace(_TARGET, relation)
    return Step(
        name=full["name"],
        schema=full["schema"],
        create=f"create or replace {kind} {relation} as ",
        full_query=full["compiled_code"],
        partial_query=partial["compiled_code"],
        replace=replacement,
    )


def _values_of_marks(touched: Touched) -> dict[str, str]:
    """What stands where the marks of the touched ranges are."""
    values: dict[str, str] = {}
    for kind, ranges in touched.variables.items():
        if len(ranges) > MOST_RANGES:
            raise ValueError(f"{len(ranges)} ranges of kind {kind}: tests.incremental knows {MOST_RANGES}")
        padded: list[list[str | None]] = ranges + [[_EMPTY, _EMPTY]] * (MOST_RANGES - len(ranges))
        for marks, bounds in zip(_marks(kind), padded, strict=True):
            values |= {mark: bound or _NO_END for mark, bound in zip(marks, bounds, strict=True)}
    return values


def _with_ranges(text: str, values: dict[str, str]) -> str:
    return _EMPTY_RANGE.sub("", _MARK.sub(lambda mark: values[mark[0]], text))


# --- building -----------------------------------------------------------------------------------------------


class Warehouses:
    """Two generations that take turns and a full build to compare them with, over one landing database."""

    def __init__(self, landing_path: Path, *, reporting_timezone: str, marts: Collection[str] = ()) -> None:
        self.project = incremental_project(*marts)
        self.reporting_timezone = reporting_timezone
        self.landing_path = landing_path
        self.coverage: dict[str, Coverage | None] = dict.fromkeys(GENERATIONS)
        self.published: str | None = None
        self.last_touched: Touched | None = None
        self._settings = Settings(
            data_dir=landing_path.parent,
            source=None,
            target="duckdb",
            reporting_timezone=reporting_timezone,
        )
        self.connection = duckdb.connect()
        self.connection.execute("set TimeZone = 'UTC'; set threads = 1")
        for name in (*GENERATIONS, FULL):
            self.connection.execute(f"attach ':memory:' as {name}")
            for schema in self.project.schemas:
                self.connection.execute(f"create schema if not exists {name}.{schema}")

    def close(self) -> None:
        self.connection.close()

    def build(self, generation: str, as_of: datetime, *, stop_after: int | None = None) -> bool:
        """Bring a generation to what is landed; whether only what was touched was rebuilt.

        `stop_after` nodes the build dies, and what it has done stays: on PostgreSQL the next one takes it up.
        """
        self._attach()
        try:
            wanted = landed_coverage(self.connection, as_of=as_of, reporting_timezone=self.reporting_timezone)
            built = self.coverage[generation]
            touched = touched_since(self.connection, built, wanted) if built else None
            self.last_touched = touched
            if touched is None:
                self.coverage[generation] = None
            remember_published(self.connection, self._settings, touched)
            self._apply(generation, as_of, touched, stop_after)
            if stop_after is None:
                self.coverage[generation] = wanted
        finally:
            self._detach()
        return touched is not None

    def drop(self, generation: str) -> None:
        """On DuckDB the file of a build that died is not taken up again."""
        self.coverage[generation] = None

    def compare(self, generation: str, as_of: datetime) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Canonical rows of a full build and of the generation, not yet published."""
        self._attach()
        try:
            remember_published(self.connection, self._settings, None)
            self._apply(FULL, as_of, None, None)
            return self._rows(FULL), self._rows(generation)
        finally:
            self._detach()

    def rows(self, generation: str) -> dict[str, list[str]]:
        """Canonical rows of the generation."""
        self._attach()
        try:
            return self._rows(generation)
        finally:
            self._detach()

    def _rows(self, catalog: str) -> dict[str, list[str]]:
        self.connection.execute(f"use {catalog}")
        return canonical_rows(self.connection, leave_out=LEFT_OUT, schemas=COMPARED_SCHEMAS)

    def _apply(self, catalog: str, as_of: datetime, touched: Touched | None, stop_after: int | None) -> None:
        self.connection.execute(f"use {catalog}")
        if "alerts" in self.project.schemas:
            self.connection.execute(evaluated_at_function(as_of, catalog))
        values = _values_of_marks(touched) if touched else {}
        for step in self.project.steps[:stop_after]:
            query = step.partial_query if touched else step.full_query
            if touched and step.replace:
                self._run(f"create or replace temp table {_TEMP} as {query}", catalog, as_of, values)
                described = self.connection.execute(f"describe {step.schema}.{step.name}").fetchall()
                columns = ", ".join(f'"{column[0]}"' for column in described)
                self.connection.execute("begin")
                try:
                    self._run(step.replace.replace(_COLUMNS, columns), catalog, as_of, values)
                    self.connection.execute("commit")
                except duckdb.Error:
                    self.connection.execute("rollback")
                    raise
            else:
                self._run(step.create + query, catalog, as_of, values)

    def _run(self, text: str, catalog: str, as_of: datetime, values: dict[str, str]) -> None:
        text = text.replace(_DATABASE, f'"{catalog}".')
        text = text.replace(AS_OF_MARK, str(as_of)).replace(ZONE_MARK, self.reporting_timezone)
        self.connection.execute(_with_ranges(text, values) if values else text)

    def publish(self, generation: str) -> None:
        """A file with what the next build remembers of this night, where the published warehouse lies."""
        self.published = generation
        coverage = self.coverage[generation]
        assert coverage is not None, "it is built"
        path = self._settings.warehouse_path
        path.unlink(missing_ok=True)
        self.connection.execute(f"attach '{path}' as night")
        self.connection.execute("create schema night.kept; create schema night.marts")
        self.connection.execute(f"create table night.kept.coverage ({Coverage.COLUMNS})")
        places = ", ".join("?" * len(coverage.values))
        self.connection.execute(f"insert into night.kept.coverage values ({places})", list(coverage.values))
        for name in _PUBLISHED[1:]:
            self.connection.execute(f"create table night.{name} as from {generation}.{name}")
        self.connection.execute("detach night")

    def _attach(self) -> None:
        self.connection.execute(f"attach '{self.landing_path}' as landing")
        self.connection.execute("use landing")

    def _detach(self) -> None:
        self.connection.execute("use memory; detach landing")


def differing(expected: dict[str, list[str]], actual: dict[str, list[str]]) -> Collection[str]:
    """The relations that are not the same."""
    return [name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name)]
