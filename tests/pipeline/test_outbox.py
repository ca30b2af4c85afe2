"""Every message arrives once, is tried again, is given up or is known to be in doubt; with real servers."""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import trustme
from sqlalchemy import delete, update

from flows import mail_channel
from flows.channels import Channel, ChannelDown, Parcel
from flows.errors import AlmanacError, UsageError
from flows.file_channel import FileChannel
from flows.mail_channel import MailChannel, Patience, SmtpServer, parse_smtp_url
from flows.ops_store import OpsStore, deliveries, open_ops_store
from flows.outbox import LEASE, Delivery, DeliveryReport, deliver, enqueue, entries
from flows.settings import Settings
from flows.unsubscribes import unsubscribe
from tests.postgres_server import PostgresServer
from tests.smtp_servers import Inbox, closed_port, scripted_server, smtp_server

T0 = datetime(2026, 11, 23, 2, 30)
QUICK = Patience(step=1, answer=1, message=4)
_databases = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpsStore]:
    if request.param == "sqlite":
        yield open_ops_store(Settings(data_dir=tmp_path))
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"outbox_{next(_databases)}"
    url = server.create_database(name)
    yield open_ops_store(Settings(data_dir=tmp_path, target="postgres", warehouse_url=url))
    server.drop_database(name)


def message(recipient: str, number: int = 1) -> Delivery:
    mail = EmailMessage()
    mail["From"], mail["To"] = "almanac@example.com", recipient
    mail["Subject"] = "Weekly review 2026-W47"
    mail["Message-ID"] = f"<weekly.{number}.{recipient.encode('ascii', 'replace').decode()}>"
    mail.set_content(".a line that begins with a dot\nthe end")
    return Delivery(
        kind="weekly",
        scope="platform",
        period="2026-W47",
        edition=number,
        recipient=recipient,
        channel="mail",
        message_id=mail["Message-ID"],
        content=mail.as_bytes(policy=default.clone(utf8=True)),
    )


def put(store: OpsStore, *deliveries: Delivery, at: datetime = T0) -> int:
    with store.transaction() as connection:
        return enqueue(connection, at, deliveries)


def channel_to(port: int, scheme: str = "smtp+plain", **options: Any) -> MailChannel:
    login = {name: options.pop(name) for name in ("user", "password") if name in options}
    server = SmtpServer(scheme, "127.0.0.1", port, **login)
    return MailChannel(server, envelope_sender="bounces@example.com", patience=QUICK, **options)


def send(store: OpsStore, channel: Channel, at: datetime = T0) -> DeliveryReport:
    return deliver(store, {"mail": channel}, now=lambda _: at)


def states(store: OpsStore) -> dict[str, str]:
    with store.transaction() as connection:
        return {row.recipient: row.state for row in entries(connection)}


def row_of(store: OpsStore) -> Any:
    with store.transaction() as connection:
        (row,) = entries(connection)
    return row


def test_a_message_arrives_as_it_was_and_a_second_run_sends_nothing(store: OpsStore) -> None:
    inbox = Inbox()
    wanted = message("ann@example.com")
    assert put(store, wanted) == 1
    assert put(store, wanted) == 0, "the same message again is no other one"
    with smtp_server(inbox) as port:
        assert send(store, channel_to(port)).sent == 1
        assert send(store, channel_to(port)).sent == 0
    (arrived,) = inbox.arrived
    assert arrived.sender == "bounces@example.com"
    assert arrived.recipients == ("ann@example.com",)
    assert arrived.content.replace(b"\r\n", b"\n") == wanted.content
    row = row_of(store)
    assert (row.state, row.attempt_count, row.sent_at, row.lease_until) == ("sent", 1, T0, None)


def test_one_refused_recipient_of_three_is_buried_and_one_put_off(store: OpsStore) -> None:
    answers = {"bob@example.com": "550 no such user", "cat@example.com": "451 try later"}
    inbox = Inbox(rcpt=answers.get)
    put(store, *(message(f"{name}@example.com") for name in ("ann", "bob", "cat")))
    with smtp_server(inbox) as port:
        report = send(store, channel_to(port))
        assert states(store) == {
            "ann@example.com": "sent",
            "bob@example.com": "dead",
            "cat@example.com": "pending",
        }
        assert (report.sent, report.dead, report.retried) == (1, 1, 1)
        assert any("no such user" in trouble for trouble in report.troubles)
        answers.clear()
        assert send(store, channel_to(port)).sent == 0, "not before its time"
        assert send(store, channel_to(port), T0 + timedelta(minutes=2)).sent == 1
    assert [arrived.recipients[0][:3] for arrived in inbox.arrived] == ["ann", "cat"]


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ({"mail": "450 busy"}, "pending"),
        ({"mail": "452 no room"}, "pending"),
        ({"rcpt": "421 closing"}, "pending"),
        ({"rcpt": "452 full"}, "pending"),
        ({"rcpt": "drop"}, "pending"),
        ({"rcpt": "hang"}, "pending"),
        ({"rcpt": "550 unknown"}, "dead"),
        ({"data": "451 not now"}, "pending"),
        ({"data": "554 never"}, "dead"),
        ({"data": "drop"}, "pending"),
        ({"data": "content drop"}, None),
        ({"dot": "451 disk full"}, "pending"),
        ({"dot": "552 too large"}, "dead"),
        ({"dot": "554 spam"}, "dead"),
        ({"dot": "drop"}, "unknown"),
        ({"dot": "hang"}, "unknown"),
        ({"dot": "25"}, "unknown"),
        ({"dot": "what?"}, "unknown"),
        ({"dot": "252 taken, more or less"}, "sent"),
    ],
    ids=str,
)
def test_what_a_server_does_decides_the_state(
    store: OpsStore, script: dict[str, str], state: str | None
) -> None:
    put(store, message("ann@example.com"))
    with scripted_server(script) as port:
        report = send(store, channel_to(port))
    row = row_of(store)
    # a connection that breaks inside the content may be noticed only at its end
    assert row.state in ({state} if state else {"pending", "unknown"})
    assert (row.last_error is None) == (state == "sent")
    assert report.sent == (state == "sent")
    assert row.lease_until is None
    if row.state == "pending":
        assert timedelta(seconds=48) <= row.due_at - T0 <= timedelta(seconds=72)


@pytest.mark.parametrize(
    "script",
    [
        {"banner": "421 busy"},
        {"banner": "drop"},
        {"banner": "hang"},
        {"ehlo": "drop"},
        {"mail": "550 who are you"},
        {"mail": "530 5.7.0 authentication required"},
        {"rcpt": "530 5.7.0 authentication required"},
    ],
    ids=str,
)
def test_a_server_that_takes_nothing_stops_the_channel_and_buries_nobody(
    store: OpsStore, script: dict[str, str]
) -> None:
    put(store, *(message(f"{name}@example.com") for name in ("ann", "bob", "cat")))
    with scripted_server(script) as port:
        report = send(store, channel_to(port))
    assert set(states(store).values()) == {"pending"}
    assert "127.0.0.1" in report.channels_down["mail"]
    assert report.retried == 0


def test_a_server_that_is_away_stops_the_channel(store: OpsStore) -> None:
    put(store, message("ann@example.com"))
    report = send(store, channel_to(closed_port()))
    assert "does not take mails now" in report.channels_down["mail"]
    assert row_of(store).attempt_count == 0


def test_a_server_that_breaks_off_again_and_again_counts_as_away(store: OpsStore) -> None:
    put(store, *(message(f"{name}@example.com") for name in ("ann", "bob", "cat", "dan", "eve")))
    with scripted_server({"rcpt": "421 closing"}) as port:
        report = send(store, channel_to(port))
    assert "closing (3 messages in a row)" in report.channels_down["mail"]
    with store.transaction() as connection:
        assert sum(row.attempt_count for row in entries(connection)) == report.retried == 2


@pytest.mark.parametrize("end", ["drop", "421 enough for one connection"])
def test_a_connection_that_the_server_ended_is_opened_again(store: OpsStore, end: str) -> None:
    put(store, *(message(f"{name}@example.com") for name in ("ann", "bob", "cat")))
    with scripted_server({"again": end}) as port:
        report = send(store, channel_to(port))
    assert (report.sent, report.retried, report.channels_down) == (3, 0, {})


@pytest.mark.parametrize(
    ("point", "scheme", "state"),
    [
        ("banner", "smtp+plain", "pending"),
        ("banner", "smtps", "pending"),
        ("rcpt", "smtp+plain", "pending"),
        ("dot", "smtp+plain", "unknown"),
    ],
)
def test_a_server_that_never_stops_talking_is_cut_off(
    store: OpsStore, point: str, scheme: str, state: str
) -> None:
    put(store, message("ann@example.com"))
    patience = Patience(step=30, answer=30, message=1)
    with scripted_server({point: "drip"}) as port:
        channel = MailChannel(
            SmtpServer(scheme, "127.0.0.1", port), envelope_sender="b@example.com", patience=patience
        )
        began = time.monotonic()
        send(store, channel)
    assert time.monotonic() - began < 20
    assert row_of(store).state == state


def test_waits_grow_to_six_hours_and_end_after_a_day(store: OpsStore) -> None:
    put(store, message("ann@example.com"))
    at, waits = T0, []
    with scripted_server({"rcpt": "450 greylisted"}) as port:
        for _ in range(40):
            send(store, channel_to(port), at)
            row = row_of(store)
            if row.state == "dead":
                break
            waits.append((row.due_at - at).total_seconds())
            at = row.due_at
    assert row_of(store).state == "dead"
    assert timedelta(hours=24) <= at - T0 <= timedelta(hours=31)
    assert max(waits) <= 6 * 3600 * 1.2
    assert all(later > earlier for earlier, later in itertools.pairwise(waits[:8]))


def test_a_message_that_waited_for_an_absent_server_is_not_lost_to_its_first_try_later(
    store: OpsStore,
) -> None:
    put(store, message("ann@example.com"))
    with scripted_server({"rcpt": "450 greylisted"}) as port:
        assert send(store, channel_to(port), T0 + timedelta(hours=60)).retried == 1
    assert row_of(store).state == "pending"


def test_a_clock_that_was_set_back_holds_no_message(store: OpsStore) -> None:
    put(store, message("ann@example.com"), at=T0 + timedelta(days=400))
    with store.transaction() as connection:
        connection.execute(
            update(deliveries.outbox).values(
                lease_until=T0 + timedelta(days=400), lease_holder="killed a year ahead"
            )
        )
    inbox = Inbox()
    with smtp_server(inbox) as port:
        assert send(store, channel_to(port)).sent == 1


def test_a_message_that_the_archive_lost_holds_up_no_other(store: OpsStore) -> None:
    put(store, message("ann@example.com"))
    with store.transaction() as connection:
        connection.execute(delete(deliveries.documents))
    put(store, message("bob@example.com"))
    with smtp_server(Inbox()) as port:
        report = send(store, channel_to(port))
    assert (report.sent, report.retried) == (1, 1)
    assert states(store) == {"ann@example.com": "pending", "bob@example.com": "sent"}


def test_what_waits_for_a_channel_that_is_not_set_up_is_told(store: OpsStore, tmp_path: Path) -> None:
    put(store, message("ann@example.com"), message("bob@example.com"))
    report = deliver(store, {"file": FileChannel(tmp_path)}, now=lambda _: T0)
    assert report.channels_down == {"mail": "it is not set up, and 2 messages wait for it"}
    assert not report.is_good


class Interrupted(MailChannel):
    """Stands still twice: before its message is handed over, and when the server has answered."""

    before: Callable[[], None] = staticmethod(lambda: None)
    after: Callable[[], None] = staticmethod(lambda: None)

    def send(self, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        def after_a_while() -> None:
            self.before()
            handing_over()

        super().send(parcel, after_a_while)
        self.after()


def interrupted(port: int) -> Interrupted:
    server = SmtpServer("smtp+plain", "127.0.0.1", port)
    return Interrupted(server, envelope_sender="bounces@example.com", patience=QUICK)


def test_who_lost_the_lease_hands_nothing_over(store: OpsStore) -> None:
    put(store, message("ann@example.com"))
    inbox = Inbox()
    with smtp_server(inbox) as port:
        stalled = interrupted(port)
        stalled.before = lambda: send_again(store, port, sent=1)
        assert send(store, stalled).sent == 0
    assert len(inbox.arrived) == 1
    assert states(store) == {"ann@example.com": "sent"}


def test_the_servers_word_outweighs_the_doubt_of_another_sender(store: OpsStore) -> None:
    put(store, message("ann@example.com"))
    inbox = Inbox()
    with smtp_server(inbox) as port:
        stalled = interrupted(port)
        stalled.after = lambda: send_again(store, port, unknown=1)
        assert send(store, stalled).sent == 1
        assert send(store, channel_to(port), T0 + timedelta(hours=1)).sent == 0
    assert len(inbox.arrived) == 1
    assert states(store) == {"ann@example.com": "sent"}


def send_again(store: OpsStore, port: int, **expected: int) -> None:
    """As another sender does when the first one's lease is over."""
    report = send(store, channel_to(port), T0 + LEASE)
    assert {name: getattr(report, name) for name in expected} == expected


def test_a_store_that_is_away_for_a_moment_makes_no_duplicate(
    store: OpsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, message("ann@example.com"))
    waits: list[float] = []
    transaction = OpsStore.transaction

    def is_away(_: OpsStore) -> Any:
        raise AlmanacError("away")

    inbox = Inbox()
    with smtp_server(inbox) as port:
        stalled = interrupted(port)
        stalled.after = lambda: monkeypatch.setattr(OpsStore, "transaction", is_away)

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                monkeypatch.setattr(OpsStore, "transaction", transaction)

        assert deliver(store, {"mail": stalled}, now=lambda _: T0, sleep=sleep).sent == 1
    assert len(waits) == 3
    assert states(store) == {"ann@example.com": "sent"}


def test_what_was_not_handed_over_does_not_arrive(tmp_path: Path) -> None:
    wanted = message("ann@example.com")
    parcel = Parcel("weekly", "platform", "2026-W47", 1, wanted.recipient, wanted.message_id, wanted.content)

    def is_away() -> None:
        raise AlmanacError("the store is away")

    inbox = Inbox()
    with smtp_server(inbox) as port:
        channel = channel_to(port)
        with pytest.raises(AlmanacError):
            channel.send(parcel, is_away)
        assert inbox.arrived == []
        channel.send(parcel, lambda: None)
        channel.close()
    assert len(inbox.arrived) == 1


def test_an_address_outside_ascii_goes_where_the_server_takes_it(tmp_path: Path) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    put(store, message("jürgen@example.com"), message("bob@example.com"))
    inbox = Inbox()
    with smtp_server(inbox) as port:
        assert send(store, channel_to(port)).sent == 2
    assert inbox.arrived[0].recipients == ("jürgen@example.com",)
    put(store, message("renée@example.com"))
    with scripted_server({}) as port:
        assert send(store, channel_to(port)).dead == 1


def test_an_unconfirmed_message_is_sent_once_more_with_its_id_and_a_mark(store: OpsStore) -> None:
    put(store, message("ann@example.com"))
    with scripted_server({"dot": "drop"}) as port:
        assert send(store, channel_to(port)).unknown == 1
        assert send(store, channel_to(port), T0 + timedelta(minutes=14)).unknown == 0, "within its grace"
    inbox = Inbox()
    with smtp_server(inbox) as port:
        assert send(store, channel_to(port), T0 + timedelta(minutes=15)).sent == 1
    (arrived,) = inbox.arrived
    assert arrived.parsed["Subject"] == "[may be a duplicate] Weekly review 2026-W47"
    assert arrived.parsed["Message-ID"] == "<weekly.1.ann@example.com>"
    assert row_of(store).is_resend


def test_a_message_twice_unconfirmed_stays_in_doubt_and_is_not_sent_again(store: OpsStore) -> None:
    put(store, message("ann@example.com"))
    with scripted_server({"dot": "drop"}) as port:
        for minutes in (0, 15, 60, 6000):
            send(store, channel_to(port), T0 + timedelta(minutes=minutes))
    row = row_of(store)
    assert (row.state, row.attempt_count) == ("unknown", 2)


def test_who_left_after_the_message_was_made_gets_none(store: OpsStore) -> None:
    put(store, message("ann@example.com"), message("bob@example.com"))
    with store.transaction() as connection:
        unsubscribe(connection, "Ann@example.com", "weekly", T0, "link")
    inbox = Inbox()
    with smtp_server(inbox) as port:
        send(store, channel_to(port))
    assert [arrived.recipients for arrived in inbox.arrived] == [("bob@example.com",)]
    with store.transaction() as connection:
        errors = {row.recipient: (row.state, row.last_error) for row in entries(connection)}
    assert errors["ann@example.com"] == ("dead", "unsubscribed")


def test_operators_who_left_are_told_what_is_held(store: OpsStore) -> None:
    put(store, replace(message("ann@example.com"), kind="held"))
    with store.transaction() as connection:
        unsubscribe(connection, "ann@example.com", "all", T0, "link")
    with smtp_server(Inbox()) as port:
        assert send(store, channel_to(port)).sent == 1


def test_a_connection_carries_many_messages_and_not_all(
    store: OpsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, *(message(f"u{number}@example.com") for number in range(5)))
    with scripted_server({}, sessions=1) as port:
        assert send(store, channel_to(port)).sent == 5
    put(store, *(message(f"v{number}@example.com") for number in range(5)))
    monkeypatch.setattr(mail_channel, "MESSAGES_PER_CONNECTION", 2)
    with scripted_server({}, sessions=1) as port:
        assert send(store, channel_to(port)).sent == 2, "a third one wants another connection"


def test_many_senders_at_once_send_each_message_once(store: OpsStore) -> None:
    put(store, *(message(f"u{number}@example.com") for number in range(40)))
    inbox = Inbox()
    with smtp_server(inbox) as port:
        threads = [threading.Thread(target=send, args=(store, channel_to(port))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sorted(arrived.recipients[0] for arrived in inbox.arrived) == sorted(
        f"u{number}@example.com" for number in range(40)
    )
    assert set(states(store).values()) == {"sent"}


def test_a_file_channel_writes_below_its_folder_only(tmp_path: Path, store: OpsStore) -> None:
    folder = tmp_path / "outbox"
    hostile = replace(message("ann@example.com"), scope="team:../../etc/passwd", channel="file")
    put(store, hostile)
    assert deliver(store, {"file": FileChannel(folder)}, now=lambda _: T0).sent == 1
    (written,) = folder.rglob("*.eml")
    assert written.resolve().is_relative_to(folder.resolve())
    assert written.read_bytes() == hostile.content
    assert written.stat().st_mode & 0o077 == 0


def test_a_file_is_written_inside_the_folder_or_not_at_all(tmp_path: Path) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    wanted = message("ann@example.com")
    put(store, replace(wanted, channel="file"))
    folder, elsewhere = tmp_path / "outbox", tmp_path / "elsewhere"
    (folder / "weekly").mkdir(parents=True)
    elsewhere.mkdir()
    (folder / "weekly" / "2026-W47").symlink_to(elsewhere)
    channel = FileChannel(folder)
    assert deliver(store, {"file": channel}, now=lambda _: T0).retried == 1
    assert list(elsewhere.iterdir()) == []
    (folder / "weekly" / "2026-W47").unlink()
    # what a killed sender left is cleared
    (folder / "weekly" / "2026-W47").mkdir()
    parcel = Parcel("weekly", "platform", "2026-W47", 1, wanted.recipient, wanted.message_id, b"")
    left = channel.path_of(parcel).with_name(f".{channel.path_of(parcel).name}.abc")
    left.write_bytes(b"half")
    assert deliver(store, {"file": channel}, now=lambda _: T0 + timedelta(minutes=2)).sent == 1
    assert [path.name for path in left.parent.iterdir()] == [channel.path_of(parcel).name]


# --- TLS ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_tls_and_a_password(tmp_path: Path, authority: trustme.CA, ca_file: Path, scheme: str) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    put(store, message("ann@example.com"))
    context = server_context(authority.issue_cert("127.0.0.1"))
    inbox = Inbox()
    sides = {"starttls": context} if scheme == "smtp" else {"tls": context}
    with smtp_server(inbox, password="open sesame" if scheme == "smtp" else None, **sides) as port:
        login = {"user": "almanac", "password": "open sesame"} if scheme == "smtp" else {}
        assert send(store, channel_to(port, scheme, ca_file=ca_file, **login)).sent == 1


def test_a_wrong_password_stops_the_channel_and_is_not_told(
    tmp_path: Path, authority: trustme.CA, ca_file: Path
) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    put(store, message("ann@example.com"))
    context = server_context(authority.issue_cert("127.0.0.1"))
    with smtp_server(Inbox(), starttls=context, password="right") as port:
        channel = channel_to(port, "smtp", ca_file=ca_file, user="almanac", password="hunter22hunter22")
        report = send(store, channel)
    assert "refused the login (535)" in report.channels_down["mail"]
    assert "hunter22" not in str(report) + repr(channel._server)
    assert row_of(store).state == "pending"


def test_a_server_that_repeats_the_password_does_not_make_us_tell_it(tmp_path: Path) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    put(store, message("ann@example.com"))
    login = {"user": "almanac", "password": "hunter22"}
    # AGFsbWFuYWMAaHVudGVyMjI= is what AUTH PLAIN sends
    script = {"ehlo": "250-here\r\n250 AUTH PLAIN", "": "535 wrong: hunter22 AGFsbWFuYWMAaHVudGVyMjI="}
    with scripted_server(script) as port:
        report = send(store, channel_to(port, **login))
    assert report.channels_down
    told = str(report) + (tmp_path / "ops.db").read_bytes().decode("latin-1")
    assert "hunter22" not in told
    assert "AGFsbWFuYWMA" not in told


@pytest.mark.parametrize("fault", ["other host", "unknown authority", "expired", "no starttls"])
def test_a_server_that_cannot_be_trusted_gets_nothing(
    tmp_path: Path, authority: trustme.CA, ca_file: Path, fault: str
) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    put(store, message("ann@example.com"))
    issuer = trustme.CA() if fault == "unknown authority" else authority
    certificate = issuer.issue_cert(
        "mail.example.com" if fault == "other host" else "127.0.0.1",
        not_after=datetime(2020, 1, 1) if fault == "expired" else None,
        not_before=datetime(2019, 1, 1) if fault == "expired" else None,
    )
    inbox = Inbox()
    starttls = None if fault == "no starttls" else server_context(certificate)
    with smtp_server(inbox, starttls=starttls) as port:
        report = send(store, channel_to(port, "smtp", ca_file=ca_file))
    assert inbox.arrived == []
    assert report.channels_down
    assert row_of(store).state == "pending"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_file_that_holds_none_is_told(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    wanted = message("ann@example.com")
    parcel = Parcel("weekly", "platform", "2026-W47", 1, wanted.recipient, wanted.message_id, wanted.content)
    with pytest.raises(ChannelDown, match="ALMANAC_SMTP_CA_FILE"):
        channel_to(closed_port(), "smtps", ca_file=path).send(parcel, lambda: None)


@pytest.mark.parametrize(
    "url",
    [
        "smtp+plain://mail.example.com:25",
        "smtp+plain://10.0.0.1",
        "http://mail.example.com",
        "mail.example.com:587",
        "smtp://",
        "smtp://u:hunter22@[bad",
        "smtp://u:hunter22@host:99999",
        "smtp://u:hunter22@host/path",
    ],
)
def test_a_url_that_is_no_safe_mail_server_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_smtp_url(url)
    assert "hunter22" not in str(refused.value)


def test_urls_of_servers() -> None:
    server = parse_smtp_url("smtp://ann%40example.com:p%3Ass@mail.example.com")
    assert (server.port, server.user, server.password) == (587, "ann@example.com", "p:ss")
    assert parse_smtp_url("smtps://mail.example.com").port == 465
    assert "p:ss" not in repr(server) + str(server)
