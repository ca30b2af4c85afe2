"""The runbooks of docs/alerts.md: the section of each rule, in its parts."""

from __future__ import annotations

import csv
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNBOOKS = ROOT / "docs" / "alerts.md"


def rules_with_runbooks() -> list[str]:
    """Every rule that a notice can be of, and so link the runbook of."""
    with (ROOT / "models" / "alerts" / "alert_rules.csv").open(encoding="utf-8", newline="") as file:
        return [*(row["rule"] for row in csv.DictReader(file)), "rule_unknown"]


def runbook_parts(rule: str) -> dict[str, str]:
    """What a rule's section says, by the bold words that begin each part, in order."""
    text = RUNBOOKS.read_text(encoding="utf-8")
    (section,) = re.findall(rf"(?ms)^## {rule}\n(.*?)(?=^## |\Z)", text)
    _, *pieces = re.split(r"(?m)^\*\*([A-Z][a-z ]+\.)\*\*", section)
    return {name: body.strip() for name, body in zip(pieces[::2], pieces[1::2], strict=True)}


def first_query(rule: str) -> str:
    """The SQL of a rule's section."""
    (sql,) = re.findall(r"(?s)```sql\n(.*?)```", runbook_parts(rule)["First query."])
    return str(sql)
