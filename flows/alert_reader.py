"""Asks the rules: opens what is published and what is landed, at a moment, and reads what each rule says.

The rules are views of the published warehouse (models/alerts) over its marts and over schema raw, so that
they see rows that no mart has yet. `almanac_as_of`, a variable of the session, is their clock: the same
views answer for now and for any moment of the past.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from flows.alert_rules import (
    Cadence,
    Candidate,
    Evaluation,
    Evidence,
    Inhibition,
    Key,
    Reminders,
    Rule,
    RuleBook,
    Severity,
    Verdict,
)
from flows.errors import AlmanacError
from flows.landing_store import LandingBusy
from flows.redaction import redact

if TYPE_CHECKING:
    import duckdb
    import psycopg

    from flows.settings import Settings

EVIDENCE_ROWS = 5
# Seconds that one rule may take on PostgreSQL; the next check is due in a quarter of an hour.
RULE_SECONDS = 120

_CANDIDATE_COLUMNS = (
    *("rule", "scope_kind", "scope_id", "scope_name", "organization_id", "severity", "verdict"),
    *("unknown_reason", "measure", "observed_value", "unit", "comparison", "threshold", "clear_threshold"),
    *("baseline_value", "volume", "window_start", "window_end", "data_as_of", "evidence_query"),
)
# What rules that were published before do not have.
_LATER_COLUMNS = ("counted_unit", "actual_value")
_RULE_COLUMNS = (
    "rule, family, title, unit, severity, cadence, for_evaluations, keep_firing_evaluations, needs, owner"
)
# The night's own moment, which the rule falls back on, and the generation that it is built in: neither is
# part of what a rule says.
_NIGHT = re.compile(r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?'(?=::timestamp| AS TIMESTAMP)", re.IGNORECASE)
_NO_NIGHT = "'0001-01-01 00:00:00'"
_GENERATION = re.compile(r"\bgen_[ab]_")


class _Engine(Protocol):
    """What a rule needs of an engine."""

    def set_moment(self, as_of: datetime) -> None: ...
    def ask(
        self, query: str, parameters: Mapping[str, Any] | None = None
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]: ...
    def view_sql(self, name: str) -> str | None: ...
    def runnable(self, sql: str) -> str: ...
    def close(self) -> None: ...


class RuleReader:
    """The rules of what is published, asked at one moment after the other; made by `open_rules`."""

    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        # by rule; an outage asks for the same one a hundred times
        self._sql: dict[str, str] = {}
        self.book = self._read_book()

    def at(self, as_of: datetime) -> None:
        """Set the moment (naive UTC) that everything is asked at from now on."""
        self._as_of = as_of
        self._engine.set_moment(as_of)

    def candidates(self, rule: str) -> list[Candidate]:
        """What a rule says of every scope; AlmanacError when its SQL fails or names a scope twice."""
        # all columns, whichever the published night has
        columns, rows = self._engine.ask(f"select * from alerts.alert_{self._known(rule)}")
        found = [self._named(_candidate(columns, row)) for row in rows]
        times = Counter(candidate.key for candidate in found)
        if twice := [f"{key.scope_kind} {key.scope_id}" for key, count in times.items() if count > 1]:
            raise AlmanacError(
                f"The rule {rule} says more than one thing of {len(twice):,} scopes, of {twice[0]} for one. "
                f"Nothing that it says is taken for true; look at alerts.alert_{rule}."
            )
        return found

    def evaluate(self, cadences: Iterable[Cadence], *, rules: Iterable[str] | None = None) -> Evaluation:
        """Ask every rule of some cadences (or those named); one that fails is unknown, the others go on."""
        wanted = frozenset(cadences)
        chosen = set(rules) if rules is not None else None
        found: list[Candidate] = []
        unknown: dict[str, str] = {}
        for rule in self.book.rules.values():
            if rule.cadence not in wanted or (chosen is not None and rule.name not in chosen):
                continue
            try:
                found += self.candidates(rule.name)
            except AlmanacError as error:
                unknown[rule.name] = str(error)
        return Evaluation(self._as_of, wanted, self.book, tuple(found), unknown, self.organization_names)

    def sql_of(self, rule: str) -> str:
        """The select of a rule's view, without what changes from night to night."""
        if rule not in self._sql:
            self._sql[rule] = _timeless(self._engine.view_sql(f"alert_{self._known(rule)}") or "")
        return self._sql[rule]

    def evidence_of(self, candidate: Candidate) -> Evidence:
        """What shows a candidate: its rule's SQL, the parameters, and the rows that contribute most."""
        moments = {"window_start": candidate.window_start, "window_end": candidate.window_end}
        parameters: dict[str, str | None] = {
            "almanac_as_of": self._as_of.isoformat(sep=" "),
            "scope_id": candidate.key.scope_id,
            **{name: moment.isoformat(sep=" ") if moment else None for name, moment in moments.items()},
        }
        columns: tuple[str, ...] = ()
        rows: tuple[tuple[str | None, ...], ...] = ()
        note = None
        try:
            given = {"scope_id": candidate.key.scope_id, **moments}
            columns, rows = self.rows_of(candidate.evidence_query, given)
        except AlmanacError as error:
            note = f"the rows could not be read: {error}"
        return Evidence(
            rule_version=self.book.rules[candidate.key.rule].version,
            sql=self.sql_of(candidate.key.rule),
            parameters=parameters,
            evidence_query=candidate.evidence_query,
            columns=columns,
            rows=rows,
            note=note,
        )

    def rows_of(
        self, evidence_query: str, given: Mapping[str, Any]
    ) -> tuple[tuple[str, ...], tuple[tuple[str | None, ...], ...]]:
        """The columns and rows of a query of evidence, as text for people; AlmanacError when it fails.

        `given`: scope_id, and window_start and window_end (naive UTC).
        """
        columns, found = self._engine.ask(evidence_query, given)
        return columns, tuple(tuple(_as_text(value) for value in row) for row in found[:EVIDENCE_ROWS])

    def again(self, evidence_sql: str, key: Key, as_of: datetime) -> Candidate | None:
        """What the SQL of an incident says of its scope now, at the moment it was asked at."""
        self.at(as_of)
        rule_sql = self._engine.runnable(evidence_sql.rstrip().rstrip(";"))
        query = (
            f"select * from ({rule_sql}) as rule_rows "
            "where scope_kind = $wanted_kind and scope_id = $wanted_id"
        )
        # other names than those of the queries of evidence, which a rule holds as text
        given = {"wanted_kind": key.scope_kind, "wanted_id": key.scope_id}
        columns, rows = self._engine.ask(query, given)
        return self._named(_candidate(columns, rows[0])) if rows else None

    @cached_property
    def organization_names(self) -> dict[str, str]:
        """The names of the organizations of the published night by id; what cannot be read has none."""
        try:
            _, rows = self._engine.ask(
                "select organization_id, organization_name from marts.dim_organizations"
            )
        except AlmanacError:
            return {}
        return {organization: name for organization, name in rows if name is not None}

    def _named(self, candidate: Candidate) -> Candidate:
        """A candidate of an organization with its name; teams have none in the source."""
        key = candidate.key
        if key.scope_kind != "organization" or candidate.scope_name != key.scope_id:
            return candidate
        return replace(candidate, scope_name=self.organization_names.get(key.scope_id, key.scope_id))

    def homes_of_teams(self) -> dict[str, str]:
        """The organization of every team that ever was."""
        _, rows = self._engine.ask("select team_id, organization_id from dim_teams")
        return dict(rows)

    def _known(self, rule: str) -> str:
        if rule not in self.book.rules:
            raise AlmanacError(f"There is no rule {rule!r}. The rules: {', '.join(sorted(self.book.rules))}.")
        return rule

    def _read_book(self) -> RuleBook:
        rules = {}
        for row in self._engine.ask(f"select {_RULE_COLUMNS} from alerts.alert_rules")[1]:
            sql = self._engine.view_sql(f"alert_{row[0]}")
            if sql is None:
                continue
            name, family, title, unit, severity, cadence, for_evaluations, keep_firing, needs, owner = row
            rules[name] = Rule(
                name=name,
                family=family,
                title=title,
                unit=unit,
                severity=Severity(severity),
                cadence=Cadence(cadence),
                for_evaluations=for_evaluations,
                keep_firing_evaluations=keep_firing,
                needs=tuple(needs.split()),
                owner=owner,
                version=hashlib.sha256(_timeless(sql).encode()).hexdigest()[:12],
            )
        inhibitions = self._engine.ask("select rule, inhibited_rule, inhibits from alerts.alert_inhibitions")
        severities = self._engine.ask(
            "select severity, reminder_hours, reminder_limit from alerts.alert_severities"
        )
        return RuleBook(
            rules,
            tuple(Inhibition(*row) for row in inhibitions[1]),
            {Severity(name): Reminders(hours, limit) for name, hours, limit in severities[1]},
        )


@contextmanager
def open_rules(settings: Settings, *, as_of: datetime) -> Iterator[RuleReader]:
    """The rules of the published night, asked as of a moment (naive UTC).

    Raises AlmanacError when nothing is published or it was published before there were rules, LandingBusy
    while the landing database is being written.
    """
    engine: _Engine = _PostgresRules(settings) if settings.target == "postgres" else _DuckdbRules(settings)
    try:
        try:
            reader = RuleReader(engine)
        except AlmanacError as error:
            raise AlmanacError(
                f"The published night holds no rules of alerts ({error}). Run `almanac nightly`."
            ) from None
        reader.at(as_of)
        yield reader
    finally:
        engine.close()


class _DuckdbRules:
    """The published file and the landing database, attached read-only to an empty database in memory."""

    def __init__(self, settings: Settings) -> None:
        import duckdb

        for path in (settings.warehouse_path, settings.landing_path):
            if not path.is_file():
                raise AlmanacError(f"There is no {path} yet. Run `almanac nightly` first.")
        self._connection = duckdb.connect(
            config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        )
        try:
            self._attach(settings.warehouse_path, "warehouse")
            self._attach(settings.landing_path, "landing")
            self._connection.execute(
                "set search_path = 'memory.main,warehouse.alerts,warehouse.marts,warehouse.kept,landing.raw'"
            )
            self._connection.execute("set TimeZone = 'UTC'")
            self._connection.execute("set enable_progress_bar = false")
            self._connection.execute("set enable_external_access = false")
            self._connection.execute("set lock_configuration = true")
        except BaseException:
            self._connection.close()
            raise

    def _attach(self, path: Any, name: str) -> None:
        import duckdb

        quoted = str(path).replace("'", "''")
        try:
            self._connection.execute(f"attach '{quoted}' as {name} (read_only)")
        except duckdb.IOException as error:
            if "Could not set lock" in str(error):
                raise LandingBusy(
                    f"{path} is being written by another run. Try again when it has ended."
                ) from None
            raise AlmanacError(f"{path} cannot be read: {_first_line(error)}") from None

    def set_moment(self, as_of: datetime) -> None:
        self._connection.execute(f"set variable almanac_as_of = timestamp '{as_of}'")

    def ask(
        self, query: str, parameters: Mapping[str, Any] | None = None
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        import duckdb

        used = {name for name in parameters or {} if re.search(rf"\${name}\b", query)}
        given = {name: value for name, value in (parameters or {}).items() if name in used}
        try:
            rows: duckdb.DuckDBPyConnection = self._connection.execute(query, given)
            return tuple(str(column[0]) for column in rows.description or ()), rows.fetchall()
        except duckdb.Error as error:
            raise AlmanacError(_first_line(error)) from None

    def view_sql(self, name: str) -> str | None:
        sql = self._views.get(name)
        if sql is None:
            return None
        return re.sub(r"(?s)^CREATE VIEW \S+ (\([^()]*\) )?AS ", "", sql).rstrip().rstrip(";")

    @cached_property
    def _views(self) -> dict[str, str]:
        # each asking writes the SQL of all views of the file
        _, rows = self.ask(
            "select view_name, sql from duckdb_views() "
            "where database_name = 'warehouse' and schema_name = 'alerts'"
        )
        return dict(rows)

    def runnable(self, sql: str) -> str:
        return sql

    def close(self) -> None:
        self._connection.close()


class _PostgresRules:
    """One reading session of the warehouse; schema raw is the landing's mirror."""

    def __init__(self, settings: Settings) -> None:
        from flows.warehouse_postgres import connection_parameters, open_connection

        parameters = connection_parameters(settings)
        options = {
            "default_transaction_read_only": "on",
            "search_path": "alerts,marts,raw",
            "statement_timeout": f"{RULE_SECONDS}s",
            "lock_timeout": "10s",
            "timezone": "UTC",
            "jit": "off",
        }
        given = " ".join(f"-c {name}={value}" for name, value in options.items())
        self._connection: psycopg.Connection[Any] = open_connection(
            parameters, f"{parameters.get('options', '')} {given}".strip(), "almanac alerts"
        )

    def set_moment(self, as_of: datetime) -> None:
        self.ask("select set_config('almanac.as_of', $moment, false)", {"moment": str(as_of)})

    def ask(
        self, query: str, parameters: Mapping[str, Any] | None = None
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        import psycopg

        try:
            if parameters:
                text = query.replace("%", "%%")
                for name in parameters:
                    text = re.sub(rf"\${name}\b", f"%({name})s", text)
                cursor = self._connection.execute(text.encode(), dict(parameters))
            else:
                cursor = self._connection.execute(query.encode())
            return tuple(column.name for column in cursor.description or ()), cursor.fetchall()
        except psycopg.Error as error:
            raise AlmanacError(_first_line(error)) from None

    def view_sql(self, name: str) -> str | None:
        # the view that people read only names the view of the generation, which holds the rule
        _, rows = self.ask(
            "select pg_get_viewdef(view.oid) from pg_class as view "
            "join pg_namespace as schema on schema.oid = view.relnamespace "
            "join ops.generations as generation "
            "on schema.nspname = 'gen_' || generation.name || '_alerts' and generation.is_published "
            "where view.relname = $name",
            {"name": name},
        )
        return str(rows[0][0]).rstrip().rstrip(";") if rows else None

    def runnable(self, sql: str) -> str:
        """With the generation that is published, which the text of a rule leaves out (_timeless)."""
        _, rows = self.ask("select name from ops.generations where is_published")
        # what people query has a view of its own outside the generations, the kept tables have none
        return re.sub(r"\bkept\.", f"gen_{rows[0][0]}_kept.", sql) if rows else sql

    def close(self) -> None:
        self._connection.close()


def _candidate(columns: tuple[str, ...], row: tuple[Any, ...]) -> Candidate:
    found = dict(zip(columns, row, strict=True))
    named = {name: found[name] for name in _CANDIDATE_COLUMNS}
    named |= {name: found[name] for name in _LATER_COLUMNS if name in found}
    key = Key(named.pop("rule"), named.pop("scope_kind"), named.pop("scope_id"))
    named["severity"] = Severity(named["severity"])
    named["verdict"] = Verdict(named["verdict"])
    named["observed_value"] = _number(named["observed_value"])
    return Candidate(key, **named)


def _number(value: Any) -> Decimal | None:
    """A measure; what is no number was not measured."""
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _timeless(sql: str) -> str:
    return _NIGHT.sub(_NO_NIGHT, _GENERATION.sub("", sql))


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value)[:300]


def _first_line(error: Exception) -> str:
    return redact(str(error).strip().splitlines()[0])[:300] if str(error).strip() else type(error).__name__
