"""Who may import whom (read from the syntax trees), and what `almanac --help` loads."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "api",
    "dbt",
    "fastapi",
    "duckdb",
    "pandas",
    "prefect",
    "pyarrow",
    "pydantic",
    "sqlalchemy",
    "weasyprint",
    "jinja2",
    "rich",
}


def imported_packages(path: Path) -> set[str]:
    """The top-level packages a module imports anywhere, except for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    packages: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            packages.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it leads"
            packages.add((node.module or "").partition(".")[0])
    return packages


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


SHIPPED = [*modules("api"), *modules("flows"), *modules("reports")]


def importers(package: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in SHIPPED if package in imported_packages(path)}


@pytest.mark.parametrize("path", modules("reports"), ids=lambda path: path.name)
def test_reports_knows_neither_flows_nor_what_makes_the_numbers(path: Path) -> None:
    assert imported_packages(path) & {"api", "flows", "prefect", "dbt", "duckdb", "pandas"} == set()


def test_the_command_alone_knows_the_service() -> None:
    assert {path for path in importers("api") if path.startswith("flows/")} <= {"flows/cli_serve.py"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_what_is_shipped_knows_neither_benchmarks_nor_tests(path: Path) -> None:
    assert imported_packages(path) & {"benchmarks", "tests"} == set()


def test_one_process_alone_runs_dbt() -> None:
    naming = {
        str(path.relative_to(ROOT))
        for path in SHIPPED
        if re.search(r"[\"' ]dbt\.[a-z]+", path.read_text(encoding="utf-8"))
    }
    assert importers("dbt") | naming == {"flows/dbt_process.py", "flows/dbt_runner.py"}


def test_only_the_flows_and_their_deployments_know_prefect() -> None:
    assert importers("prefect") == {"flows/deployments.py", "flows/prefect_flows.py"}
    machinery = re.compile(
        r"prefect\.(deployments|runner|schedules)|import serve\b|\.(serve|deploy|to_deployment)\("
    )
    using = {
        str(path.relative_to(ROOT)) for path in SHIPPED if machinery.search(path.read_text(encoding="utf-8"))
    }
    assert using == {"flows/deployments.py"}


@pytest.mark.parametrize("name", ["deployments", "prefect_flows"])
def test_no_command_but_schedule_reaches_prefect(name: str) -> None:
    reaching = {
        path.stem for path in modules("flows") if f"flows.{name} " in path.read_text(encoding="utf-8")
    }
    reaching |= {
        path.stem
        for path in modules("flows")
        if f"from flows import {name}" in path.read_text(encoding="utf-8")
    }
    assert reaching <= {"cli", "deployments"}


def test_one_module_alone_imports_weasyprint() -> None:
    assert importers("weasyprint") == {"reports/pdf.py"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_module_says_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_settings_alone_read_the_environment() -> None:
    touching = {
        path.name
        for path in SHIPPED
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    # dbt and fontconfig take their settings from the environment only, so the modules that run them set it.
    # A failpoint is armed for one process by its test, and is no setting.
    assert touching <= {"settings.py", "dbt_process.py", "dbt_runner.py", "pdf.py", "failpoints.py"}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['almanac', '--help']\n"
        "from flows.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: print('exit', end.code, file=sys.stderr)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    exit_line, loaded = run.stderr.splitlines()
    assert exit_line == "exit 0"
    assert "nightly" in run.stdout
    assert HEAVY & set(loaded.split()) == set()
