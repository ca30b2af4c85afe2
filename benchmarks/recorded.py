"""The figures that are checked in: `benchmarks/results/`, one file of figures and one report for a day."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.side_by_side import Outcome, Result, Size
from benchmarks.watch import Watched

FOLDER = Path(__file__).with_name("results")


def write(results: Sequence[Result], text: str) -> Path:
    """Write the report and the raw figures of today; the path of the report."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{datetime.now(UTC):%Y-%m-%d}.md"
    path.write_text(text + "\n", encoding="utf-8")
    raw = [json.loads(result.as_json()) for result in results]
    path.with_suffix(".json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    return path


def newest() -> list[Result]:
    """What the last recorded run measured, by size; nothing when there is none."""
    found = sorted(FOLDER.glob("*.json"))
    if not found:
        return []
    return [_result(raw) for raw in json.loads(found[-1].read_text(encoding="utf-8"))]


def merged(kept: Sequence[Result], measured: Sequence[Result]) -> list[Result]:
    """What was measured now, and the sizes that were not; each says when and on what it was measured."""
    by_size = {result.size: result for result in (*kept, *measured)}
    return [
        by_size[size] for size in sorted(by_size, key=lambda size: (size.source, size.is_busier, size.calls))
    ]


def _result(raw: dict[str, Any]) -> Result:
    return Result(
        **raw
        | {
            "size": Size(**raw["size"]),
            "generated": Outcome(**raw["generated"]),
            "nights": {name: Watched(**night) for name, night in raw["nights"].items()},
            "peers": {
                name: {action: Outcome(**outcome) for action, outcome in actions.items()}
                for name, actions in raw["peers"].items()
            },
        }
    )
