"""The tables of docs/platform-answers.md: owns how the recorded answers and their causes are printed.

`python -m tests.oracle.answers_page` writes them into the page; a test holds that the page has them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path as FilePath

from tests.oracle.platform_answers import Path
from tests.oracle.platform_causes import NULLS, REASONS, Explained
from tests.oracle.platform_rows import read_platform
from tests.oracle.recorded_answers import NOT_OURS, Recorded, field, recorded_answers
from tests.published import ROOT, TAPE

PAGE = ROOT / "docs" / "platform-answers.md"
BLOCK = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

# figures that do not add up over answers
NO_SUMS = re.compile(
    r"(_at|avg_\w+|credits_before|credits_after|credits_per_dollar|tokens_per_credit|credit_limit|"
    r"refill_amount|auto_refill|credit_applied)$"
)


def amount(value: Fraction, *, sign: bool = False) -> str:
    """A number in full, to the 8 places of our dollars; smaller ones by their power of ten."""
    places = Decimal(round(value * 10**8)).scaleb(-8)
    if value and not places:
        return "under 1e-8"
    text = f"{places:,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    text = text.replace("-", "−")
    return f"+{text}" if sign and value > 0 else text


def figures_of(recorded: Iterable[Recorded], endpoint: str) -> dict[str, list[tuple[Fraction, Explained]]]:
    """Every figure of an endpoint by the name of its field: theirs (0 where it has no such row), and why."""
    kind, _, grain = endpoint.partition(", ")
    found: dict[str, list[tuple[Fraction, Explained]]] = defaultdict(list)
    for answer in recorded:
        if answer.endpoint != kind or (grain and (len(answer.arguments[1]) > 7) != (grain == "day")):
            continue
        for path, explained in answer.explained.items():
            theirs = answer.figures.get(path, Fraction(0))
            if path in answer.figures or explained.ours:
                found[field(kind, path)].append((theirs, explained))
    return found


def whole(theirs: Fraction, explained: Explained) -> dict[str, Fraction]:
    """The causes of one figure, with what the platform's binary sum adds."""
    noise = explained.theirs - theirs
    return explained.causes | ({"added_up_in_binary": noise} if noise else {})


def why(pairs: list[tuple[Fraction, Explained]], *, has_sum: bool) -> str:
    """The causes of a field, with the amount of each in all and the number of figures it is in."""
    sums: dict[str, Fraction] = defaultdict(Fraction)
    counts: dict[str, int] = defaultdict(int)
    nulls: dict[str, int] = defaultdict(int)
    for theirs, explained in pairs:
        for name, part in whole(theirs, explained).items():
            sums[name] += part
            counts[name] += 1
        if explained.null:
            nulls[explained.null] += 1
    parts = [
        f"`{name}` {amount(sums[name], sign=True)} in {counts[name]}"
        if has_sum
        else f"`{name}` in {counts[name]}"
        for name in sorted(counts, key=lambda name: (-abs(sums[name]) if has_sum else -counts[name], name))
    ]
    parts += [f"null: `{name}` in {count}" for name, count in sorted(nulls.items())]
    return "; ".join(parts) or "equal"


def endpoint_table(recorded: list[Recorded], endpoint: str) -> str:
    lines = [
        "| field | figures | differ | theirs, in all | ours, in all | why |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for name, pairs in figures_of(recorded, endpoint).items():
        has_sum = not NO_SUMS.search(name)
        differ = sum(bool(whole(theirs, found) or found.null) for theirs, found in pairs)
        sums = [sum(theirs for theirs, _ in pairs), sum(found.ours for _, found in pairs)]
        cells = [amount(Fraction(value)) if has_sum else "" for value in sums]
        lines.append(
            f"| `{name}` | {len(pairs)} | {differ} | {' | '.join(cells)} | {why(pairs, has_sum=has_sum)} |"
        )
    return "\n".join(lines)


def cause_table(recorded: list[Recorded]) -> str:
    counts: dict[str, int] = defaultdict(int)
    for answer in recorded:
        for path, explained in answer.explained.items():
            names = set(explained.causes) | ({explained.null} - {""})
            if path in answer.figures:
                names |= set(whole(answer.figures[path], explained))
            for name in names:
                counts[name] += 1
    lines = ["| cause | figures | why |", "|---|--:|---|"]
    lines += [f"| `{name}` | {counts[name]:,} | {reason} |" for name, reason in REASONS.items()]
    lines += [f"| null: `{name}` | {counts[name]:,} | {reason} |" for name, reason in NULLS.items()]
    return "\n".join(lines)


def example_table(recorded: list[Recorded], team: str, period: str, path: Path) -> str:
    """One figure from theirs to ours."""
    (answer,) = [
        answer for answer in recorded if (answer.endpoint, answer.arguments) == ("team usage", (team, period))
    ]
    theirs, explained = answer.figures[path], answer.explained[path]
    rows = [("the platform's answer", "", amount(theirs))]
    rows += [
        (f"`{name}`", str(explained.row_counts.get(name, "")), amount(part, sign=True))
        for name, part in whole(theirs, explained).items()
    ]
    rows.append(("ours", "", amount(explained.ours)))
    return "\n".join(["| | rows | USD |", "|---|--:|--:|", *(f"| {' | '.join(row)} |" for row in rows)])


def left_out_table(_recorded: list[Recorded]) -> str:
    return "\n".join(
        ["| field | why |", "|---|---|", *(f"| `{name}` | {reason} |" for name, reason in NOT_OURS.items())]
    )


def table(recorded: list[Recorded], name: str) -> str:
    kind, _, rest = name.partition(" ")
    if kind == "example":
        team, period, *path = rest.split(" ")
        return example_table(recorded, team, period, tuple(path))
    makers: dict[str, Callable[[list[Recorded]], str]] = {"causes": cause_table, "left-out": left_out_table}
    return makers[kind](recorded) if kind in makers else endpoint_table(recorded, name)


def with_tables(text: str, recorded: list[Recorded]) -> str:
    """The page with its tables as the recorded answers have them now."""
    return BLOCK.sub(lambda block: f"{block[1]}{table(recorded, block[2])}\n{block[3]}", text)


def write(page: FilePath) -> None:
    recorded = list(recorded_answers(read_platform(TAPE), TAPE))
    page.write_text(with_tables(page.read_text(encoding="utf-8"), recorded), encoding="utf-8")


if __name__ == "__main__":
    write(PAGE)
