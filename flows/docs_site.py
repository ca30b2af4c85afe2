"""Write dbt's documentation of the published warehouse as one page: every column, and the lineage.

Needs no lock: dbt sees the names and types of what is published, not the file that people read, and works in
a folder of its own. The page asks for nothing from anywhere, and says so to the browser.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import PROJECT_DIR
from flows.build import published_coverage
from flows.dbt_runner import DbtFailed, run_dbt
from flows.errors import AlmanacError
from flows.warehouse_postgres import connection_parameters, dbt_environment
from flows.whole_files import write_whole

if TYPE_CHECKING:
    from flows.progress import Progress
    from flows.settings import Settings

PAGE_NAME = "index.html"

_SCRIPT = '<script defer="defer">'
_SCRIPT_END = "</script>"
_CHARSET = '<meta charset="utf-8">'
# Addresses that are meant for a site of its own: one of another page, one that dbt left as a template.
_ADDRESSES = re.compile(r'<link rel="(?:canonical|shortcut icon)"[^>]*/>')
# An address that the page fills in later; until then the browser would ask for "{{".
_UNFILLED = re.compile(r"(?<![-\w])(src|href)=(?=\\?[\"']\{\{)")


@dataclass(frozen=True, slots=True)
class DocsReport:
    """The page, how much it describes, and which public columns the published night does not have yet."""

    path: Path
    table_count: int
    column_count: int
    unpublished: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{self.path}: {self.table_count} tables and views, {self.column_count} columns"
        if self.unpublished:
            text += (
                f"\n{len(self.unpublished)} described columns are not in the published night, such as "
                f"{self.unpublished[0]}: the models are newer than it. Run `almanac nightly` first."
            )
        return text


def write_docs(settings: Settings, output_dir: Path, *, progress: Progress) -> DocsReport:
    """Write the page into a folder, in one move, and say what it describes.

    Raises AlmanacError when nothing is published, and DbtFailed when dbt could not describe it.
    """
    covered = published_coverage(settings)
    if covered is None:
        raise AlmanacError("Nothing is published to describe. Run `almanac demo` or `almanac nightly` first.")
    with tempfile.TemporaryDirectory(prefix="almanac-docs-") as folder:
        work_dir = Path(folder)
        environment, variables = _places(settings, work_dir)
        results = run_dbt(
            ["docs", "generate", "--static"],
            settings=settings.model_copy(update={"reporting_timezone": covered.reporting_timezone}),
            environment=environment,
            as_of=covered.as_of,
            progress=progress,
            stage="Describing the warehouse",
            variables=variables,
            work_dir=work_dir,
            keeps_parsed=False,
        )
        target_dir = work_dir / "target"
        broken = [result.name for result in results if result.status == "error"]
        if broken:
            raise DbtFailed(f"dbt could not compile {', '.join(broken[:5])}; no documentation is written.")
        report = _report(target_dir, output_dir / PAGE_NAME)
        page = (target_dir / "static_index.html").read_text(encoding="utf-8")
        # where dbt worked, and where the project lies, is nobody's business
        page = page.replace(json.dumps(f"{target_dir}/")[1:-1], "")
        page = page.replace(f'"root_path": {json.dumps(str(PROJECT_DIR))}', '"root_path": ""')
        _write(report.path, closed_page(page))
    return report


def _places(settings: Settings, work_dir: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The environment and the vars with which dbt finds what is published, and can change none of it."""
    if settings.target == "postgres":
        environment = dbt_environment(settings)
        environment["PGOPTIONS"] += " -c default_transaction_read_only=on"
        return environment, {"landing_database": connection_parameters(settings)["dbname"]}
    shape = work_dir / settings.warehouse_path.name
    _copy_shape(settings.warehouse_path, shape)
    return {"ALMANAC_TARGET": "duckdb", "ALMANAC_BUILD_PATH": str(shape)}, {}


def _copy_shape(published: Path, shape: Path) -> None:
    """A database with the tables, views and comments of the published one, and no row."""
    import duckdb

    try:
        with duckdb.connect() as connection:
            for path, name, how in ((published, "published", "(read_only)"), (shape, "shape", "")):
                quoted = str(path).replace("'", "''")
                connection.execute(f"attach '{quoted}' as {name} {how}")
            connection.execute("copy from database published to shape (schema)")
    except duckdb.Error as error:
        raise AlmanacError(
            f"The published warehouse {published} cannot be described: {error}\n"
            "Run `almanac nightly` again; it replaces the file."
        ) from error


def _report(target_dir: Path, path: Path) -> DocsReport:
    """What dbt's catalog has of the public tables; DbtFailed when dbt could not read the warehouse."""
    catalog = _artifact(target_dir / "catalog.json")
    manifest = _artifact(target_dir / "manifest.json")
    if catalog.get("errors"):
        raise DbtFailed(f"dbt could not read the published warehouse: {'; '.join(catalog['errors'])[:300]}")
    tables, columns, unpublished = 0, 0, []
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] != "model" or node["config"].get("access") != "public":
            continue
        there = catalog["nodes"].get(unique_id, {}).get("columns", {})
        tables += bool(there)
        columns += len(there)
        unpublished += [
            f"{node['schema']}.{node['name']}.{name}" for name in node["columns"] if name not in there
        ]
    if not tables:
        raise DbtFailed("dbt found no public table in the published warehouse; no documentation is written.")
    return DocsReport(path, tables, columns, tuple(sorted(unpublished)))


def _artifact(path: Path) -> dict[str, Any]:
    try:
        artifact: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DbtFailed(
            f"dbt left no readable {path.name} ({type(error).__name__}); nothing is written."
        ) from error
    return artifact


def closed_page(page: str) -> str:
    """dbt's page, which may run its own script and reach nothing else; DbtFailed when it has another form."""
    page = _UNFILLED.sub(r"ng-\1=", _ADDRESSES.sub("", page))
    before, opened, after = page.partition(_SCRIPT)
    script, ended, _ = after.partition(_SCRIPT_END)
    if not opened or not ended or _CHARSET not in before:
        raise DbtFailed(
            "The page that this version of dbt writes has another form than expected, so it could not be "
            "closed; nothing is written. Install the versions of requirements.lock (`make setup`)."
        )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )
    closed = f'{_CHARSET}<meta http-equiv="Content-Security-Policy" content="{policy}">'
    closed += '<meta name="referrer" content="no-referrer">'
    return page.replace(_CHARSET, closed, 1).replace(
        "<title>dbt Docs</title>", "<title>LLM Almanac</title>", 1
    )


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode(), before_replace=lambda: None)
    except OSError as error:
        raise AlmanacError(
            f"{path} cannot be written: {error.strerror}. Name a folder that you may write to with --output."
        ) from error
