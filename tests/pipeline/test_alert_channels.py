"""Notices through Slack, webhooks and Apprise: over the outbox, with circuits, to real servers."""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from standardwebhooks import Webhook, WebhookVerificationError

from flows.alert_config import AlertConfig, load_alert_config
from flows.alert_delivery import deliveries_of, notice_enqueuer
from flows.alert_test_send import Tried, send_tests
from flows.apprise_channel import AppriseChannel
from flows.channel_circuits import FAILURES, close_circuit, open_circuits
from flows.channels import Channel, ChannelDown, NobodyKnows, Parcel, Refused, TryLater
from flows.doctor import examine
from flows.errors import UsageError
from flows.ops_store import OpsStore, deliveries, open_ops_store
from flows.outbound_http import Guard
from flows.outbox import Delivery, DeliveryReport, deliver, enqueue, entries
from flows.review_run import channels, send_outbox
from flows.settings import Settings
from flows.slack_channel import SlackChannel
from flows.webhook_channel import WebhookChannel, parse_secret
from tests.almanac_command import ALMANAC
from tests.http_receivers import Receiver, http_receiver
from tests.notice_samples import member, notice
from tests.postgres_server import PostgresServer
from tests.smtp_servers import closed_port

T0 = datetime(2026, 11, 23, 2, 30)
OWN = Guard(allow_private=True, allow_http=True, deadline_seconds=0.5)
KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()
_databases = itertools.count(1)


@pytest.fixture
def store(tmp_path: Path) -> OpsStore:
    return open_ops_store(Settings(data_dir=tmp_path))


@pytest.fixture(params=["sqlite", "postgres"])
def either_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpsStore]:
    if request.param == "sqlite":
        yield open_ops_store(Settings(data_dir=tmp_path))
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"channels_{next(_databases)}"
    url = server.create_database(name)
    yield open_ops_store(Settings(data_dir=tmp_path, target="postgres", warehouse_url=url))
    server.drop_database(name)


class Scripted:
    """A channel that does what it is told, one thing for each message, the last one for ever."""

    name = "slack:ops"
    # some find out that they can send nothing after handing over
    hands_over_first = False

    def __init__(self, *does: Exception | None) -> None:
        self._does = list(does) or [None]
        self.sent: list[Parcel] = []
        self.tried = 0

    def send(self, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        self.tried += 1
        does = self._does.pop(0) if len(self._does) > 1 else self._does[0]
        if not isinstance(does, ChannelDown) or self.hands_over_first:
            handing_over()
        if does is not None:
            raise does
        self.sent.append(parcel)

    def was_taken(self, parcel: Parcel) -> None:
        return None

    def close(self) -> None:
        pass


def put(
    store: OpsStore, count: int = 1, at: datetime = T0, channel: str = "slack:ops", first: int = 1
) -> None:
    with store.transaction() as connection:
        for number in range(first, first + count):
            enqueue(
                connection,
                at,
                [
                    Delivery(
                        "alert",
                        "platform",
                        f"n{number}",
                        1,
                        "ops",
                        channel,
                        f"msg_{number}",
                        b"{}",
                        "application/json",
                    )
                ],
            )


def send(store: OpsStore, channel: Channel, at: datetime = T0) -> DeliveryReport:
    return deliver(store, {channel.name: channel}, now=lambda _: at, sleep=lambda _: None)


def rows(store: OpsStore) -> list[Any]:
    with store.transaction() as connection:
        return sorted(entries(connection), key=lambda row: int(row.delivery_id))


OUTAGE = TryLater("it answered 500", is_outage=True)


@pytest.mark.parametrize(
    "failure",
    [OUTAGE, NobodyKnows("no answer in time", is_outage=True)],
    ids=["500", "timeout"],
)
def test_five_failures_in_a_row_open_the_circuit_and_the_rest_is_left_alone(
    store: OpsStore, failure: Exception
) -> None:
    put(store, 9)
    channel = Scripted(failure)
    report = send(store, channel)
    assert channel.tried == FAILURES
    assert (
        "failed 5 times in a row and is left alone until 2026-11-23 02:35 UTC"
        in report.channels_down["slack:ops"]
    )
    assert not report.is_good
    assert [row.attempt_count for row in rows(store)] == [1] * 5 + [0] * 4
    later = send(store, channel, T0 + timedelta(minutes=4, seconds=59))
    assert channel.tried == FAILURES
    assert "left alone" in later.channels_down["slack:ops"]


def test_a_channel_that_is_down_opens_its_circuit_after_five_runs_and_loses_no_attempt(
    store: OpsStore,
) -> None:
    put(store, 3)
    channel = Scripted(ChannelDown("its certificate has expired"))
    for _ in range(8):
        report = send(store, channel)
    assert channel.tried == FAILURES
    assert "certificate has expired" in report.channels_down["slack:ops"]
    assert {(row.state, row.attempt_count) for row in rows(store)} == {("pending", 0)}


def test_what_is_in_doubt_stays_so_when_its_channel_is_down_and_is_sent_when_it_is_not(
    store: OpsStore,
) -> None:
    put(store)
    send(store, Scripted(NobodyKnows("no answer")))
    down = Scripted(ChannelDown("it answered 403"))
    down.hands_over_first = True
    report = send(store, down, T0 + timedelta(minutes=16))
    assert (down.tried, report.unknown, report.channels_down) == (1, 0, {"slack:ops": "it answered 403"})
    (row,) = rows(store)
    assert (row.state, row.is_resend, row.attempt_count) == ("unknown", False, 1)
    assert send(store, Scripted(None), T0 + timedelta(days=2)).sent == 1


def test_one_message_tries_a_circuit_when_its_time_has_come_and_closes_it(
    either_store: OpsStore,
) -> None:
    put(either_store, 9)
    send(either_store, Scripted(OUTAGE))
    works = Scripted(None)
    report = send(either_store, works, T0 + timedelta(minutes=5))
    # the four that were never tried, and those of the five whose own wait is over
    assert works.tried >= 4
    assert report.channels_down == {}
    with either_store.transaction() as connection:
        assert open_circuits(connection) == []
    assert send(either_store, works, T0 + timedelta(hours=1)).is_good
    assert {row.state for row in rows(either_store)} == {"sent"}


def test_a_trial_that_fails_doubles_the_wait_and_uses_up_no_attempt(
    either_store: OpsStore,
) -> None:
    put(either_store, 7)
    channel = Scripted(OUTAGE)
    send(either_store, channel)
    before = [row.attempt_count for row in rows(either_store)]
    at, waits = T0, []
    for _ in range(7):
        with either_store.transaction() as connection:
            (circuit,) = open_circuits(connection)
        assert circuit.open_until is not None
        waits.append((circuit.open_until - at).total_seconds() / 60)
        at = circuit.open_until
        tried = channel.tried
        send(either_store, channel, at)
        assert channel.tried == tried + 1, "one trial, and no more"
    assert waits == [5, 10, 20, 40, 60, 60, 60]
    assert [row.attempt_count for row in rows(either_store)] == before


def test_a_message_that_waited_through_two_days_of_an_outage_is_not_dead(store: OpsStore) -> None:
    put(store)
    channel = Scripted(OUTAGE)
    for hours in [0, 0.02, 0.06, 0.14, 0.3, *range(1, 48, 6)]:
        at = T0 + timedelta(hours=hours)
        send(store, channel, at)
    (row,) = rows(store)
    assert (row.state, row.attempt_count) == ("pending", FAILURES)
    # it works again, and refuses to hurry: that is no reason to give up
    put(store, 1, at, first=2)
    send(store, Scripted(None, TryLater("it answered 429")), at + timedelta(hours=1))
    assert [row.state for row in rows(store)].count("pending") == 1
    assert send(store, Scripted(None), at + timedelta(hours=9)).sent == 1
    assert {row.state for row in rows(store)} == {"sent"}


def test_a_channel_that_works_again_gives_up_what_it_never_takes(store: OpsStore) -> None:
    put(store)
    at = T0
    later = Scripted(TryLater("it answered 429"))
    for _ in range(8):
        send(store, later, at)
        at += timedelta(hours=8)
    (row,) = rows(store)
    assert row.state == "dead"
    assert "429" in row.last_error


@pytest.mark.parametrize("end", [Refused("it answered 400"), TryLater("it answered 450"), None], ids=str)
def test_any_answer_between_failures_begins_the_count_anew(store: OpsStore, end: Exception | None) -> None:
    put(store, 9)
    channel = Scripted(*[OUTAGE] * 4, end, *[OUTAGE] * 4)
    assert send(store, channel).channels_down == {}
    assert channel.tried == 9


def test_who_asks_to_be_left_alone_is_and_is_not_at_fault(either_store: OpsStore) -> None:
    put(either_store, 3)
    channel = Scripted(TryLater("it answered 429", wait=timedelta(minutes=40)), None)
    report = send(either_store, channel)
    assert channel.tried == 1
    assert report.is_good
    assert "asked to be left alone until 2026-11-23 03:10 UTC" in report.resting["slack:ops"]
    assert "slack:ops asked" in str(report)
    with either_store.transaction() as connection:
        assert open_circuits(connection) == []
    assert rows(either_store)[0].due_at == T0
    assert send(either_store, channel, T0 + timedelta(minutes=39)).sent == 0
    assert send(either_store, channel, T0 + timedelta(minutes=40)).sent == 3


def test_nothing_overtakes_what_a_channel_put_off(either_store: OpsStore) -> None:
    put(either_store)
    channel = Scripted(TryLater("it answered 429", wait=timedelta(seconds=90)), None)
    send(either_store, channel)
    put(either_store, 1, T0 + timedelta(seconds=40), first=2)
    assert send(either_store, channel, T0 + timedelta(seconds=89)).sent == 0
    assert send(either_store, channel, T0 + timedelta(seconds=90)).sent == 2
    assert [parcel.period for parcel in channel.sent] == ["n1", "n2"]


@pytest.mark.parametrize(("seconds", "sent"), [(1, 20), (60, 20), (61, 3)])
def test_a_burst_waits_for_a_channel_that_asks_for_a_short_rest(
    either_store: OpsStore, seconds: int, sent: int
) -> None:
    put(either_store, 20)
    busy = TryLater("it answered 429", wait=timedelta(seconds=seconds))
    channel = Scripted(None, None, None, busy, None, busy, None)
    clock = [T0]
    slept: list[float] = []

    def sleep(wanted: float) -> None:
        slept.append(wanted)
        clock[0] += timedelta(seconds=wanted)

    report = deliver(either_store, {channel.name: channel}, now=lambda _: clock[0], sleep=sleep)
    assert report.sent == sent
    assert [wanted for wanted in slept if wanted] == ([seconds] * 2 if sent == 20 else [])
    periods = [parcel.period for parcel in channel.sent]
    assert periods == [f"n{number}" for number in range(1, sent + 1)]


def test_a_channel_that_asks_for_ever_is_waited_for_five_times(store: OpsStore) -> None:
    put(store, 2)
    put(store, 1, channel="webhook:siem")
    channel, other = Scripted(TryLater("it answered 429", wait=timedelta(seconds=5))), Scripted(None)
    other.name = "webhook:siem"
    clock = [T0]

    def sleep(wanted: float) -> None:
        clock[0] += timedelta(seconds=wanted)

    both = {one.name: one for one in (channel, other)}
    report = deliver(store, both, now=lambda _: clock[0], sleep=sleep)
    assert (channel.tried, report.sent) == (6, 1)
    assert "asked to be left alone" in report.resting["slack:ops"]
    assert clock[0] == T0 + timedelta(seconds=25)


def test_nobody_is_left_alone_for_longer_than_the_longest_wait(store: OpsStore) -> None:
    put(store)
    send(store, Scripted(TryLater("x", wait=timedelta(days=300))))
    assert send(store, Scripted(None), T0 + timedelta(hours=5, minutes=59)).sent == 0
    assert send(store, Scripted(None), T0 + timedelta(hours=6)).sent == 1


def test_a_clock_that_was_set_back_keeps_no_circuit_open(store: OpsStore) -> None:
    put(store, 6, T0 - timedelta(days=1))
    send(store, Scripted(OUTAGE))
    with store.transaction() as connection:
        connection.execute(update(deliveries.channel_circuits).values(open_until=T0 + timedelta(days=300)))
    assert send(store, Scripted(None), T0).sent >= 1


def test_a_trial_whose_sender_died_is_made_again(either_store: OpsStore) -> None:
    class Killed(BaseException):
        pass

    put(either_store, 6)
    send(either_store, Scripted(OUTAGE))
    dying = Scripted(Killed())  # type: ignore[arg-type]
    with pytest.raises(Killed):
        send(either_store, dying, T0 + timedelta(minutes=5))
    works = Scripted(None)
    send(either_store, works, T0 + timedelta(minutes=6))
    assert works.tried >= 1


def test_one_channel_at_fault_stops_no_other(store: OpsStore) -> None:
    put(store, 3)
    put(store, 3, channel="webhook:siem")
    broken, works = Scripted(OUTAGE), Scripted(None)
    works.name = "webhook:siem"
    deliver(store, {"slack:ops": broken, "webhook:siem": works}, now=lambda _: T0)
    assert [row.state for row in rows(store)] == ["pending"] * 3 + ["sent"] * 3


def test_json_is_kept_as_such_sent_as_it_was_and_marked_by_nobody(store: OpsStore) -> None:
    put(store)
    lost, works = Scripted(NobodyKnows("hung up")), Scripted(None)
    assert send(store, lost).unknown == 1
    assert send(store, works, T0 + timedelta(minutes=16)).sent == 1
    (parcel,) = works.sent
    assert (parcel.content, parcel.media_type, parcel.message_id) == (b"{}", "application/json", "msg_1")


def test_of_two_senders_at_once_one_tries_the_circuit(either_store: OpsStore) -> None:
    put(either_store, 8)
    send(either_store, Scripted(OUTAGE))
    at = T0 + timedelta(minutes=6)
    others: list[DeliveryReport] = []
    second = Scripted(None)

    class Slow(Scripted):
        def send(self, parcel: Parcel, handing_over: Callable[[], None]) -> None:
            others.append(send(either_store, second, at))
            super().send(parcel, handing_over)

    send(either_store, Slow(OUTAGE), at)
    assert len(others) == 1
    assert second.tried == 0
    assert "left alone" in others[0].channels_down["slack:ops"]


def test_closing_a_circuit_that_never_was_does_nothing(store: OpsStore) -> None:
    with store.transaction() as connection:
        close_circuit(connection, "slack:ops", T0)
        assert open_circuits(connection) == []


def test_a_channel_that_was_taken_out_fails_no_run_for_ever(either_store: OpsStore) -> None:
    put(either_store, 3)
    with either_store.transaction() as connection:
        kinds = {1: {"state": "unknown"}, 2: {"kind": "weekly"}}
        for number, values in kinds.items():
            connection.execute(
                update(deliveries.outbox).where(deliveries.outbox.c.period == f"n{number}").values(**values)
            )
    other = Scripted(None)
    other.name = "slack:other"
    early = send(either_store, other, T0 + timedelta(hours=23))
    assert early.channels_down == {"slack:ops": "it is not set up, and 3 messages wait for it"}
    late = send(either_store, other, T0 + timedelta(hours=24))
    assert (late.dead, late.unknown) == (1, 1)
    assert late.troubles == [
        "channel slack:ops is not set up any more: 2 alerts that waited for a day are given up"
    ]
    assert not late.is_good
    # reviews wait for the mail server that they are for
    assert late.channels_down == {"slack:ops": "it is not set up, and 1 messages wait for it"}
    states = {row.period: (row.state, row.is_resend) for row in rows(either_store)}
    assert states == {"n1": ("unknown", True), "n2": ("pending", False), "n3": ("dead", False)}
    assert send(either_store, other, T0 + timedelta(hours=25)).troubles == []


def slack_to(receiver: Receiver) -> SlackChannel:
    url = f"http://127.0.0.1:{receiver.port}/services/T0/B0/SECRETSECRET"
    return SlackChannel("slack:ops", url, OWN, source="ALMANAC_ALERT_SLACK_URL")


def webhook_to(receiver: Receiver, **options: Any) -> WebhookChannel:
    url = f"http://127.0.0.1:{receiver.port}/in?token=SECRETSECRET"
    return WebhookChannel("webhook:siem", url, KEY, OWN, source="U", secret_source="S", **options)


@pytest.mark.parametrize(
    ("answer", "state", "told"),
    [
        ("200|ok", "sent", None),
        ("400|invalid_payload", "dead", "invalid_payload"),
        ("413", "dead", "413"),
        ("429\r\nRetry-After: 120", "pending", "429"),
        ("429\r\nRetry-After: tomorrow", "pending", "429"),
        ("500|SECRETSECRET", "pending", "500"),
        ("hang", "unknown", "did not answer in time"),
        ("drip", "unknown", "did not answer in time"),
        ("reset", "unknown", "ended without an answer"),
    ],
    ids=str,
)
def test_what_slack_answers_decides_the_state(
    tmp_path: Path, answer: str, state: str, told: str | None
) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    put(store)
    began = time.monotonic()
    with http_receiver(answer) as receiver:
        report = send(store, slack_to(receiver))
    assert time.monotonic() - began < 2
    (row,) = rows(store)
    assert row.state == state
    assert (told or "") in (row.last_error or "")
    assert "SECRET" not in f"{row} {report}"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("401", "answered 401"),
        ("403|action_prohibited", "make a new incoming webhook"),
        ("404|no_service", "make a new incoming webhook"),
        ("410|channel_is_archived", "the channel is archived"),
        ("302\r\nLocation: http://169.254.169.254/SECRETSECRET", "redirects are not followed"),
    ],
    ids=str,
)
def test_a_channel_that_is_set_up_wrongly_loses_nothing(store: OpsStore, answer: str, told: str) -> None:
    put(store, 3)
    with http_receiver(answer) as receiver:
        # a try each run, then as its circuit allows, for as long as it lasts: told each time
        for hours in [*range(6), 30, 60, 90]:
            report = send(store, slack_to(receiver), T0 + timedelta(hours=hours))
            assert not report.is_good
            assert told in report.channels_down["slack:ops"]
            assert "SECRET" not in str(report)
        assert len(receiver.posted) == 9
        assert {(row.state, row.attempt_count, row.is_resend) for row in rows(store)} == {
            ("pending", 0, False)
        }
        send(store, slack_to(receiver), T0 + timedelta(hours=90, minutes=30))
        assert len(receiver.posted) == 9, "its circuit is open"
        receiver.answers[:] = ["200"]
        assert send(store, slack_to(receiver), T0 + timedelta(hours=92)).sent == 3


def test_a_webhook_is_signed_and_its_id_stays_the_same(tmp_path: Path) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    config = _config(
        tmp_path, "channels: {siem: {kind: webhook, url_from: ALMANAC_ALERT_A, secret_from: ALMANAC_ALERT_B}}"
    )
    given = notice(member(scope_name="Bücher & <b>\u202e\N{GRINNING FACE}"))
    with store.transaction() as connection:
        for _, found in deliveries_of(given, None, config):
            enqueue(connection, T0, found)
    with http_receiver("500", "200") as receiver:
        send(store, webhook_to(receiver))
        assert send(store, webhook_to(receiver), T0 + timedelta(minutes=2)).sent == 1
    first, second = receiver.posted
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    document = Webhook(KEY).verify(second.body, second.headers)
    assert document["data"]["incidents"][0]["scope"]["name"] == "Bücher & <b>\u202e\N{GRINNING FACE}"
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(second.body.replace(b"0.08125", b"0.98125"), second.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(bytes(32)).decode()).verify(second.body, second.headers)


def test_a_secret_is_the_base64_that_the_receiver_reads_or_none() -> None:
    key = bytes(range(232, 256)) + bytes(9) + b"\xfb\xff"  # its base64 has + and /
    text = base64.b64encode(key).decode()
    assert "+" in text
    assert "/" in text
    for wanted in (text, text.rstrip("="), text.rstrip("=") + "=="):
        assert parse_secret(f"whsec_{wanted}", source="S") == key
    url_safe = base64.urlsafe_b64encode(key).decode()
    for wrong in (
        url_safe,
        url_safe.rstrip("="),
        f"{text[:10]}\n{text[10:]}",
        text[:-2] + "é",
        text[:5],
        text * 3,
    ):
        with pytest.raises(UsageError, match="S holds no signing secret") as refused:
            parse_secret(f"whsec_{wrong}", source="S")
        assert wrong not in str(refused.value)


def test_the_signature_has_the_moment_of_its_try() -> None:
    old = datetime(2026, 1, 1, tzinfo=UTC)
    with http_receiver("200") as receiver:
        parcel = Parcel("alert", "platform", "n", 1, "siem", "msg_1", b"{}", "application/json")
        webhook_to(receiver, now=lambda: old).send(parcel, lambda: None)
    assert receiver.posted[0].headers["webhook-timestamp"] == str(int(old.timestamp()))
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(KEY).verify(receiver.posted[0].body, receiver.posted[0].headers)


@pytest.mark.parametrize(
    ("answer", "raised"),
    [("200", None), ("500", TryLater), ("302\r\nLocation: /elsewhere", TryLater), ("hang", NobodyKnows)],
    ids=str,
)
def test_apprise_takes_refuses_or_is_ended(
    answer: str, raised: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    content = json.dumps({"title": "A title", "body": "A body <b>", "type": "warning"}).encode()
    parcel = Parcel("alert", "platform", "n", 1, "phones", "msg_1", content, "application/json")
    with http_receiver(answer) as receiver:
        # the URL's own wishes are overruled: no redirect, no retry, no longer wait than ours
        wishes = "redirect=yes&retry=3&rto=60&cto=60"
        url = f"json://user:SECRETSECRET@127.0.0.1:{receiver.port}/x?{wishes}"
        channel = AppriseChannel("apprise:phones", url, source="ALMANAC_ALERT_A", deadline_seconds=4)
        began = time.monotonic()
        if raised is None:
            channel.send(parcel, lambda: None)
        else:
            with pytest.raises(raised) as caught:
                channel.send(parcel, lambda: None)
            assert "SECRET" not in str(caught.value)
        assert time.monotonic() - began < 6
        assert len(receiver.posted) == 1
    assert json.loads(receiver.posted[0].body)["message"] == "A body <b>"


def test_a_service_that_is_slow_has_taken_the_message() -> None:
    with http_receiver("slow:4.5:200") as receiver:
        content = b'{"title":"t","body":"b","type":"info"}'
        parcel = Parcel("alert", "platform", "n", 1, "phones", "msg_1", content, "application/json")
        url = f"json://127.0.0.1:{receiver.port}/"
        AppriseChannel("apprise:phones", url, source="A").send(parcel, lambda: None)
        assert len(receiver.posted) == 1


def test_what_a_service_never_confirmed_is_sent_once_more_and_no_more(store: OpsStore) -> None:
    with store.transaction() as connection:
        content = b'{"title":"t","body":"b","type":"info"}'
        wanted = ("alert", "platform", "n1", 1, "phones", "apprise:phones", "msg_1", content)
        enqueue(connection, T0, [Delivery(*wanted, "application/json")])
    with http_receiver("hang") as receiver:
        url = f"json://127.0.0.1:{receiver.port}/"
        channel = AppriseChannel("apprise:phones", url, source="A", read_seconds=0.5)
        for hours in range(4):
            send(store, channel, T0 + timedelta(hours=hours))
        assert len(receiver.posted) == 2
    (row,) = rows(store)
    assert (row.state, row.is_resend) == ("unknown", True)
    assert "the 0.5 s that it has to answer" in row.last_error


def test_a_url_that_apprise_does_not_know_is_told_without_it() -> None:
    channel = AppriseChannel("apprise:phones", "nosuch://SECRETSECRET", source="ALMANAC_ALERT_A")
    parcel = Parcel("alert", "platform", "n", 1, "p", "m", b'{"title":"","body":"b","type":"info"}')
    with pytest.raises(ChannelDown, match=r"no service by the URL in ALMANAC_ALERT_A") as caught:
        channel.send(parcel, lambda: None)
    assert "SECRET" not in str(caught.value)


def _config(folder: Path, text: str) -> AlertConfig:
    (folder / "alerts.yml").write_text(text)
    return load_alert_config(folder / "alerts.yml")


FILE = """\
channels:
  ops: {kind: slack, url_from: ALMANAC_ALERT_OPS_URL, allow_private: true, allow_http: true}
  siem:
    kind: webhook
    url_from: ALMANAC_ALERT_SIEM_URL
    secret_from: ALMANAC_ALERT_SIEM_SECRET
    allow_private: true
    allow_http: true
  unset: {kind: slack, url_from: ALMANAC_ALERT_UNSET_URL}
  people: {kind: mail, to: [ann@example.com]}
  audit: {kind: file}
"""
RECIPIENTS = "sender: {from: a@b.c, bounces: a@b.c, list_domain: b.c}\noperators: [op@example.com]\n"


def run_almanac(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed command, with the environment as it is."""
    return subprocess.run([ALMANAC, *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, Receiver, Receiver]]:
    """Settings with one channel of each kind that posts, one without its secret, mails and files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alerts.yml").write_text(FILE)
    (tmp_path / "recipients.yml").write_text(RECIPIENTS)
    with http_receiver("200") as slack, http_receiver("200") as siem:
        monkeypatch.setenv("ALMANAC_ALERT_OPS_URL", f"http://127.0.0.1:{slack.port}/SECRETSECRET")
        monkeypatch.setenv("ALMANAC_ALERT_SIEM_URL", f"http://127.0.0.1:{siem.port}/SECRETSECRET")
        monkeypatch.setenv("ALMANAC_ALERT_SIEM_SECRET", KEY)
        monkeypatch.setenv("ALMANAC_ALERTS", str(tmp_path / "alerts.yml"))
        monkeypatch.setenv("ALMANAC_RECIPIENTS", str(tmp_path / "recipients.yml"))
        monkeypatch.setenv("ALMANAC_DATA_DIR", str(tmp_path / "data"))
        yield Settings(), slack, siem


def test_a_notice_leaves_through_every_channel_and_one_that_fails_stops_none(
    whole: tuple[Settings, Receiver, Receiver],
) -> None:
    settings, slack, siem = whole
    slack.answers[:] = ["400|invalid_payload"]
    store = open_ops_store(settings)
    with store.transaction() as connection:
        put_in = notice_enqueuer(settings, store.now)
        put_in(connection, notice(member(severity="error")))
        put_in(connection, notice(member(severity="error")))
    report = send_outbox(settings)
    assert {row.channel + " " + row.recipient: row.state for row in rows(store)} == {
        "slack:ops ops": "dead",
        "webhook:siem siem": "sent",
        "slack:unset unset": "pending",
        "file ann@example.com": "sent",
        "file audit": "sent",
    }
    assert (
        "ALMANAC_ALERT_UNSET_URL, which the alerts file names, is not set"
        in report.channels_down["slack:unset"]
    )
    assert (len(slack.posted), len(siem.posted)) == (1, 1)
    files = sorted(path.suffix for path in settings.outbox_dir.rglob("*") if path.is_file())
    assert files == [".eml", ".json"]
    assert "SECRET" not in str(report)
    for path in settings.data_dir.rglob("*"):
        assert not path.is_file() or b"SECRET" not in path.read_bytes(), f"{path} holds a webhook's URL"
    listed = run_almanac("review", "outbox")
    assert listed.returncode == 0, listed.stderr
    assert "dead     alert notice-1 platform edition 1 slack:ops ops" in listed.stdout


def test_test_send_goes_through_every_channel_now_and_opens_nothing(
    whole: tuple[Settings, Receiver, Receiver],
) -> None:
    settings, slack, siem = whole
    store = open_ops_store(settings)
    put(store)
    with store.transaction() as connection:
        connection.execute(update(deliveries.outbox).values(due_at=T0 + timedelta(days=900)))
        for channel in ("slack:ops", "webhook:siem"):
            connection.execute(
                deliveries.channel_circuits.insert().values(
                    channel=channel, failure_count=5, open_until=T0 + timedelta(days=900), wait_seconds=300
                )
            )
    siem.answers[:] = ["500"]
    done = run_almanac("alerts", "test-send")
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "ops: sent"
    assert lines[1].startswith("siem: not sent: 127.0.0.1:")
    assert "500" in lines[1]
    assert lines[2].startswith("unset: not sent: ALMANAC_ALERT_UNSET_URL")
    assert lines[3:] == ["people to ann@example.com: sent", "audit: sent"]
    assert json.loads(slack.posted[0].body)["text"].startswith("[TEST] This is a test: nothing is wrong")
    assert json.loads(siem.posted[0].body)["type"] == "alerts.test"
    assert "SECRET" not in done.stdout + done.stderr
    with store.transaction() as connection:
        assert [circuit.channel for circuit in open_circuits(connection)] == ["webhook:siem"]
        assert len(entries(connection)) == 1, "a test is not kept in the outbox"
    siem.answers[:] = ["200"]
    assert send_tests(settings, only="siem") == [Tried("siem", "siem", None)]
    # an address that another channel mails too is tried all the same
    assert settings.alerts is not None
    settings.alerts.write_text(f"{FILE}  also: {{kind: mail, to: [ann@example.com]}}\n")
    assert send_tests(settings, only="also") == [Tried("also", "ann@example.com", None)]
    settings.alerts.write_text(FILE)
    with pytest.raises(UsageError, match="There are: ops, siem, unset, people, audit"):
        send_tests(settings, only="nobody")


def test_without_an_alerts_file_a_test_goes_to_the_operators(
    whole: tuple[Settings, Receiver, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _, _ = whole
    plain = settings.model_copy(update={"alerts": None})
    (tried,) = send_tests(plain)
    assert (tried.channel, tried.recipient, tried.trouble) == ("operators", "op@example.com", None)
    assert len(list(settings.outbox_dir.rglob("*.eml"))) == 1
    with pytest.raises(UsageError, match="Nobody is told"):
        send_tests(plain.model_copy(update={"recipients": None}))


def test_a_mail_server_that_is_not_set_hinders_no_other_channel(
    whole: tuple[Settings, Receiver, Receiver],
) -> None:
    settings, slack, _ = whole
    assert settings.recipients is not None
    settings.recipients.write_text(f"{RECIPIENTS}channel: mail\n")
    store = open_ops_store(settings)
    with store.transaction() as connection:
        notice_enqueuer(settings, store.now)(connection, notice())
    for _ in range(6):
        report = send_outbox(settings)
    assert "ALMANAC_SMTP_URL is not set" in report.channels_down["mail"]
    assert len(slack.posted) == 1
    with store.transaction() as connection:
        assert open_circuits(connection) == [], "what is not set up is read anew by each run"
    with pytest.raises(UsageError, match="ALMANAC_SMTP_URL is not set"):
        channels(settings.model_copy(update={"alerts": None}))


def test_the_doctor_tells_of_channels_that_are_left_alone(whole: tuple[Settings, Receiver, Receiver]) -> None:
    settings, _, _ = whole
    store = open_ops_store(settings)
    put(store, 5)
    put(store, 5, channel="slack:gone")
    for name in ("slack:ops", "slack:gone"):
        channel = Scripted(OUTAGE)
        channel.name = name
        send(store, channel)
    (told,) = (check.detail for check in examine(settings) if check.name == "alert channels")
    assert (
        "channel slack:ops: it failed 5 times in a row (it answered 500); the next message tries it" in told
    )
    assert "slack:gone" not in told


def test_nothing_listens_is_told_in_a_word(tmp_path: Path) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    put(store)
    url = f"http://127.0.0.1:{closed_port()}/SECRETSECRET"
    send(store, SlackChannel("slack:ops", url, OWN, source="X"))
    (row,) = rows(store)
    assert (row.state, row.attempt_count) == ("pending", 1)
    assert "connection refused" in row.last_error


def test_channels_are_those_of_the_file_and_of_mails(whole: tuple[Settings, Receiver, Receiver]) -> None:
    assert set(channels(whole[0])) == {"file", "slack:ops", "webhook:siem", "slack:unset"}
