"""The capacity model of the benchmark: what it is fitted to comes back, and what it draws."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.capacity import draw, fitted, model_of, told
from benchmarks.nights import EMPTY, NEXT_DAY, ONE_DAY, REFRESH
from benchmarks.peers.roster import BUILD
from benchmarks.side_by_side import SPARK, Outcome, Result, Size
from benchmarks.watch import Watched

# Seconds of a night, of each new call a day, of each call of history; of a full build; of Spark.
FIXED, PER_DAILY, PER_CALL = 12.0, 1e-4, 2e-8
BUILT, PER_BUILT = 10.0, 6e-6
ON_SPARK, PER_SPARK = 300.0, 6e-5
DISK = 330.0


def result(text: str) -> Result:
    size = Size.parsed(text)
    night = FIXED + PER_DAILY * size.calls / size.days + PER_CALL * size.calls
    nights = {ONE_DAY: night - 1, NEXT_DAY: night + 1, EMPTY: 12.0, REFRESH: BUILT + PER_BUILT * size.calls}
    return Result(
        size,
        Outcome(),
        nights={name: Watched(seconds, seconds, {}, {}) for name, seconds in nights.items()},
        peers={} if size.calls > 20e6 else {SPARK: {BUILD: Outcome(ON_SPARK + PER_SPARK * size.calls)}},
        file_bytes={
            "landing.duckdb": round(DISK / 3 * size.calls),
            "warehouse.duckdb": round(DISK / 3 * size.calls),
            "source as Parquet": 10**15,
        },
    )


RESULTS = [result(text) for text in ("1", "20", "100", "20/17", "20:postgresql")]


def test_what_was_measured_comes_back_and_larger_platforms_follow() -> None:
    model = model_of(RESULTS)
    assert model.night.coefficients == pytest.approx((FIXED, PER_DAILY, PER_CALL))
    assert model.full_build.coefficients == pytest.approx((BUILT, PER_BUILT))
    assert model.disk_bytes(1e10) == pytest.approx(DISK * 1e10)
    # two cores take what was measured; 64 share what grows with the calls, each added one worth 0.7
    assert model.spark_seconds(1e9, 2) == pytest.approx(ON_SPARK + PER_SPARK * 1e9)
    assert model.spark_seconds(1e9, 64) == pytest.approx(ON_SPARK + PER_SPARK * 1e9 / (1 + 31 * 0.7))
    assert model.spark_cores(1e8) == 2
    assert model.spark_cores(1e9) == 16
    assert model.spark_cores(1e13) is None


def test_more_work_never_takes_less() -> None:
    fit = fitted([(1, 1), (1, 2), (1, 3)], [3.0, 2.9, 2.8])
    assert fit.coefficients[1] == 0
    assert fit.at(1, 10) == pytest.approx(2.9, abs=0.05)
    with pytest.raises(ValueError, match="do not fit"):
        fitted([(1, 2, 3)], [1.0])


def test_without_spark_the_model_tells_the_rest() -> None:
    model = model_of([result("100"), result("101"), result("100/17")])
    assert model.spark is None
    assert model.spark_cores(1e8) is None
    rows = [
        line for line in told([result("100")], model).splitlines() if line.startswith("| 100,000,000 calls")
    ]
    assert len(rows) == 4


def test_every_measurement_is_told_beside_the_model() -> None:
    lines = told(RESULTS, model_of(RESULTS)).splitlines()
    assert "| 100,000,000 calls, folder: night with one new day | 26.0 | 26.0 | +0% |" in lines
    assert "| 20,000,000 calls, folder: full build on Spark | 1,500.0 | 1,500.0 | +0% |" in lines
    assert any(line.startswith("| 10,000,000,000 | 12,004,802 | ") for line in lines)
    assert not any("postgresql" in line for line in lines)


def test_the_drawing_is_the_same_each_time(tmp_path: Path) -> None:
    drawings = []
    for name in ("one.svg", "two.svg"):
        draw(RESULTS, model_of(RESULTS), tmp_path / name)
        drawings.append((tmp_path / name).read_text(encoding="utf-8"))
    assert drawings[0] == drawings[1]
    assert drawings[0].startswith("<?xml")
