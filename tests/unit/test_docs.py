"""The documents keep their promises: every trap is there once, every test and file that they name exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from flows.alert_scopes import parse_rule, parse_scope
from tests.runbooks import RUNBOOKS, rules_with_runbooks, runbook_parts

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

TRAPS = 46
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")


def trap_rows() -> list[list[str]]:
    """The cells of each row of the table of traps."""
    lines = (ROOT / "docs" / "source-traps.md").read_text(encoding="utf-8").splitlines()
    return [line.strip("| ").split(" | ") for line in lines if re.match(r"\| \d+ \|", line)]


@cache
def python_tests(file_name: str) -> frozenset[str]:
    """The test functions of the file of that name below tests/."""
    (path,) = (ROOT / "tests").rglob(file_name)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(name for name in functions if name.startswith("test_"))


@cache
def dbt_tests() -> frozenset[str]:
    """The names of dbt's unit tests, and of its tests that are files."""
    units = {
        name
        for path in (ROOT / "models").rglob("*__unit_tests.yml")
        for name in re.findall(r"^  - name: (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    return frozenset(units | {path.stem for path in (ROOT / "tests" / "dbt" / "laws").glob("*.sql")})


def exists(test: str) -> bool:
    file_name, separator, name = test.partition("::")
    return name in python_tests(file_name) if separator else test in dbt_tests()


def test_every_trap_is_there_once_and_in_order() -> None:
    assert [int(row[0]) for row in trap_rows()] == list(range(1, TRAPS + 1))
    assert {len(row) for row in trap_rows()} == {4}


@pytest.mark.parametrize("row", trap_rows(), ids=lambda row: row[0])
def test_a_trap_is_held_by_tests_that_exist(row: list[str]) -> None:
    tests = CODE.findall(row[3])
    assert tests
    assert [test for test in tests if not exists(test)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    targets = [
        target.partition("#")[0]
        for target in LINK.findall(document.read_text(encoding="utf-8"))
        if not target.startswith(("http://", "https://", "mailto:", "#"))
    ]
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_anchors_lead_to_headings(document: Path) -> None:
    missing = []
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        path, separator, anchor = target.partition("#")
        if separator and not target.startswith("http"):
            page = document if not path else document.parent / path
            headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            if anchor not in anchors:
                missing.append(target)
    assert missing == []


def test_every_public_measure_is_defined() -> None:
    """Every number of the public marts is named in docs/metrics.md."""
    named = set(CODE.findall((ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")))
    named |= {word for text in named for word in re.findall(r"\w+", text)}
    missing = set()
    for folder in ("usage", "performance", "credits", "health"):
        for path in (ROOT / "models" / "marts" / folder).glob("*__models.yml"):
            for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]:
                missing |= {
                    re.sub(r"_(yesterday|last_week)$", "", column["name"])
                    for column in model["columns"]
                    if column["data_type"].startswith(("bigint", "numeric"))
                } - named
    assert missing == set()


# --- docs/alerts.md: a runbook for every rule

PARTS = ("Means.", "First query.", "Usual causes.", "Silence.")


@pytest.mark.parametrize("rule", rules_with_runbooks())
def test_every_rule_has_a_runbook_with_its_four_parts(rule: str) -> None:
    parts = runbook_parts(rule)
    assert tuple(parts) == PARTS
    assert [name for name, text in parts.items() if len(text.split()) < 2] == []
    assert f"`--rule {rule}" in parts["Silence."]
    assert len(re.findall(r"```sql\n", parts["First query."])) == 1


@pytest.mark.parametrize("rule", rules_with_runbooks())
def test_a_silence_of_a_runbook_is_one_that_is_taken(rule: str) -> None:
    for words in re.findall(r"`(--rule [^`]+)`", runbook_parts(rule)["Silence."]):
        given = dict(zip(words.split()[::2], words.split()[1::2], strict=True))
        assert parse_rule(given.pop("--rule")) == rule
        if "--scope" in given:
            parse_scope(given.pop("--scope"))
        assert given == {}


def test_the_runbooks_are_of_rules_that_there_are() -> None:
    text = RUNBOOKS.read_text(encoding="utf-8")
    headings = set(re.findall(r"^## ([a-z_]+)$", text, re.MULTILINE))
    assert headings == set(rules_with_runbooks())
