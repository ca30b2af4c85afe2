"""What a build leaves for the audit and the publication, and how dbt is run on it.

A side file on DuckDB, a generation on PostgreSQL; nobody reads either yet.
"""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.coverage import Touched
from flows.dbt_runner import DbtFailed, run_dbt
from flows.errors import AlmanacError
from flows.machine import engine_memory_mb
from flows.progress import Progress
from flows.settings import Settings
from flows.warehouse_postgres import (
    Generation,
    connect,
    dbt_environment,
    dbt_variables,
    prepare_generation,
)

Built = Path | Generation


# What a build makes no table of.
EXCLUDED = ("test", "unit_test", "exposure")

# Of a partial build: what has rows, and the views whose text says what is touched or when.
MADE_ANEW = ("config.materialized:table", "config.materialized:incremental", "tag:each_build")


def _made_anew(built: Built) -> tuple[str, ...]:
    """What a partial build does not leave as the same models and seeds made it, as options of dbt."""
    if isinstance(built, Generation):
        return ()  # a generation's views are dropped with the tables that they read
    return ("seed", "--select", *MADE_ANEW, "--exclude", "path:models/alerts")


def audited_path(settings: Settings, built: Built) -> Path:
    """Where it is written what the audit looks at, as vars of dbt; none: everything."""
    if isinstance(built, Generation):
        return settings.build_dir / f"{built.prefix}audit.json"
    return built.with_name("audit.json")


def audited_variables(settings: Settings, built: Built) -> dict[str, Any]:
    variables: dict[str, Any] = json.loads(audited_path(settings, built).read_text(encoding="utf-8"))
    return variables


def _as_variables(touched: Touched | None) -> dict[str, Any]:
    return {"touched": touched.variables} if touched else {}


def dbt_settings(
    settings: Settings, built: Built, run_id: str | None, *, is_partial: bool = False
) -> tuple[dict[str, str], dict[str, str]]:
    """The environment and the vars with which dbt finds what it builds, and schema raw."""
    if isinstance(built, Generation):
        return dbt_environment(settings, run_id=run_id), dbt_variables(settings, built)
    environment = {
        "ALMANAC_TARGET": "duckdb",
        "ALMANAC_BUILD_PATH": str(built),
        "ALMANAC_LANDING_PATH": str(settings.landing_path),
        "ALMANAC_ENGINE_MEMORY": f"{engine_memory_mb(settings.build_memory_mb, is_partial=is_partial)}MB",
    }
    return environment, {}


def build_models(
    settings: Settings,
    built: Built,
    *,
    as_of: datetime,
    touched: Touched | None,
    audited: Touched | None,
    progress: Progress,
    run_id: str | None = None,
    portions: list[list[list[str]]] | None = None,
) -> None:
    """Build what is `touched` (None: every model whole), and leave beside it what the audit is to look at.

    Models that can be are built whole in `portions`, one after the other (see coverage.portions_of).
    DbtFailed names the models that could not be built.
    """
    path = audited_path(settings, built)
    path.with_suffix(".audited").unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    variables = _as_variables(touched)
    # the laws look at what is `audited`, tests declared beside a model at what was rebuilt of it
    looked_at = {**_as_variables(audited), **({"rebuilt": touched.variables} if touched else {})}
    path.write_text(json.dumps(looked_at), encoding="utf-8")
    environment, places = dbt_settings(settings, built, run_id, is_partial=bool(variables))
    results = run_dbt(
        ["build", "--exclude-resource-type", *EXCLUDED, *(_made_anew(built) if variables else ())],
        settings=settings,
        environment=environment,
        as_of=as_of,
        variables={**variables, **({"portions": portions} if portions else {}), **places},
        progress=progress,
        stage="Building what has changed" if variables else "Building the marts",
        writes_manifest=not variables,
    )
    failed = [result for result in results if result.status in ("error", "fail")]
    if failed:
        lines = [f"  {result.name}: {_first_lines(result.message)}" for result in failed]
        raise DbtFailed(
            f"{len(failed)} of {len(results)} models could not be built; nothing is published.\n"
            + "\n".join(lines)
        )


def _first_lines(message: str) -> str:
    return " ".join(line.strip() for line in message.strip().splitlines()[:4])


# --- between `almanac build` and `almanac publish` -------------------------------------------------------


def mark_audited(settings: Settings, built: Built) -> None:
    """Note that a build has passed its audit and may be published."""
    name = built.name if isinstance(built, Generation) else str(built)
    audited_path(settings, built).with_suffix(".audited").write_text(name, encoding="utf-8")


def newest_audited(settings: Settings) -> Built:
    """The build that last passed its audit; AlmanacError when there is none."""
    pattern = "gen_?_audit.audited" if settings.target == "postgres" else "*/audit.audited"
    for mark in sorted(settings.build_dir.glob(pattern), key=lambda mark: mark.stat().st_mtime_ns)[::-1]:
        if settings.target == "postgres":
            with closing(connect(settings)) as warehouse:
                generation = prepare_generation(warehouse)
            if generation.name == mark.read_text(encoding="utf-8") and generation.coverage is not None:
                return generation
        elif (side_file := mark.with_name(settings.warehouse_path.name)).is_file():
            return side_file
    raise AlmanacError(f"No build in {settings.build_dir} has passed its audit. Run `almanac build` first.")
