"""dbt's own tests of single rules: the unit tests of the models, and the literal rows of the macros."""

from __future__ import annotations

import shutil

import pytest

from flows import dbt_runner
from flows.built import dbt_settings
from flows.dbt_runner import NodeResult, release_dbt, run_dbt
from flows.progress import SilentProgress
from flows.settings import Settings
from tests.published import TAPE_AS_OF, Published

MACRO_TESTS = "path:tests/dbt/macros"


def dbt(settings: Settings, *command: str) -> list[NodeResult]:
    """What became of every node of one dbt command on a side file of its own."""
    side_file = settings.data_dir / "side.duckdb"
    results = run_dbt(
        command,
        settings=settings,
        environment=dbt_settings(settings, side_file, None)[0],
        as_of=TAPE_AS_OF,
        progress=SilentProgress(),
        stage="Testing",
    )
    return [result for result in results if not result.unique_id.startswith("operation.")]


def story(results: list[NodeResult]) -> str:
    """The tests that did not pass, each with what it found."""
    return "\n".join(f"{result.name}: {result.message}" for result in results if result.status != "pass")


@pytest.fixture(scope="module")
def settings(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A folder with the tape landed and every model there, without rows: a unit test brings its own."""
    data_dir = tmp_path_factory.mktemp("unit_tests")
    shutil.copy(published.settings.landing_path, data_dir)
    settings = published.settings.model_copy(update={"data_dir": data_dir})
    built = dbt(settings, "build", "--empty", "--exclude-resource-type", "test", "unit_test")
    assert [result.name for result in built if result.status in ("error", "fail", "skipped")] == []
    return settings


def test_every_unit_test_passes(settings: Settings) -> None:
    results = dbt(settings, "test", "--select", "test_type:unit")
    assert len(results) > 150
    assert story(results) == ""


# the first two change their clocks at midnight, the third by half an hour
@pytest.mark.parametrize("zone", ["America/Havana", "Asia/Beirut", "Australia/Lord_Howe"])
def test_every_macro_test_passes_in_any_zone(settings: Settings, zone: str) -> None:
    results = dbt(settings.model_copy(update={"reporting_timezone": zone}), "test", "--select", MACRO_TESTS)
    assert len(results) >= 9
    assert story(results) == ""


def test_one_dbt_stays_for_the_next_command_and_one_that_ended_is_started_anew(settings: Settings) -> None:
    one_test = ("test", "--select", "assert_ages_are_whole_days_before_as_of")
    pids = []
    for ends in (False, True, False):
        assert story(dbt(settings, *one_test)) == ""
        child = dbt_runner.kept_child()
        assert child is not None
        pids.append(child.pid)
        if ends:
            child.kill()
            child.wait(10)
    assert pids[0] == pids[1] != pids[2]
    release_dbt()
    assert dbt_runner.kept_child() is None
