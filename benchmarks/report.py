"""The figures of a run as Markdown: what was asked of whom, the ratios, our nights by step, the fit."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from benchmarks.fit import exponent, fitted
from benchmarks.markdown import mega, table
from benchmarks.nights import (
    EMPTY,
    FIRST,
    LATE,
    MADE_UP,
    MODEL_SQL,
    NEXT_DAY,
    ONE_DAY,
    OTHER_FILE,
    REFRESH,
    SECOND,
)
from benchmarks.peers.roster import BUILD, LATENCY, NIGHT, OURS, PEERS, REVIEW, SUMMARY, Peer
from benchmarks.side_by_side import SPARK, WHOLE_REVIEW, Outcome, Result
from benchmarks.watch import Watched

QUESTIONS = {
    BUILD: "full build",
    NIGHT: "night with one new day",
    SUMMARY: "a team's monthly summary",
    LATENCY: "latency percentiles by model, one week",
    REVIEW: "one review",
}
NIGHTS = (FIRST, SECOND, ONE_DAY, NEXT_DAY, EMPTY, MADE_UP, OTHER_FILE, LATE, REFRESH)
TOLD_IN_GROWTH = (ONE_DAY, NEXT_DAY, EMPTY, LATE)
# Below a second, milliseconds tell more.
ANSWERS = frozenset({SUMMARY, LATENCY, REVIEW})
NOTHING = "—"
ON_SPARK = "all models on Apache Spark"


def report(results: Sequence[Result]) -> str:
    """The whole report; a column for each size."""
    sizes = [str(result.size) for result in results]
    blocks = [f"- {size}: {result.told}" for size, result in zip(sizes, results, strict=True)]
    for action, title in QUESTIONS.items():
        rows = list(_question(results, action))
        blocks += ["", f"### {title[0].upper()}{title[1:]}", "", *table(["who", *sizes], rows)]
    blocks += ["", "### What each does not do, and how far its numbers are from ours", ""]
    blocks += table(["who", "does not do", *sizes], list(_checked(results)))
    blocks += ["", "### What builds and nights take of the machine", ""]
    blocks += table(["seconds of the processors; peak MB", *sizes], _taken(results))
    blocks += ["", "### The floor of a build", "", *table(["ratio", *sizes], list(_floor(results)))]
    blocks += ["", "### Our nights", "", *table(["figure", *sizes], list(_nights(results)))]
    blocks += ["", "### Growth", "", *_growth(results)]
    blocks += ["", "### The generator", "", *table(["figure", *sizes], _generator(results))]
    return "\n".join(blocks)


# --- questions ---------------------------------------------------------------------------------------------


def _question(results: Sequence[Result], action: str) -> list[list[str]]:
    ours = [_our_seconds(result, action) for result in results]
    rows = [[_our_title(action), *(_seconds(one, action) for one in ours)]]
    if action == BUILD:
        refreshes = [result.nights[REFRESH].seconds for result in results]
        rows.append(
            ["ours from what is landed (full refresh)", *(_seconds(one, action) for one in refreshes)]
        )
        titles = {MODEL_SQL: [_by_hand(result) for result in results]}
    else:
        titles = {}
    if action == REVIEW:
        titles["ours: command, verdicts, page and PDF"] = [
            result.peers.get(OURS.name, {}).get(WHOLE_REVIEW, Outcome()) for result in results
        ]
    for peer in PEERS:
        if any(peer.name in result.peers for result in results):
            titles[peer.title] = [_outcome(result, peer, action) for result in results]
    if action == BUILD and any(SPARK in result.peers for result in results):
        titles[ON_SPARK] = [result.peers.get(SPARK, {}).get(BUILD, Outcome()) for result in results]
    for title, outcomes in titles.items():
        rows.append(
            [title, *(_cell(outcome, own, action) for outcome, own in zip(outcomes, ours, strict=True))]
        )
    return rows


def _our_title(action: str) -> str:
    return {
        BUILD: "**ours: first night, from landing to publication**",
        NIGHT: "**ours**",
        SUMMARY: "**ours: published warehouse**",
        LATENCY: "**ours: published warehouse**",
        REVIEW: "**ours: its numbers from the published warehouse**",
    }[action]


def _our_seconds(result: Result, action: str) -> float | None:
    if action in (BUILD, NIGHT):
        return result.nights[FIRST if action == BUILD else ONE_DAY].seconds
    return result.peers[OURS.name][action].seconds


def _by_hand(result: Result) -> Outcome:
    """All models' SQL by hand, which is not run on the largest platforms."""
    watched = result.nights.get(MODEL_SQL)
    return Outcome.of(watched) if watched else Outcome(note="not run at this size")


def _outcome(result: Result, peer: Peer, action: str) -> Outcome:
    return result.peers.get(peer.name, {}).get(action, Outcome())


def _cell(outcome: Outcome, ours: float | None, action: str) -> str:
    """Seconds and, in parentheses, how many times ours."""
    if outcome.seconds is None:
        return outcome.note or NOTHING
    told = _seconds(outcome.seconds, action)
    if ours:
        told += f" ({outcome.seconds / ours:.2g}×)"
    return f"{told}, {outcome.note}" if outcome.note else told


def _seconds(seconds: float | None, action: str) -> str:
    if seconds is None:
        return NOTHING
    return f"{seconds * 1000:.0f} ms" if action in ANSWERS and seconds < 10 else f"{seconds:.1f} s"


def _checked(results: Sequence[Result]) -> list[list[str]]:
    rows = []
    for peer in PEERS:
        held = [result.peers.get(peer.name) for result in results]
        if any(held):
            rows.append([peer.title, peer.lacks, *(_apart(outcomes or {}) for outcomes in held)])
    built = [result.peers.get(SPARK, {}) for result in results]
    if any(built):
        lacks = "landing, audit, publication; every table is compared with DuckDB's"
        rows.append([ON_SPARK, lacks, *(_apart(outcomes) for outcomes in built)])
    return rows


def _taken(results: Sequence[Result]) -> list[list[str]]:
    """Of a peer on PostgreSQL without its server."""
    rows = []
    for action in (BUILD, NIGHT):
        name = FIRST if action == BUILD else ONE_DAY
        ours = [Outcome.of(result.nights[name]) for result in results]
        rows.append([f"**ours**, {QUESTIONS[action]}", *(_load(one) for one in ours)])
        if action == BUILD:
            rows.append([MODEL_SQL, *(_load(_by_hand(result)) for result in results)])
        for peer in PEERS:
            outcomes = [_outcome(result, peer, action) for result in results]
            if any(outcome.seconds is not None for outcome in outcomes):
                title = f"{peer.title}, without the server" if peer.needs_server else peer.title
                rows.append([title, *(_load(outcome) for outcome in outcomes)])
    return rows


def _load(outcome: Outcome) -> str:
    return f"{outcome.cpu_seconds:.1f} s; {mega(outcome.peak_bytes)}" if outcome.peak_bytes else NOTHING


def _apart(outcomes: dict[str, Outcome]) -> str:
    """The greatest distance of any compared number, or what is wrong."""
    wrong = [text for outcome in outcomes.values() for text in outcome.wrong]
    if wrong:
        return f"**{len(wrong)} measures differ**, such as {wrong[0]}"
    found = [outcome.greatest for outcome in outcomes.values() if outcome.greatest is not None]
    return f"equal within {max(found):.1g}" if found else NOTHING


# --- ours --------------------------------------------------------------------------------------------------


def _floor(results: Sequence[Result]) -> list[list[str]]:
    def row(title: str, of: Callable[[Result], float]) -> list[str]:
        floors = [_by_hand(result).seconds for result in results]
        ratios = (
            f"{of(one) / floor:.2f}" if floor else NOTHING for one, floor in zip(results, floors, strict=True)
        )
        return [title, *ratios]

    return [
        row(f"full refresh, whole night / {MODEL_SQL}", lambda one: one.nights[REFRESH].seconds),
        row(
            f"build step of the full refresh / {MODEL_SQL}",
            lambda one: one.nights[REFRESH].steps.get("build", 0),
        ),
        row(f"first night / {MODEL_SQL}", lambda one: one.nights[FIRST].seconds),
        row(
            f"build step of the first night / {MODEL_SQL}",
            lambda one: one.nights[FIRST].steps.get("build", 0),
        ),
    ]


def _nights(results: Sequence[Result]) -> list[list[str]]:
    rows = []
    for name in NIGHTS:
        watched = [result.nights.get(name) for result in results]
        if not any(watched):
            continue
        rows += _figures(name, watched)
        read = [result.read_bytes.get(name) for result in results]
        if any(read):
            told = [NOTHING if size is None else mega(size) for size in read]
            rows.append(["- pages read by the source's server, MB", *told])
    rows += _figures(MODEL_SQL, [result.nights.get(MODEL_SQL) for result in results])
    for name in sorted({name for result in results for name in result.file_bytes}):
        rows.append([f"{name}, MB", *(mega(result.file_bytes.get(name, 0)) for result in results)])
    return rows


def _figures(name: str, watched: Sequence[Watched | None]) -> list[list[str]]:
    """Seconds, of steps where it has any, of the processors, and memory; None: it was not run."""
    steps = list(dict.fromkeys(step for one in watched if one for step in one.steps))

    def row(title: str, of: Callable[[Watched], str]) -> list[str]:
        return [title, *(of(one) if one else NOTHING for one in watched)]

    def peak(one: Watched) -> str:
        step = max(one.peak_bytes, key=lambda step: one.peak_bytes[step])
        return f"{mega(one.peak_bytes[step])}{f' ({step})' if len(steps) > 1 else ''}"

    def seconds_of(step: str) -> Callable[[Watched], str]:
        return lambda one: f"{one.steps.get(step, 0):.1f}"

    rows = [row(f"**{name}**, s", lambda one: f"{one.seconds:.1f}")]
    if len(steps) > 1:
        rows += [row(f"- {step}, s", seconds_of(step)) for step in steps]
    rows.append(row("- of the processors, s", lambda one: f"{one.cpu_seconds:.1f}"))
    rows.append(row("- peak memory of all its processes, MB", peak))
    return rows


def _growth(results: Sequence[Result]) -> list[str]:
    """For each source with two sizes or more: the line of a night's seconds against its history."""
    by_source: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if not result.size.is_busier:
            by_source[result.size.source].append(result)
    lines = []
    for source, same in by_source.items():
        for name in TOLD_IN_GROWTH:
            told = [result for result in same if name in result.nights]
            millions = [result.size.calls / 1e6 for result in told]
            if len(set(millions)) < 2:
                continue
            seconds = [result.nights[name].seconds for result in told]
            line = fitted(millions, seconds)
            smallest, largest = min(millions), max(millions)
            lines.append(
                f"- {name}, source {source}: {line.intercept:.1f} s + {line.slope:.3f} s for each million "
                f"calls of history; from {smallest:g} M to {largest:g} M it grows by "
                f"{line.growth(smallest, largest):.1%} ({line.at(smallest):.1f} to {line.at(largest):.1f} s)"
                f", like the history to the power of {exponent(millions, seconds):.2f}"
            )
    return lines or ["One size alone: no line."]


def _generator(results: Sequence[Result]) -> list[list[str]]:
    made = [result.generated for result in results]
    rates = [result.size.calls / (result.generated.seconds or 1) / 1e6 for result in results]
    return [
        ["seconds, its start included", *(f"{one.seconds:.1f}" for one in made)],
        ["million calls a second", *(f"{rate:.2f}" for rate in rates)],
        ["of the processors, s", *(f"{one.cpu_seconds:.1f}" for one in made)],
        ["peak memory, MB", *(mega(one.peak_bytes) for one in made)],
    ]
