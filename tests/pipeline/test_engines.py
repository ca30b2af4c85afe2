"""The project compiles for every engine it has a target for, with no server there to ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.warehouse import compile_project


@pytest.mark.parametrize("target", ["duckdb", "postgres", "spark"])
def test_every_model_compiles_without_a_server(target: str, tmp_path: Path) -> None:
    manifest = compile_project(tmp_path, as_of="2026-11-23 00:00:00", reporting_timezone="UTC", target=target)
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert len(models) > 100
    assert [node["name"] for node in models if not node["compiled_code"].strip()] == []
