"""The state machine of alerts: each sentence of its promise, and 100,000 random histories beside a model."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from flows import alert_states
from flows.alert_rules import Reminders, Severity, Verdict
from flows.alert_states import Memory, Observation, Patience, State, advance, tell
from tests.oracle import alerts as model

START = datetime(2026, 11, 1)
REMINDERS = {
    Severity.info: Reminders(None, 0),
    Severity.warning: Reminders(24, 3),
    Severity.error: Reminders(12, 6),
    Severity.critical: Reminders(4, 12),
}
HISTORIES = 100_000
PARTS = 4


class Key:
    """One key taken through evaluations, an hour and new data apart unless said otherwise."""

    def __init__(self, fire_after: int = 1, resolve_after: int = 1) -> None:
        self.memory = Memory()
        self.patience = Patience(fire_after, resolve_after)
        self.now = START
        self.withheld: str | None = None

    def see(
        self,
        verdict: str,
        severity: str = "warning",
        *,
        hours: float = 1,
        is_new: bool = True,
        muted: str | None = None,
        is_acknowledged: bool = False,
    ) -> str | None:
        """One evaluation; what was told."""
        self.now += timedelta(hours=hours)
        data = self.now if is_new else self.memory.data_as_of
        observed = Observation(Verdict(verdict), Severity(severity), data)
        self.memory, self.changes = advance(
            self.memory, observed, self.patience, new_incident_id=f"{self.now}"
        )
        self.memory, telling = tell(
            self.memory, REMINDERS, now=self.now, value=None,
            muted=muted, is_silence=muted == "silence", is_acknowledged=is_acknowledged,
        )  # fmt: skip
        self.withheld = telling.withheld
        return telling.event


def test_it_fires_after_so_many_breaches_on_new_data() -> None:
    key = Key(fire_after=3)
    assert [key.see("breach"), key.see("breach", is_new=False), key.see("breach")] == [None, None, None]
    assert str(key.memory.state) == "pending"
    assert key.see("breach") == "opened"
    assert str(key.memory.state) == "firing"


@pytest.mark.parametrize("verdict", ["clear", "holding"])
def test_what_is_pending_and_breaks_off_begins_anew(verdict: str) -> None:
    key = Key(fire_after=2)
    key.see("breach")
    key.see(verdict)
    assert key.memory.state is State.ok
    assert key.see("breach") is None


def test_it_resolves_after_so_many_clears_and_keeps_its_incident_until_then() -> None:
    key = Key(resolve_after=2)
    key.see("breach")
    incident = key.memory.incident_id
    assert key.see("clear") is None
    assert key.memory.state is State.recovering
    assert key.see("breach") is None
    assert (key.memory.state, key.memory.incident_id) == (State.firing, incident)
    key.see("clear")
    assert key.see("clear", is_new=False) is None
    assert key.see("clear") == "resolved"
    assert key.memory.incident_id is None


def test_inside_the_hysteresis_nothing_resolves() -> None:
    key = Key(resolve_after=2)
    key.see("breach")
    key.see("clear")
    key.see("holding")
    assert key.memory.state is State.firing
    assert key.see("clear") is None


def test_unknown_neither_opens_nor_resolves_and_goes_on_from_where_it_was() -> None:
    key = Key(fire_after=2, resolve_after=2)
    key.see("breach")
    key.see("unknown")
    assert key.memory.state is State.unknown
    assert key.see("breach") == "opened"
    key.see("clear")
    for _ in range(50):
        assert key.see("unknown") is None
    assert key.memory.is_open
    assert key.see("clear") == "resolved"


def test_a_higher_severity_is_told_at_once_a_lower_one_is_not() -> None:
    key = Key()
    assert key.see("breach", "warning") == "opened"
    assert key.see("breach", "error") == "escalated"
    assert key.see("breach", "warning") is None
    assert key.memory.severity is Severity.error


def test_reminders_come_by_severity_and_have_an_end() -> None:
    key = Key()
    told = [key.see("breach", "warning") for _ in range(24 * 10)]
    assert [hour for hour, event in enumerate(told) if event] == [0, 24, 48, 72]
    assert told[24] == "reminded"
    assert not any(Key().see("breach", "info") == "reminded" for _ in range(100))


def test_an_acknowledgement_ends_reminders_and_nothing_else() -> None:
    key = Key()
    key.see("breach", "warning")
    assert not any(key.see("breach", "warning", hours=24, is_acknowledged=True) for _ in range(5))
    assert key.see("breach", "critical", is_acknowledged=True) == "escalated"
    assert key.see("clear", hours=5, is_acknowledged=True) == "resolved"


def test_what_was_kept_quiet_is_told_when_the_silence_ends_and_it_still_fires() -> None:
    key = Key()
    assert key.see("breach", muted="silence") is None
    assert key.withheld == "silence"
    assert key.see("breach") == "opened"


def test_of_what_nobody_was_told_no_end_is_told_either() -> None:
    key = Key()
    key.see("breach", muted="silence")
    assert key.see("clear", muted="silence") is None
    assert key.see("clear") is None


def test_the_end_of_what_was_told_is_told_when_the_silence_ends() -> None:
    key = Key()
    key.see("breach")
    assert key.see("clear", muted="silence") is None
    assert key.see("clear") == "resolved"
    assert key.see("clear") is None


@pytest.mark.parametrize("severity", ["info", "warning", "error", "critical"])
def test_what_people_know_is_told_again_when_a_silence_ends_and_it_still_fires(severity: str) -> None:
    key = Key()
    assert key.see("breach", severity) == "opened"
    assert [key.see("breach", severity, muted="silence", hours=24) for _ in range(10)] == [None] * 10
    assert [key.see("breach", severity, hours=0.1) for _ in range(3)] == ["still_firing", None, None]


@pytest.mark.parametrize("muted", ["maintenance", "another one explains it"])
def test_nothing_but_a_silence_is_told_again_afterwards(muted: str) -> None:
    key = Key()
    key.see("breach")
    key.see("breach", muted=muted)
    assert key.see("breach") is None


def test_who_looks_after_it_is_not_told_again_after_a_silence() -> None:
    key = Key()
    key.see("breach")
    key.see("breach", muted="silence")
    assert key.see("breach", is_acknowledged=True) is None


@pytest.mark.parametrize(
    ("severity", "hours"), [("info", 24), ("warning", 24), ("error", 12), ("critical", 4)]
)
def test_a_thousand_flaps_are_two_notices_in_an_interval_and_the_last_word_is_true(
    severity: str, hours: int
) -> None:
    key, told = Key(), []
    for number in range(2000):
        event = key.see("breach" if number % 2 == 0 else "clear", severity, hours=0.1)
        if event:
            told.append(key.now)
    for moment in told:
        assert sum(moment <= other < moment + timedelta(hours=hours) for other in told) <= 2
    assert len(told) >= 2000 * 0.1 / hours
    key.see("breach", severity, hours=0.1)
    key.see("breach", severity, hours=hours)
    assert key.memory.told == "firing"
    key.see("clear", severity, hours=0.1)
    key.see("clear", severity, hours=hours)
    assert key.memory.told != "firing"


def test_the_first_critical_word_is_never_kept_back() -> None:
    key = Key()
    for _ in range(3):
        key.see("breach", "warning", hours=0.1)
        key.see("clear", hours=0.1)
    assert key.see("breach", "warning", hours=0.1) is None
    assert key.see("breach", "critical", hours=0.1) == "still_firing"


def test_what_is_long_over_is_forgotten() -> None:
    key = Key()
    key.see("breach")
    key.see("clear")
    assert not key.memory.is_blank
    key.see("clear", hours=25)
    assert key.memory.is_blank


def test_a_memory_survives_being_written_down() -> None:
    key = Key(fire_after=2, resolve_after=3)
    for verdict in ("breach", "breach", "clear", "unknown"):
        key.see(verdict, "error")
        assert alert_states.from_json(alert_states.to_json(key.memory)) == key.memory


def history_of(chance: random.Random) -> list[model.Seen]:
    """Values, gaps, errors, silences, acknowledgements, the same data again, clocks that stand or jump."""
    now, data = START, START
    muted_for = acknowledged_for = 0
    muted = ""
    verdicts = chance.choices(
        ["breach", "clear", "holding", "unknown"],
        chance.choice([(5, 5, 1, 1), (2, 8, 2, 1), (9, 2, 1, 1), (1, 1, 1, 1)]),
        k=chance.randint(3, 24),
    )  # fmt: skip
    severities = chance.choice(
        [("warning",), ("error",), ("warning", "error", "critical"), ("info", "critical")]
    )
    history = []
    for verdict in verdicts:
        now += timedelta(minutes=chance.choice([0, 15, 60, 60, 300, 1500, 3000]))
        # a source that was set back, or a landing of an older one, brings data that counted already
        data += timedelta(minutes=chance.choice([-90, 0, 15, 60, 60, 60]))
        muted_for = max(muted_for - 1, 0)
        if chance.random() < 0.08:
            muted_for, muted = chance.randint(1, 6), chance.choice(["silence", "silence", "maintenance"])
        acknowledged_for = chance.randint(1, 8) if chance.random() < 0.05 else max(acknowledged_for - 1, 0)
        history.append(
            model.Seen(
                verdict,
                chance.choice(severities),
                data,
                now,
                muted if muted_for else "",
                acknowledged_for > 0,
            )
        )
    return history


@pytest.mark.parametrize("part", range(PARTS))
def test_the_machine_and_the_model_agree(part: int) -> None:
    plan = {str(severity): (reminder.hours, reminder.limit) for severity, reminder in REMINDERS.items()}
    for seed in range(part * HISTORIES // PARTS, (part + 1) * HISTORIES // PARTS):
        chance = random.Random(seed)
        history = history_of(chance)
        rules = model.Rules(chance.choice([1, 1, 2, 3]), chance.choice([1, 1, 2, 3]), plan)
        memory, told, opened, resolved = Memory(), [], [], []
        for index, seen in enumerate(history):
            if chance.random() < 0.1:  # the program is started again
                memory = alert_states.from_json(alert_states.to_json(memory))
            observed = Observation(Verdict(seen.verdict), Severity(seen.severity), seen.data_as_of)
            patience = Patience(rules.fire_after, rules.resolve_after)
            memory, changes = advance(memory, observed, patience, new_incident_id=str(index))
            opened += [index] if "opened" in changes else []
            resolved += [index] if "resolved" in changes else []
            memory, telling = tell(
                memory, REMINDERS, now=seen.now, value=None,
                muted=seen.muted or None, is_silence=seen.muted == "silence",
                is_acknowledged=seen.acknowledged,
            )  # fmt: skip
            if telling.event:
                told.append(
                    (index, "firing" if telling.event in ("opened", "still_firing") else telling.event)
                )
        incidents = model.incidents(history, rules)
        assert str(memory.state) == model.state(history, rules), f"seed {seed}"
        assert opened == [one.opened for one in incidents], f"seed {seed}"
        assert resolved == [one.resolved for one in incidents if one.resolved is not None], f"seed {seed}"
        assert told == model.told(history, rules), f"seed {seed}"


def test_the_model_would_notice() -> None:
    """A machine that forgot its hysteresis, or a model that says yes to everything, would fail above."""
    seen = model.Seen("breach", "warning", START, START, "", False)
    rules = model.Rules(1, 1, {"warning": (24, 3)})
    held = replace(seen, verdict="holding", data_as_of=START + timedelta(hours=1))
    assert model.state([seen, held], rules) == "firing"
    assert model.told([seen, held], rules) == [(0, "firing")]
