"""What platforms of any size would take, from what was measured: `python -m benchmarks.capacity`.

Reads the last recorded run, fits one line to each kind of work, says how far every measurement lies from it,
and draws them up to ten billion calls (docs/images/capacity.svg). What it cannot measure is an assumption
with a name.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import recorded
from benchmarks.markdown import table
from benchmarks.nights import EMPTY, NEXT_DAY, ONE_DAY, REFRESH
from benchmarks.peers.roster import BUILD
from benchmarks.side_by_side import SPARK, Result

DRAWING = Path(__file__).parents[1] / "docs" / "images" / "capacity.svg"

# A platform whose calls lie on as many days as those of 100 million do here: 2.3 years.
HISTORY_DAYS = 833
TOLD = (10**6, 10**7, 10**8, 10**9, 10**10)

# --- assumptions -------------------------------------------------------------------------------------------

# Round figures, to be replaced by one's own: dollars for an hour of a core with 4 GiB, and for a gigabyte and
# month.
CORE_HOUR_USD = 0.05
SSD_MONTH_USD = 0.08
STORE_MONTH_USD = 0.023
# Times that price for a core of a managed service.
MANAGED = 2.0
# The time that a night may take, and how much of the added cores Spark makes use of.
WINDOW_HOURS = 4
SPARK_EFFICIENCY = 0.7
# Cores of the benchmark's machine and cluster.
MEASURED_CORES = 2


@dataclass(frozen=True, slots=True)
class Fit:
    """amount = sum of coefficient x factor, by least squares of the relative errors, none below zero."""

    coefficients: tuple[float, ...]

    def at(self, *factors: float) -> float:
        return sum(one * factor for one, factor in zip(self.coefficients, factors, strict=True))


def fitted(rows: Sequence[tuple[float, ...]], amounts: Sequence[float]) -> Fit:
    """The fit of amounts (above zero) to rows of factors; ValueError with fewer rows than factors.

    A factor whose coefficient would be negative is left out: more work never takes less.
    """
    if len(rows) < len(rows[0]):
        raise ValueError(f"{len(rows)} measurements do not fit {len(rows[0])} coefficients")
    scaled = np.array(rows, dtype=float) / np.array(amounts, dtype=float)[:, None]
    used = list(range(scaled.shape[1]))
    while True:
        solved = np.linalg.lstsq(scaled[:, used], np.ones(len(amounts)), rcond=None)[0]
        if (solved >= 0).all():
            break
        used.pop(int(np.argmin(solved)))
    found = dict(zip(used, solved, strict=True))
    return Fit(tuple(float(found.get(factor, 0.0)) for factor in range(scaled.shape[1])))


@dataclass(frozen=True, slots=True)
class Model:
    """Seconds and bytes of a platform with `calls` of history and `daily` new ones."""

    # of (1, daily calls, calls)
    night: Fit
    # of (1, calls)
    full_build: Fit
    spark: Fit | None
    # of (calls,)
    disk: Fit

    def night_seconds(self, calls: float, daily: float) -> float:
        return self.night.at(1, daily, calls)

    def full_build_seconds(self, calls: float) -> float:
        return self.full_build.at(1, calls)

    def disk_bytes(self, calls: float) -> float:
        """Of the landing, the published warehouse and the one before it."""
        return self.disk.at(calls)

    def spark_seconds(self, calls: float, cores: float) -> float | None:
        """A full build on so many cores; what does not grow with the calls does not shrink with the cores."""
        if self.spark is None:
            return None
        start, per_call = self.spark.coefficients
        added = 1 + (cores / MEASURED_CORES - 1) * SPARK_EFFICIENCY
        return start + per_call * calls / added

    def spark_cores(self, calls: float) -> int | None:
        """The smallest power of two of cores on which a full build fits the window; None when none does."""
        for power in range(1, 13):
            seconds = self.spark_seconds(calls, 2**power)
            if seconds is not None and seconds <= WINDOW_HOURS * 3600:
                return int(2**power)
        return None


def model_of(results: Sequence[Result]) -> Model:
    """The model of what a recorded run measured from folders."""
    of_folders = [result for result in results if result.size.source == "folder"]
    nights = [(_daily(result), result.size.calls, _night_seconds(result)) for result in of_folders]
    builds = [(result.size.calls, result.nights[REFRESH].seconds) for result in of_folders]
    spark = _spark_builds(of_folders)
    return Model(
        night=fitted([(1, daily, calls) for daily, calls, _ in nights], [night for *_, night in nights]),
        full_build=fitted([(1, calls) for calls, _ in builds], [seconds for _, seconds in builds]),
        spark=fitted([(1, calls) for calls, _ in spark], [seconds for _, seconds in spark])
        if len(spark) > 1
        else None,
        disk=fitted([(result.size.calls,) for result in of_folders], [_disk(one) for one in of_folders]),
    )


def _daily(result: Result) -> float:
    return result.size.calls / result.size.days


def _night_seconds(result: Result) -> float:
    """Of the two nights with a new day each."""
    return (result.nights[ONE_DAY].seconds + result.nights[NEXT_DAY].seconds) / 2


def _disk(result: Result) -> float:
    # of the night before the last there is a file as large as the published one
    return result.file_bytes["landing.duckdb"] + 2 * result.file_bytes["warehouse.duckdb"]


def _spark_builds(results: Sequence[Result]) -> list[tuple[float, float]]:
    built = [(result.size.calls, result.peers.get(SPARK, {}).get(BUILD)) for result in results]
    return [(calls, one.seconds) for calls, one in built if one and one.seconds is not None]


# --- told --------------------------------------------------------------------------------------------------


def told(results: Sequence[Result], model: Model) -> str:
    """The model beside what it was fitted to, and what it says of larger platforms, as Markdown."""
    lines = ["### The capacity model beside the measurements", ""]
    lines += table(["measured", "seconds or MB", "model", "apart"], list(_checked(results, model)))
    lines += ["", "### What it says", ""]
    lines += table(
        [
            "calls of history (2.3 years)",
            "new calls a day",
            "night",
            "full build",
            "disk",
            "a month on this machine",
            "cores of Spark for a full build a night",
            "a month on them",
        ],
        [_of_size(model, calls) for calls in TOLD],
    )
    return "\n".join(lines)


def _checked(results: Sequence[Result], model: Model) -> list[list[str]]:
    rows = []
    for result in results:
        if result.size.source != "folder":
            continue
        calls = result.size.calls
        pairs = {
            "night with one new day": (_night_seconds(result), model.night_seconds(calls, _daily(result))),
            "empty night (not in the fit)": (result.nights[EMPTY].seconds, model.night.at(1, 0, calls)),
            "full build": (result.nights[REFRESH].seconds, model.full_build_seconds(calls)),
            "disk, MB": (_disk(result) / 1e6, model.disk_bytes(calls) / 1e6),
        }
        for spark_calls, seconds in _spark_builds([result]):
            pairs["full build on Spark"] = (seconds, model.spark_seconds(spark_calls, MEASURED_CORES) or 0)
        rows += [
            [f"{result.size}: {name}", f"{measured:,.1f}", f"{said:,.1f}", _apart(said / measured)]
            for name, (measured, said) in pairs.items()
        ]
    return rows


def _apart(ratio: float) -> str:
    # without a minus before nothing
    return f"{round(ratio - 1, 2) + 0.0:+.0%}"


def _of_size(model: Model, calls: int) -> list[str]:
    daily = calls / HISTORY_DAYS
    night = model.night_seconds(calls, daily)
    disk = model.disk_bytes(calls)
    cores = model.spark_cores(calls)
    month = MEASURED_CORES * 730 * CORE_HOUR_USD + disk / 1e9 * SSD_MONTH_USD
    on_spark = "—"
    if cores is not None:
        hours = (model.spark_seconds(calls, cores) or 0) / 3600
        on_spark = f"${hours * 30 * cores * CORE_HOUR_USD * MANAGED + disk / 1e9 * STORE_MONTH_USD:,.0f}"
    return [
        f"{calls:,}",
        f"{daily:,.0f}",
        _span(night),
        _span(model.full_build_seconds(calls)),
        f"{disk / 1e9:,.1f} GB",
        f"${month:,.0f}",
        "—" if cores is None else str(cores),
        on_spark,
    ]


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


# --- drawn -------------------------------------------------------------------------------------------------


def draw(results: Sequence[Result], model: Model, path: Path) -> None:
    """Seconds against calls of history, both logarithmic; dots are measured, lines are the model."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "almanac"
    from matplotlib import pyplot as plt

    calls = np.logspace(6, 10, 81)
    figure, axes = plt.subplots(figsize=(9, 5.5))
    lines = {
        "night with one new day, 2 cores": [model.night_seconds(one, one / HISTORY_DAYS) for one in calls],
        "full build, 2 cores": [model.full_build_seconds(one) for one in calls],
    }
    if model.spark is not None:
        for cores in (2, 64, 512):
            lines[f"full build on Spark, {cores} cores"] = [
                model.spark_seconds(one, cores) or 0 for one in calls
            ]
    for name, seconds in lines.items():
        axes.plot(calls, seconds, label=name, linestyle="--" if "Spark" in name else "-")
    regular = [one for one in results if one.size.source == "folder" and not one.size.is_busier]
    dots: dict[str, list[tuple[float, float]]] = {
        "measured nights": [(one.size.calls, _night_seconds(one)) for one in regular],
        "measured full builds": [(one.size.calls, one.nights[REFRESH].seconds) for one in regular],
        "measured on Spark, 2 cores": _spark_builds(regular),
    }
    for name, measured in dots.items():
        if measured:
            axes.scatter([one for one, _ in measured], [took for _, took in measured], label=name, zorder=3)
    axes.axhline(WINDOW_HOURS * 3600, color="grey", linewidth=0.8)
    axes.annotate(f"{WINDOW_HOURS} hours", (1.2e6, WINDOW_HOURS * 3600 * 1.1), color="grey")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=f"calls of history (on {HISTORY_DAYS} days)",
        ylabel="seconds",
        title="What a night and a full build take",
    )
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--drawing", type=Path, default=DRAWING)
    given = parser.parse_args(arguments)
    results = recorded.newest()
    if len(results) < 3:
        raise SystemExit(
            "The model needs three recorded sizes or more, one of them with busier days: "
            'make benchmark SIZES=1,20,100,5/5 BENCHMARK="--record --spark"'
        )
    model = model_of(results)
    draw(results, model, given.drawing)
    print(told(results, model))


if __name__ == "__main__":
    main()
