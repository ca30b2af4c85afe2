"""What the dbt project promises, read from its manifest: names, documents, contracts, layers, sizes."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse import ROOT, compile_project

Node = dict[str, Any]
PUBLIC_SCHEMAS = ("marts", "reviews", "alerts", "compat")
ONE_ROW_MODELS = {"compat_monitoring_dashboard"}  # one row, so no key
MEDIAN_LINES = 42
LONGEST_LINES = 100
COLUMN_TYPES = re.compile(r"string|integer|bigint|boolean|date|timestamp|numeric\(\d+, \d+\)")
FORBIDDEN = re.compile(
    r"target\.type|\bnow\(\)|\bcurrent_date\b|\bcurrent_timestamp\b|\brun_started_at\b|::|\bfloat\b|\bdouble\b"
)
NEEDS_A_UNIT_TEST = re.compile(r"\bcase\s|\bover\s*\(|\bover ledger\b|\bjoin\s")
# A rule of alerts ends in the macro that gives all of them the same columns.
ENDS_AS_A_RULE = re.compile(
    r"\n\{\{ (?:alert_candidates_of|counts_of_day)\((?:(?!\}\}).)*\) \}\}$", re.DOTALL
)
A_MACRO_AND_NOTHING_ELSE = re.compile(r"\{\{ \w+_by_period\([^{}]*\) \}\}")
COLUMNS_OF_ONE_MODEL = re.compile(
    r"(?:\{\{ config\((?:(?!\}\}).)*\) \}\}\s*)?select\s(?:(?!\b(?:from|distinct|unnest|explode)\b).)*"
    r"\bfrom \{\{ ref\('(?P<model>\w+)'\) \}\}",
    re.DOTALL,
)
AN_IMPLEMENTATION = re.compile(r"(?:default|duckdb|postgres|spark)__(\w+)")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole project's manifest; its paths and documents do not depend on as_of or the zone."""
    folder = tmp_path_factory.mktemp("manifest")
    return compile_project(folder, as_of="2026-11-23 00:00:00", reporting_timezone="UTC")


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> list[Node]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


@pytest.fixture(scope="module")
def public_models(models: list[Node]) -> list[Node]:
    return [model for model in models if model["schema"] in PUBLIC_SCHEMAS]


def is_rule(node: Node) -> bool:
    """Whether it is a rule of alerts; what rules share is tested through them."""
    return folder_of(node) == "alerts" and node["name"] != "alert_candidates" and node["schema"] == "alerts"


def names(nodes: list[Node], is_wrong: Callable[[Node], object]) -> list[str]:
    """The names of the nodes that break a rule; a test compares them with none."""
    return sorted(node["name"] for node in nodes if is_wrong(node))


def folder_of(node: Node) -> str:
    """The layer: the folder below models/."""
    return Path(node["original_file_path"]).parts[1]


def code_of(node: Node) -> str:
    """A model's own code without its comments."""
    code = re.sub(r"\{#.*?#\}", "", node["raw_code"], flags=re.DOTALL)
    return re.sub(r"--[^\n]*", "", code).strip()


def test_there_are_public_models_to_judge(public_models: list[Node]) -> None:
    assert {model["schema"] for model in public_models} == set(PUBLIC_SCHEMAS)
    assert len(public_models) > 60


def test_a_public_model_states_its_grain_first(public_models: list[Node]) -> None:
    assert names(public_models, lambda model: not model["description"].startswith("One row per ")) == []


def test_every_model_file_states_its_grain(models: list[Node]) -> None:
    assert names(models, lambda model: not re.match(r"\{#-\s+Grain: one row", model["raw_code"])) == [], (
        "a model opens with {#- Grain: one row per … -#}"
    )


def test_a_public_model_is_contracted_and_public(public_models: list[Node]) -> None:
    assert names(public_models, lambda model: not model["config"]["contract"]["enforced"]) == []
    assert names(public_models, lambda model: model["access"] != "public") == []


def test_every_public_column_says_what_it_is(public_models: list[Node]) -> None:
    assert names(public_models, lambda model: not model["columns"]) == []
    undescribed = [
        f"{model['name']}.{column['name']}"
        for model in public_models
        for column in model["columns"].values()
        if not column["description"].strip()
    ]
    assert undescribed == []


def test_public_columns_use_the_small_vocabulary_of_types(public_models: list[Node]) -> None:
    others = [
        f"{model['name']}.{column['name']}: {column['data_type']}"
        for model in public_models
        for column in model["columns"].values()
        if not COLUMN_TYPES.fullmatch(column["data_type"] or "")
    ]
    assert others == [], "no double, no float, no bare numeric: they differ between engines"


def test_every_public_models_key_is_tested(manifest: dict[str, Any], public_models: list[Node]) -> None:
    keys = {
        node["attached_node"]: node["test_metadata"]["kwargs"]["columns"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and (node.get("test_metadata") or {}).get("name") == "unique_combination"
    }

    def has_the_key_of_what_it_reads(model: Node) -> bool:
        # columns of one model, row by row: as unique as that model, and dear to look at twice
        read = COLUMNS_OF_ONE_MODEL.fullmatch(code_of(model))
        key = keys.get(f"model.llm_almanac.{read['model']}") if read else None
        columns = {line.strip(" ,") for line in code_of(model).splitlines()}
        return key is not None and set(key) <= columns

    unkeyed = names(
        public_models,
        lambda model: model["unique_id"] not in keys and not has_the_key_of_what_it_reads(model),
    )
    # a rule of alerts is a part of alert_candidates, whose key is theirs
    rules = set(names(public_models, lambda model: folder_of(model) == "alerts"))
    assert "alert_candidates" not in unkeyed
    assert set(unkeyed) - ONE_ROW_MODELS - rules == set()


def test_staging_intermediate_and_kept_models_are_private_to_the_builders(models: list[Node]) -> None:
    inner = [model for model in models if model["schema"] not in PUBLIC_SCHEMAS]
    # kept is published with the marts, though nobody's to query: the next night goes on from it
    assert {model["schema"] for model in inner} == {"staging", "intermediate", "kept"}
    assert names(inner, lambda model: model["access"] != "private" or model["group"] != "almanac") == []


def test_the_verdicts_of_reviews_wait_for_every_list_that_is_kept(models: list[Node]) -> None:
    kept = {
        model["name"] for model in models if model["config"]["incremental_strategy"] == "replace_reviewed"
    }
    verdicts = next(model for model in models if model["name"] == "review_verdicts")
    assert kept, "the strategy has another name"
    assert kept <= {name.rpartition(".")[2] for name in verdicts["depends_on"]["nodes"]}


def test_what_a_partial_build_goes_on_from_is_published(models: list[Node]) -> None:
    # staging and intermediate are dropped at publish: an incremental model there would begin anew each night
    incremental = [model for model in models if model["config"]["materialized"] == "incremental"]
    assert {model["schema"] for model in incremental} == {"kept", "marts", "reviews", "compat"}
    kept = [model for model in models if model["schema"] == "kept"]
    assert names(kept, lambda model: model not in incremental) == []
    strategies = {model["config"]["incremental_strategy"] for model in incremental}
    assert strategies == {"replace_touched", "replace_walked", "replace_reviewed"}


def test_only_staging_reads_sources_and_it_reads_nothing_else(models: list[Node]) -> None:
    staging = [model for model in models if folder_of(model) == "staging"]
    # rules of alerts are asked after the night, when the views of staging are gone
    others = [model for model in models if folder_of(model) not in ("staging", "alerts")]
    assert names(staging, lambda model: model["refs"]) == []
    assert names(others, lambda model: model["sources"]) == []


def test_a_rule_of_alerts_reads_nothing_that_is_gone_after_the_night(
    manifest: dict[str, Any], models: list[Node]
) -> None:
    gone = [
        f"{model['name']} reads {parent['name']}"
        for model in models
        if folder_of(model) == "alerts"
        for parent in (manifest["nodes"].get(name) for name in model["depends_on"]["nodes"])
        if parent is not None
        and parent["schema"] in ("staging", "intermediate")
        and parent["config"]["materialized"] != "ephemeral"
    ]
    assert gone == []


def test_no_layer_reads_one_above_it(manifest: dict[str, Any], models: list[Node]) -> None:
    # intermediate models may read marts of an earlier step (facts); reviews and compat are ends
    ends = {"reviews", "compat"}
    backwards = [
        f"{model['name']} reads {parent['name']}"
        for model in models
        for parent in (manifest["nodes"].get(name) for name in model["depends_on"]["nodes"])
        if parent is not None and folder_of(parent) in ends and folder_of(model) != folder_of(parent)
    ]
    assert backwards == []


def test_a_model_never_asks_the_clock_or_the_engine_and_has_no_floats(models: list[Node]) -> None:
    assert names(models, lambda model: FORBIDDEN.search(code_of(model))) == []


def test_a_model_is_short() -> None:
    lengths = {
        path.name: len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "models").rglob("*.sql")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_LINES} == {}
    # a rule of alerts names nineteen columns before it says anything
    rules = {path.name for path in (ROOT / "models" / "alerts").rglob("*.sql")}
    assert statistics.median(length for name, length in lengths.items() if name not in rules) <= MEDIAN_LINES


def test_a_model_is_one_select_or_ends_with_its_last_step(models: list[Node]) -> None:
    def is_wrong(model: Node) -> bool:
        code = code_of(model)
        has_steps = re.search(r"^with\b", code, flags=re.MULTILINE)
        return bool(has_steps) and not (
            re.search(r"\nselect \* from \w+(?:\nwhere .+)?$", code) or ENDS_AS_A_RULE.search(code)
        )

    assert names(models, is_wrong) == []


def test_every_macro_is_described_with_its_arguments(manifest: dict[str, Any]) -> None:
    macros = {
        macro["name"]: macro
        for macro in manifest["macros"].values()
        if macro["package_name"] == "llm_almanac"
    }
    # one of ours that takes the place of dbt's is described like the others
    of_dbt = {macro["name"] for macro in manifest["macros"].values()} - set(macros)
    wrong = []
    for name, macro in macros.items():
        implementation = AN_IMPLEMENTATION.fullmatch(name)
        if implementation and implementation[1] in macros:
            # one engine's text of a macro that is described under its own name
            continue
        if implementation and implementation[1] not in of_dbt:
            wrong.append(f"{name}: implements no macro")
        signature = re.search(r"\{%-?\s*(?:macro|test)\s+\w+\(([^)]*)\)", macro["macro_sql"])
        expected = re.findall(r"(\w+)(?:\s*=[^,]*)?", signature[1]) if signature else []
        documented = [argument["name"] for argument in macro["arguments"]]
        if not macro["description"].strip():
            wrong.append(f"{name}: no description")
        if documented != expected or not all(argument["description"] for argument in macro["arguments"]):
            wrong.append(f"{name}: takes {expected}, documents {documented}")
    assert wrong == []


def test_every_unit_test_names_its_model_and_states_its_case(manifest: dict[str, Any]) -> None:
    unit_tests = list(manifest["unit_tests"].values())
    assert names(unit_tests, lambda test: not test["name"].startswith(f"{test['model']}__")) == []
    assert names(unit_tests, lambda test: not test["description"].strip().endswith(".")) == []


def family_of(name: str) -> str:
    """A model's name without its period."""
    return re.sub(r"_(by_day|by_week|by_month|daily|weekly|monthly)$", "", name)


def test_every_model_that_decides_something_has_a_unit_test(
    manifest: dict[str, Any], models: list[Node]
) -> None:
    tested = {test["model"] for test in manifest["unit_tests"].values()}
    families = {family_of(name) for name in tested}
    undecided = []
    for model in models:
        code = code_of(model)
        if folder_of(model) not in ("intermediate", "marts", "audit") and not is_rule(model):
            continue
        if A_MACRO_AND_NOTHING_ELSE.fullmatch(code):
            # a period of a family: one of the family is tested
            if family_of(model["name"]) not in families:
                undecided.append(model["name"])
        elif NEEDS_A_UNIT_TEST.search(code) and model["name"] not in tested:
            undecided.append(model["name"])
    assert undecided == []
