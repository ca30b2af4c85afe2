"""What an evaluation is given of the components, and in what order a night asks its rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from flows import alert_check
from flows.alert_check import evaluate_night, source_databases
from flows.alert_evaluator import EvaluationReport
from flows.alert_rules import Cadence
from flows.settings import Settings

PROBES = """\
components:
  - {name: platform_db, kind: database, database: source}
  - {name: warehouse, kind: database, database: warehouse}
  - {name: saas_api, kind: saas_api, url: "http://localhost:8003/health"}
"""


def test_the_database_that_is_landed_from_is_that_of_the_source(tmp_path: Path) -> None:
    probes = tmp_path / "probes.yml"
    probes.write_text(PROBES, encoding="utf-8")
    assert source_databases(Settings(data_dir=tmp_path, probes=probes)) == {"platform_db"}
    assert source_databases(Settings(data_dir=tmp_path)) == frozenset()


@pytest.mark.parametrize("text", ["components: []", "components: [{name: x}", ""])
def test_a_probes_file_with_mistakes_stops_no_alerts(tmp_path: Path, text: str) -> None:
    probes = tmp_path / "probes.yml"
    probes.write_text(text, encoding="utf-8")
    assert source_databases(Settings(data_dir=tmp_path, probes=probes)) == frozenset()
    assert source_databases(Settings(data_dir=tmp_path, probes=tmp_path / "missing.yml")) == frozenset()


def test_days_made_up_for_are_asked_of_when_the_numbers_are_no_longer_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[datetime, set[Cadence]]] = []

    def evaluate(
        settings: Settings, as_of: datetime, cadences: Iterable[Cadence], **_: Any
    ) -> EvaluationReport:
        asked.append((as_of, set(cadences)))
        return EvaluationReport(as_of)

    monkeypatch.setattr(alert_check, "evaluate", evaluate)
    settings = Settings(data_dir=tmp_path, reporting_timezone="UTC")
    now = datetime(2026, 11, 23, 2)
    evaluate_night(settings, now, [date(2026, 11, day) for day in (20, 21, 22)])
    assert asked == [
        (now, {Cadence.check}),
        (datetime(2026, 11, 21), {Cadence.night}),
        (datetime(2026, 11, 22), {Cadence.night}),
        (now, {Cadence.night, Cadence.check}),
    ]
    asked.clear()
    evaluate_night(settings, now, [date(2026, 11, 22)])
    assert asked == [(now, {Cadence.night, Cadence.check})]
