"""What a tenant receives is its own: no other's names and amounts; and hostile names do nothing in it."""

from __future__ import annotations

import gzip
import io
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pandas
import pypdf
import pypdfium2
import pytest
import yaml

from flows.audit import audit
from flows.build import build
from flows.land import land_folder
from flows.ops_store import open_ops_store
from flows.periods import Month, Week
from flows.progress import SilentProgress
from flows.publish import publish
from flows.recipients import load_recipients
from flows.review_issue import Issuer
from flows.review_reader import scopes_of
from flows.review_run import send_outbox
from flows.review_scopes import PLATFORM, Kind, Period, Scope
from flows.settings import Settings
from flows.warehouse import open_warehouse
from reports import formats
from tests.published import TAPE, TAPE_AS_OF

PERIODS: dict[Kind, Period] = {Kind.WEEKLY: Week(2026, 47), Kind.MONTHLY: Month(2026, 10)}
# One for each organization, in every place that its people name.
HOSTILE = (
    "<script>fetch('http://127.0.0.1:{port}/x')</script>",
    "<link rel=attachment href=file://{canary}>",
    '"><img src=http://127.0.0.1:{port}/y onerror=alert(1)>',
    '=HYPERLINK("http://127.0.0.1:{port}/z") {{{{7*7}}}}',
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe =?utf-8?q?a=0D=0ABcc:_evil@x.example?=",
    "\N{ROCKET} " + "x" * 150,
)


@dataclass(frozen=True)
class Canaries:
    """What was planted: a mark in each tenant's names, and which organization each team belongs to."""

    organization_of: dict[str, str]
    mark_of: dict[Scope, str]


@contextmanager
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A server that nobody may call."""
    calls: list[bytes] = []

    class Note(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            calls.append(self.request.recv(1000))

    with socketserver.TCPServer(("127.0.0.1", 0), Note) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1]), calls
        finally:
            server.shutdown()
            thread.join(5)


def plant(folder: Path, port: int, canary: Path) -> Canaries:
    """The tape with other names and amounts."""
    tables = {
        path.name.removesuffix(".csv.gz"): pandas.read_csv(path, dtype=str, keep_default_na=False)
        for path in TAPE.glob("*.csv.gz")
    }
    teams = tables["team_credits"]
    organizations = tables["organizations"]
    names = dict(zip(organizations["organization_id"], range(len(organizations)), strict=True))
    mark_of: dict[Scope, str] = {}
    for identity, number in names.items():
        mark = f"ORGMARK{number:03d}Q"
        mark_of[Scope("organization", identity)] = mark
        hostile = HOSTILE[number % len(HOSTILE)].format(port=port, canary=canary)
        organizations.loc[organizations["organization_id"] == identity, "name"] = f"{mark} {hostile}"
    renamed = {}
    for number, team in enumerate(sorted(set(teams["team_id"]))):
        hostile = HOSTILE[number % len(HOSTILE)].format(port=port, canary=canary)[:40]
        shown = hostile.replace("\N{RIGHT-TO-LEFT OVERRIDE}", "")
        renamed[team] = f"TEAMMARK{number:03d}Q {team} {shown}"
        mark_of[Scope("team", renamed[team])] = f"TEAMMARK{number:03d}Q"
    for table in tables.values():
        if "team_id" in table:
            table["team_id"] = table["team_id"].map(lambda team: renamed.get(team, team))
    jobs, calls = tables["jobs"], tables["llm_calls"]
    # one call of each team in each period costs what no other's does
    priced = calls.merge(jobs[["job_id", "team_id"]], on="job_id")
    priced = priced[(priced["error"] == "") & (priced["client_cost_usd"] != "")]
    for number, team in enumerate(renamed.values()):
        for month in ("2026-10", "2026-11-1"):
            own = priced[(priced["team_id"] == team) & priced["created_at"].str.startswith(month)]
            if len(own):
                row = calls["call_id"] == own.iloc[0]["call_id"]
                calls.loc[row, "client_cost_usd"] = f"{7000 + number * 113}.{number:02d}"
    for name, table in tables.items():
        with gzip.open(folder / f"{name}.csv.gz", "wt", encoding="utf-8", compresslevel=1) as file:
            table.to_csv(file, index=False)
    return Canaries({}, mark_of)


@dataclass(frozen=True)
class Issued:
    settings: Settings
    canaries: Canaries
    scopes: dict[Kind, list[Scope]]
    amounts: dict[tuple[Kind, Scope], str]


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    folder = tmp_path_factory.mktemp("tenants")
    source = folder / "source"
    source.mkdir()
    canary = folder / "canary.txt"
    canary.write_text("CANARYFILE", encoding="utf-8")
    settings = Settings(data_dir=folder / "data", source=None, target="duckdb")
    settings.data_dir.mkdir()
    with listener() as (port, called):
        canaries = plant(source, port, canary)
        progress = SilentProgress()
        land_folder(source, settings.landing_path, as_of=TAPE_AS_OF, progress=progress)
        side_file = build(settings, as_of=TAPE_AS_OF, progress=progress)
        audit(side_file, settings, TAPE_AS_OF)
        publish(side_file, settings)
        scopes: dict[Kind, list[Scope]] = {}
        amounts: dict[tuple[Kind, Scope], str] = {}
        with closing(open_warehouse(settings)) as reader:
            canaries.organization_of.update(
                reader.execute("select team_id, organization_id from dim_teams").fetchall()
            )
            for kind, period in PERIODS.items():
                scopes[kind] = scopes_of(reader, kind, period)
                for scope_kind, scope_id, cost in reader.execute(
                    "select scope_kind, scope_id, value from warehouse.reviews.review_kpis "
                    "where review_kind = ? and period_start_date = ? and metric = 'client_cost_usd'",
                    [kind.value, period.start_date],
                ).fetchall():
                    amounts[(kind, Scope(scope_kind, scope_id))] = formats.usd(cost)
        everyone = sorted(set(scopes[Kind.WEEKLY]) | set(scopes[Kind.MONTHLY]))
        path = folder / "recipients.yml"
        path.write_text(
            yaml.safe_dump(
                {
                    "sender": {
                        "from": "a@example.com",
                        "bounces": "b@example.com",
                        "list_domain": "example.com",
                    },
                    "reviews": [
                        {"scope": str(scope), "to": [f"u{number}@example.com"]}
                        for number, scope in enumerate(everyone)
                    ],
                },
                allow_unicode=True,
            ),
            encoding="utf-8",
        )
        settings = settings.model_copy(update={"recipients": path})
        store = open_ops_store(settings)
        issuer = Issuer(settings, store, load_recipients(path), progress)
        for kind, period in PERIODS.items():
            report = issuer.issue(kind, period, scopes[kind])
            assert report.failures == []
        assert send_outbox(settings).is_good
        yield Issued(settings, canaries, scopes, amounts)
        assert called == [], "a document or mail asked somebody"


Documents = list[tuple[Kind, Scope, str, str]]


@pytest.fixture(scope="module")
def documents(issued: Issued) -> Documents:
    """Every document of every scope: its kind, scope, what it is, and all text in it."""
    return list(_documents(issued))


def _documents(issued: Issued) -> Iterator[tuple[Kind, Scope, str, str]]:
    for kind, period in PERIODS.items():
        for scope in issued.scopes[kind]:
            folder = issued.settings.reviews_dir / kind.value / period.label
            for suffix in (".html", ".csv", ".parts.csv"):
                path = folder / f"{scope.file_name}{suffix}"
                if suffix == ".parts.csv" and not path.exists():
                    continue  # nothing ran in either period
                yield kind, scope, path.suffix, path.name + path.read_text(encoding="utf-8")
            path = folder / f"{scope.file_name}.pdf"
            read = pypdf.PdfReader(io.BytesIO(path.read_bytes()))
            with pypdfium2.PdfDocument(path) as opened:
                text = " ".join(page.get_textpage().get_text_bounded() for page in opened)
            outline = str([str(getattr(entry, "title", entry)) for entry in read.outline])
            attached = "".join(content.decode() for file in read.attachments.values() for content in file)
            yield kind, scope, ".pdf", f"{path.name} {text} {read.metadata} {outline} {attached}"
            (mail,) = (issued.settings.outbox_dir / kind.value / period.label).glob(
                f"{scope.file_name}-to-*.eml"
            )
            read_mail = message_from_bytes(mail.read_bytes(), policy=default)
            yield kind, scope, ".eml", mail.name + _all_but_text(read_mail)
            plain = read_mail.get_body(("plain",))
            assert plain is not None
            yield kind, scope, ".txt", plain.get_content()


def _all_but_text(mail: EmailMessage) -> str:
    headers = " ".join(f"{name}: {value}" for name, value in mail.items())
    page = mail.get_body(("html",))
    assert page is not None
    names = " ".join(part.get_filename() or "" for part in mail.walk())
    return f"{headers} {page.get_content()} {names}"


def may_see(issued: Issued, scope: Scope) -> set[Scope]:
    """Whose names and amounts a scope's documents may hold."""
    if scope == PLATFORM:
        return set(issued.canaries.mark_of)
    organization_of = issued.canaries.organization_of
    if scope.kind == "organization":
        return {scope} | {Scope("team", team) for team, owner in organization_of.items() if owner == scope.id}
    return {scope, Scope("organization", organization_of.get(scope.id, ""))}


def test_no_document_holds_another_tenants_name_or_amount(issued: Issued, documents: Documents) -> None:
    checked = 0
    for kind, scope, what, text in documents:
        allowed = may_see(issued, scope)
        marks = {mark for other, mark in issued.canaries.mark_of.items() if other not in allowed}
        found = {mark for mark in marks if mark in text}
        assert found == set(), f"{kind} {what} of {scope} names others"
        others = {
            amount
            for (other_kind, other), amount in issued.amounts.items()
            if other_kind == kind and other not in allowed and len(amount) >= 9
        }
        if scope.kind == "team":
            others.discard(issued.amounts[(kind, scope)])
        leaked = {amount for amount in others if amount in text}
        # an organization of one team costs what its team costs
        assert leaked <= {issued.amounts[(kind, scope)]}, f"{kind} {what} of {scope} holds amounts of others"
        checked += 1
    assert checked > 150


def test_each_document_names_its_own_scope(issued: Issued, documents: Documents) -> None:
    for _, scope, what, text in documents:
        # a team that is gone from the source has no new name
        if scope in issued.canaries.mark_of and what in (".html", ".pdf", ".eml"):
            assert issued.canaries.mark_of[scope] in text


def test_hostile_names_do_nothing(documents: Documents) -> None:
    for kind, scope, what, text in documents:
        assert "CANARYFILE" not in text
        if what in (".html", ".eml"):
            # a subject is text, whatever it says
            page = text[text.index("<!DOCTYPE") :].partition("<title>")
            for harmful in ("<script", "<link", "<img src=http"):
                assert harmful not in page[0] + page[2]
            assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
        if what == ".csv":
            assert not re.search(r"(?m)(^|,)\"?[=@+]", text), f"{kind} {scope}"


def test_hostile_names_make_no_header(issued: Issued) -> None:
    mails = sorted(issued.settings.outbox_dir.rglob("*.eml"))
    assert len(mails) == sum(map(len, issued.scopes.values()))
    header_names = set()
    for path in mails:
        head = path.read_bytes().partition(b"\r\n\r\n")[0]
        header_names.add(tuple(re.findall(rb"(?m)^([A-Za-z-]+):", head)))
        subject = message_from_bytes(head, policy=default)["Subject"]
        assert re.search("[\x00-\x1f\x7f]|=\\?|\\?=", subject) is None
    # every mail has the same headers, whatever the names in it
    assert len(header_names) == 1
    assert not {b"bcc", b"cc", b"resent-to"} & {name.lower() for name in header_names.pop()}


def test_tenants_learn_nothing_of_providers(documents: Documents) -> None:
    for _, scope, _, text in documents:
        if scope != PLATFORM:
            seen = re.sub(r'<style>.*?</style>| style="[^"]*"', "", text, flags=re.DOTALL).lower()
            for word in ("provider cost", "provider_cost", "margin"):
                assert word not in seen


def test_files_stay_below_their_folders(issued: Issued) -> None:
    for folder in (issued.settings.reviews_dir, issued.settings.outbox_dir):
        for path in folder.rglob("*"):
            assert path.resolve().is_relative_to(folder)
            assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name)
