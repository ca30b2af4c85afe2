"""The spark target says what the duckdb target says: `make spark`, which installs Spark, runs this."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings

from tests.canonical import canonical_differences, canonical_rows
from tests.engines import COMPARED_SCHEMAS, compiled_project
from tests.oracle.platforms import Platform, platforms
from tests.published import TAPE_AS_OF, Published
from tests.spark import INTERPRETED, build_on_spark, spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytest.importorskip("pyspark", reason="Spark is not installed: make spark")

RANDOM_PLATFORMS = int(os.environ.get("ALMANAC_TEST_PLATFORMS", "10"))


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with spark_session(tmp_path_factory.mktemp("spark")) as session:
        yield session


def test_the_demo_is_the_same(spark: SparkSession, published: Published, tmp_path: Path) -> None:
    with duckdb.connect() as duck:
        duck.execute(f"attach '{published.settings.landing_path}' as landing (read_only)")
        duck.execute("set TimeZone = 'UTC'; attach ':memory:' as warehouse; use warehouse")
        for statement in compiled_project("duckdb").filled(TAPE_AS_OF, "UTC"):
            duck.execute(statement)
        expected = canonical_rows(duck, schemas=COMPARED_SCHEMAS)
        duck.execute("use landing")
        actual = build_on_spark(spark, duck, tmp_path, as_of=TAPE_AS_OF, reporting_timezone="UTC")
    assert canonical_differences(expected, actual) == []
    assert sum(map(len, actual.values())) > 50_000


@seed(1)
@given(platform=platforms())
@hypothesis_settings(
    max_examples=RANDOM_PLATFORMS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
def test_random_platforms_are_the_same(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, platform: Platform
) -> None:
    compare(spark, platform, tmp_path_factory.mktemp("platform"))


@seed(2)
@given(platform=platforms(with_history=True))
@hypothesis_settings(
    max_examples=max(1, RANDOM_PLATFORMS // 5),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
def test_random_platforms_with_history_are_the_same(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, platform: Platform
) -> None:
    compare(spark, platform, tmp_path_factory.mktemp("platform"))


def compare(spark: SparkSession, platform: Platform, folder: Path) -> None:
    for name, value in INTERPRETED.items():
        spark.conf.set(name, value)
    as_of, zone = platform.as_of, platform.reporting_timezone
    with compiled_project("duckdb").build(platform.tables, as_of=as_of, reporting_timezone=zone) as duck:
        expected = canonical_rows(duck, schemas=COMPARED_SCHEMAS)
        duck.execute("use landing")
        actual = build_on_spark(spark, duck, folder, as_of=as_of, reporting_timezone=zone)
    lines = canonical_differences(expected, actual)
    assert not lines, "\n".join([*lines[:25], f"on the platform\n{platform}"])
