"""dbt, kept in memory: a process that runs one dbt command after the other for flows.dbt_runner.

Reads a command a line from its standard input, as JSON, and answers in lines of JSON: `done` and `total`
after every node, `complaint` for what dbt calls an error, and at last `exit`, the code that dbt's own command
would have ended with. It ends when its input does.

Parsing the project takes longer than building what a night has changed, so what was parsed is kept in a file
beside dbt's own, and read again by whoever comes with the same project.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from dbt.adapters.factory import get_adapter_class_by_name, reset_adapters
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

RESULTS = ("LogModelResult", "LogTestResult", "LogSeedResult")
PACKAGES = ("dbt-core", "dbt-adapters", "dbt-common")
PROJECT_FILES = ("dbt_project.yml", "profiles.yml")
PROJECT_FOLDERS = ("models", "macros", "tests/dbt")

# What a node's name is made of; every other var is read when a node runs.
PARSED_VARIABLES = ("landing_database", "schema_prefix")
PARSED_SETTINGS = ("ALMANAC_TARGET", "ALMANAC_BUILD_PATH", "ALMANAC_WAREHOUSE_NAME")

# Of so many projects what was parsed is kept, 4 MB each: both generations of a warehouse, and a few more.
KEPT = 8


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # whatever a library prints must not be taken for an answer
    os.dup2(2, 1)
    inherited = dict(os.environ)
    for line in sys.stdin:
        command = json.loads(line)
        os.environ.clear()
        os.environ.update(inherited | command["environment"])
        _run(command, answers)


def _run(command: dict[str, Any], answers: TextIO) -> None:

    def answer(**fields: Any) -> None:
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    def follow(event: Any) -> None:
        if event.info.level == "error":
            answer(complaint=event.info.msg.strip())
        if event.info.name in RESULTS:
            # the one has `total`, the other `num_models`
            total = getattr(event.data, "total", 0) or getattr(event.data, "num_models", 0)
            answer(done=event.data.index, total=total)

    manifest = None
    if command["keeps_parsed"]:
        digest = digest_of_project(Path(command["project_dir"]), command["environment"], command["variables"])
        kept = Path(command["parsed_dir"]) / f"{digest}.msgpack"
        # read for every command: running one leaves its SQL in the manifest
        manifest = read_kept(kept)
        if manifest is None:
            variables = _parsed(command["variables"])
            parsed = dbtRunner(callbacks=[follow]).invoke(
                ["parse", *command["options"], "--no-partial-parse", "--vars", json.dumps(variables)]
            )
            _let_go()
            if not isinstance(parsed.result, Manifest):
                answer(exit=_exit_code(parsed.success, parsed.exception, answer))
                return
            manifest = parsed.result
            write_kept(kept, manifest)
    arguments = [*command["arguments"], *command["options"], "--vars", json.dumps(command["variables"])]
    ended = dbtRunner(manifest=manifest, callbacks=[follow]).invoke(arguments)
    _let_go()
    # the only one of dbt's files that every command must leave
    if "--no-write-json" in arguments and isinstance(ended.result, RunExecutionResult):
        ended.result.write(command["results_path"])
    answer(exit=_exit_code(ended.success, ended.exception, answer))


def _exit_code(success: bool, exception: BaseException | None, answer: Any) -> int:
    if exception is not None:
        answer(complaint=f"{type(exception).__name__}: {exception}")
        return 2
    return 0 if success else 1


def _let_go() -> None:
    """Close what dbt keeps open for as long as its process lives: the next step opens the same file."""
    reset_adapters()  # type: ignore[no-untyped-call]
    if os.environ["ALMANAC_TARGET"] == "duckdb":
        adapter: Any = get_adapter_class_by_name("duckdb")
        adapter.ConnectionManager.close_all_connections()


# --- what was parsed ----------------------------------------------------------------------------------------


def digest_of_project(project: Path, environment: Mapping[str, str], variables: Mapping[str, Any]) -> str:
    """What decides what dbt parses: the project's files, the names in it, and the versions."""
    settings = {name: Path(environment.get(name, "")).stem for name in PARSED_SETTINGS}
    versions = {name: version(name) for name in (*PACKAGES, f"dbt-{environment['ALMANAC_TARGET']}")}
    digest = hashlib.sha256(json.dumps([settings, versions, _parsed(variables)]).encode())
    files = [project / name for name in PROJECT_FILES]
    for folder in PROJECT_FOLDERS:
        files.extend(sorted(path for path in (project / folder).rglob("*") if path.is_file()))
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(project)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def _parsed(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: variables[name] for name in PARSED_VARIABLES if name in variables}


def read_kept(path: Path) -> Manifest | None:
    try:
        return Manifest.from_msgpack(path.read_bytes())
    except FileNotFoundError:
        return None
    except Exception:  # cut short by a full disk, or of no manifest at all: it is parsed anew
        path.unlink(missing_ok=True)
        return None


def write_kept(path: Path, manifest: Manifest) -> None:
    """Keep it for the next process; what cannot be written is parsed again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    older = sorted(path.parent.glob("*.msgpack"), key=lambda other: other.stat().st_mtime_ns)
    for one in older[: -KEPT + 1]:
        one.unlink(missing_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        unfinished.write_bytes(manifest.to_msgpack())
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
