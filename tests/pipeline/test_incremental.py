"""An incremental build equals a full refresh, after any history of the platform, the landing and the builds.

A state machine changes a small platform, lands it with the real landing, and brings one of two generations
from what it covers to what is landed; after each build all that is published is compared with a full build.

ALMANAC_HISTORIES and ALMANAC_HISTORY_STEPS make the campaign longer than the sample that CI runs;
ALMANAC_HISTORY_SEED draws other histories than it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import HealthCheck, Phase, assume, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from flows.land import land
from flows.progress import SilentProgress
from tests.canonical import canonical_differences
from tests.incremental import GENERATIONS, Warehouses, incremental_project, views_left_as_they_are
from tests.living_platform import (
    ALIASES,
    CALLS,
    FACTS,
    JOB_TYPES,
    MODELS,
    MOVES,
    ORGANIZATIONS,
    STATUSES,
    TEAMS,
    LivingPlatform,
)
from tests.warehouse import AS_OF_MARK

HISTORIES = int(os.environ.get("ALMANAC_HISTORIES", "2"))
STEPS = int(os.environ.get("ALMANAC_HISTORY_STEPS", "20"))
SEED = os.environ.get("ALMANAC_HISTORY_SEED")

HOUR_US = 3_600_000_000
# around a clock change, a month's and a year's end, a leap day
BEGINNINGS = (
    datetime(2026, 10, 25, 2, 30),
    datetime(2026, 10, 31, 23, 59, 59, 999999),
    datetime(2027, 1, 1),
    datetime(2027, 3, 28, 2),
    datetime(2028, 2, 29, 18, 30),
)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata")

places = st.integers(0, 40)
days = st.sampled_from((0, -1, -2, -3, -7, -8, -15, -33, -64, 1, 2))
# of a local day: its very beginning and end, a pair over midnight, some hours; UTC's midnight in other zones
clocks = st.sampled_from(
    (
        0,
        1,
        -1,
        600_000,
        -400_000,
        HOUR_US,
        9 * HOUR_US,
        int(1.5 * HOUR_US),
        24 * HOUR_US - 1,
        int(5.5 * HOUR_US),
    )
)
teams = st.sampled_from(TEAMS)
organizations = st.sampled_from((None, None, None, "org_a", "org_b"))
kinds = st.sampled_from([*CALLS])


class Histories(RuleBasedStateMachine):
    """What can happen to a platform and to the builds of it."""

    @initialize(
        beginning=st.sampled_from(BEGINNINGS), zone=st.sampled_from(ZONES), history=st.integers(0, 50)
    )
    def begin(self, beginning: datetime, zone: str, history: int) -> None:
        self.start(beginning, zone)
        self.platform.fill(history)
        if not history:
            self.platform.add_job(self.platform.moment(-1, HOUR_US), "acme", "completed", "chat", None)
        self.night(0, 0, None)
        self.night(24, 1, None)

    def teardown(self) -> None:
        if hasattr(self, "warehouses"):
            self.warehouses.close()
            shutil.rmtree(self.folder)

    # --- what happens on the platform ------------------------------------------------------------------

    @rule(day=days, at=clocks, team=teams, status=st.sampled_from(STATUSES), own=organizations, place=places)
    def a_job(self, day: int, at: int, team: str, status: str, own: str | None, place: int) -> None:
        self.platform.add_job(self.platform.moment(day, at), team, status, JOB_TYPES[place % 2], own)

    @rule(day=days, at=clocks, job=places, kind=kinds, model=st.sampled_from(ALIASES), is_pair=st.booleans())
    def a_call(self, day: int, at: int, job: int, kind: str, model: str, is_pair: bool) -> None:
        key = "job-gone" if job == 40 else self.platform.pick("jobs", job)
        moment = self.platform.moment(day, at)
        self.platform.add_call(moment, key, kind, model)
        if is_pair:
            self.platform.add_call(moment + timedelta(milliseconds=700), key, "empty_choices", model)

    @rule(
        day=days,
        at=clocks,
        team=teams,
        job=places,
        kind=st.sampled_from(MOVES),
        amount=st.sampled_from((5, 1, 40, 0, -3)),
        own=organizations,
        gap=st.sampled_from((0, 0, 0, -5, 7)),
        is_tied=st.booleans(),
    )
    def a_ledger_row(
        self,
        day: int,
        at: int,
        team: str,
        job: int,
        kind: str,
        amount: int,
        own: str | None,
        gap: int,
        is_tied: bool,
    ) -> None:
        moment = self.platform.moment(day, at)
        other = self.platform.pick("credit_transactions", job)
        if is_tied and other is not None:
            tied = self.platform.rows["credit_transactions"][other]
            moment, team = tied["created_at"], tied["team_id"]
        key = self.platform.pick("jobs", job) if job < 30 else None
        self.platform.add_ledger_row(moment, team, key, kind, amount, own, gap)

    @rule(job=places, status=st.sampled_from(STATUSES))
    def a_job_ends(self, job: int, status: str) -> None:
        self.platform.finish_job(self.picked("jobs", job), status)

    @rule(job=places, days_later=st.sampled_from((0, 1, 5)), is_applied=st.booleans())
    def a_job_is_charged_again(self, job: int, days_later: int, is_applied: bool) -> None:
        key = self.picked("jobs", job)
        row = self.platform.rows["jobs"][key]
        row["credit_applied"] = is_applied
        moment = row["created_at"] + timedelta(days=days_later, seconds=1)
        self.platform.add_ledger_row(moment, row["team_id"], key, "deduction", 1, None, 0)

    @rule(job=places, team=teams, own=organizations)
    def a_job_changes_hands(self, job: int, team: str, own: str | None) -> None:
        row = self.platform.rows["jobs"][self.picked("jobs", job)]
        row.update(team_id=team, organization_id=own, job_type=JOB_TYPES[job % 2])

    @rule(call=places, kind=kinds)
    def a_call_is_corrected(self, call: int, kind: str) -> None:
        self.platform.recost_call(self.picked("llm_calls", call), kind)

    @rule(call=places, job=places)
    def a_call_changes_its_job(self, call: int, job: int) -> None:
        row = self.platform.rows["llm_calls"][self.picked("llm_calls", call)]
        row["job_id"] = self.platform.pick("jobs", job)

    @rule(place=places, amount=st.sampled_from((5, 2)), kind=st.sampled_from(MOVES), own=organizations)
    def a_ledger_row_is_corrected(self, place: int, amount: int, kind: str, own: str | None) -> None:
        row = self.platform.rows["credit_transactions"][self.picked("credit_transactions", place)]
        row.update(credits_amount=amount, transaction_type=kind, organization_id=own)

    @rule(table=st.sampled_from(FACTS), place=places, day=days, at=clocks)
    def a_row_moves(self, table: str, place: int, day: int, at: int) -> None:
        self.platform.rows[table][self.picked(table, place)]["created_at"] = self.platform.moment(day, at)

    @rule(table=st.sampled_from(FACTS), place=places)
    def a_row_is_deleted(self, table: str, place: int) -> None:
        self.platform.delete(table, self.picked(table, place))

    @rule(is_last=st.booleans())
    def a_day_is_deleted(self, is_last: bool) -> None:
        self.platform.delete_edge_day(is_last)

    @rule(table=st.sampled_from(FACTS), place=places)
    def a_row_is_there_twice(self, table: str, place: int) -> None:
        self.platform.copy(table, self.picked(table, place))

    @rule(job=places, cost=st.sampled_from(("0.75", "9")))
    def a_job_is_summarised(self, job: int, cost: str) -> None:
        self.platform.summarise(self.picked("jobs", job), cost)

    @rule(
        team=teams,
        organization=st.sampled_from(ORGANIZATIONS),
        markup=st.sampled_from((None, "20", "50")),
        hours_ago=st.sampled_from((None, 0, 5, 30)),
    )
    def a_team_changes(
        self, team: str, organization: str | None, markup: str | None, hours_ago: int | None
    ) -> None:
        self.platform.set_team(
            team,
            organization_id=organization,
            cost_markup_percentage=markup and Decimal(markup),
            updated_at=None if hours_ago is None else self.platform.as_of - timedelta(hours=hours_ago),
        )

    @rule(team=teams)
    def a_team_is_deleted(self, team: str) -> None:
        self.platform.delete("team_credits", team)

    @rule(alias=st.sampled_from(ALIASES), provider=st.sampled_from(("openai", "azure")), model=places)
    def an_alias_changes(self, alias: str, provider: str, model: int) -> None:
        if model == 40:
            self.platform.delete("model_aliases", alias)
        else:
            self.platform.set_alias(alias, provider, MODELS[model % 2])

    # --- what happens in the warehouse -----------------------------------------------------------------

    @rule(hours=st.sampled_from((0, 1, 5, 24, 30)), hours_back=st.sampled_from((0, 0, 0, 60)))
    def a_landing(self, hours: int, hours_back: int) -> None:
        self.land(hours, hours_back)

    @rule(
        hours=st.sampled_from((24, 24, 24, 0, 1, 25, 72, 200)),
        turn=st.sampled_from((1, 1, 0)),
        dies_after=st.one_of(st.none(), st.none(), st.integers(0, 110)),
    )
    def night(self, hours: int, turn: int, dies_after: int | None) -> None:
        self.land(hours)
        self.build(turn, self.platform.as_of, dies_after)

    @rule(hours=st.sampled_from((24, 24, 30, 48)), turn=st.sampled_from((1, 1, 0)))
    def another_night(self, hours: int, turn: int) -> None:
        self.night(hours, turn, None)

    @rule(turn=st.sampled_from((0, 1)), hours=st.sampled_from((0, 3, 24)))
    def a_build_without_landing(self, turn: int, hours: int) -> None:
        self.platform.as_of += timedelta(hours=hours)
        self.build(turn, self.platform.as_of, None)

    @rule(hours=st.sampled_from((24, 49)))
    def a_backfill(self, hours: int) -> None:
        """An earlier night is built again, as of its own moment."""
        self.build(1, self.platform.as_of - timedelta(hours=hours), None)

    # --- steps -----------------------------------------------------------------------------------------

    def start(self, beginning: datetime, zone: str) -> None:
        """An empty platform with its teams, and no night yet."""
        self.folder = Path(tempfile.mkdtemp(prefix="almanac-history-"))
        self.platform = LivingPlatform(beginning, zone)
        self.warehouses = Warehouses(self.folder / "landing.duckdb", reporting_timezone=zone)

    def picked(self, table: str, place: int) -> str:
        key = self.platform.pick(table, place)
        assume(key is not None)
        assert key is not None
        return key

    def land(self, hours: int, hours_back: int = 0) -> None:
        if not self.platform.rows["jobs"]:
            return  # the landing refuses a platform that has been emptied
        self.platform.as_of += timedelta(hours=hours)
        source = self.folder / "source"
        self.platform.write(source)
        land(
            source,
            self.folder / "landing.duckdb",
            as_of=self.platform.as_of - timedelta(hours=hours_back),
            progress=SilentProgress(),
            accept_deletes=True,
        )
        assert not unrelated_days(self.folder / "landing.duckdb"), str(self.platform)

    def build(self, turn: int, as_of: datetime, dies_after: int | None) -> None:
        """Bring a generation up to date: the other one than the published (`turn` 1) or the same."""
        published = self.warehouses.published
        place = GENERATIONS.index(published) if published else 1
        generation = GENERATIONS[(place + turn) % 2]
        if dies_after is not None:
            self.warehouses.build(generation, as_of, stop_after=dies_after)
            if dies_after % 2:
                self.warehouses.drop(generation)
        self.warehouses.build(generation, as_of)
        lines = canonical_differences(*self.warehouses.compare(generation, as_of))
        story = (str(self.warehouses.last_touched), str(self.platform))
        assert not lines, "\n".join(["a partial build is not the full one:", *lines, *story])
        self.warehouses.publish(generation)


def test_a_view_that_a_partial_build_leaves_says_nothing_of_its_night() -> None:
    views = views_left_as_they_are()
    assert len(views) > 60
    of_their_build = [
        name for name, (full, partial) in views.items() if full != partial or AS_OF_MARK in full
    ]
    assert of_their_build == [], "tag them each_build"


def unrelated_days(landing: Path) -> list[Any]:
    """Pairs of raw.related_days that no row makes, and pairs that are missing there."""
    pairs = " union ".join(
        "select cast(jobs.created_at as date), cast(facts.created_at as date) "
        f"from raw.{table} as facts inner join raw.jobs as jobs on facts.job_id = jobs.job_id"
        for table in ("llm_calls", "credit_transactions")
    )
    with duckdb.connect(str(landing)) as connection:
        return connection.execute(
            f"(from raw.related_days except ({pairs})) union all (({pairs}) except from raw.related_days)"
        ).fetchall()


def test_rows_reach_other_days_through_their_jobs_and_teams() -> None:
    """Histories that once went wrong: what changes lies on another day than what it changes."""
    state = Histories()
    state.start(datetime(2026, 11, 20, 2), "UTC")
    platform = state.platform
    try:
        # a failed job whose last failed call gives it a class, and calls on other days that it wasted
        corrected = platform.add_job(platform.moment(-10, 0), "acme", "failed", "chat", None)
        platform.add_call(platform.moment(-7, 0), corrected, "stored", "fast")
        last_failure = platform.add_call(platform.moment(-5, 0), corrected, "timeout", "fast")
        # the same, by a call that waits for its day
        waiting = platform.add_job(platform.moment(-30, 0), "beta", "failed", "chat", None)
        platform.add_call(platform.moment(-27, 0), waiting, "stored", "fast")
        platform.add_call(platform.moment(2, 0), waiting, "timeout", "fast")
        # a team that only a ledger row assigns, which waits for its day
        platform.add_job(platform.moment(-40, 0), "loose", "completed", "chat", None)
        platform.add_ledger_row(platform.moment(2, 0), "loose", None, "allocation", 5, "org_b", 0)
        state.night(0, 1, None)
        state.night(24, 1, None)
        # as of an earlier moment: days that were complete are open again
        state.land(0, hours_back=100)
        state.a_build_without_landing(0, 0)
        platform.recost_call(last_failure, "rate_limit")
        state.night(24, 0, None)
        assert state.warehouses.last_touched is not None, "the history no longer asks for a partial build"
        state.night(24, 1, None)
        assert state.warehouses.last_touched is not None, "the history no longer asks for a partial build"
    finally:
        state.teardown()


def test_an_incremental_build_is_a_full_refresh_after_any_history() -> None:
    incremental_project()
    chosen = settings(
        max_examples=HISTORIES,
        stateful_step_count=STEPS,
        derandomize=SEED is None,
        deadline=None,
        database=None,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    machine: Any = Histories if SEED is None else seed(int(SEED))(Histories)
    run_state_machine_as_test(machine, settings=chosen)
