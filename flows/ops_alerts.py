"""The tables of the ops store for alerts: states, incidents, what was told of them, who wants silence."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)


class AlertTables:
    """The tables, added to the metadata of the ops store. All moments are naive UTC."""

    def __init__(self, metadata: MetaData) -> None:
        number = BigInteger().with_variant(Integer, "sqlite")
        # one row per rule and scope that was ever not clear
        self.states = Table(
            "alert_states",
            metadata,
            Column("rule", Text, primary_key=True),
            Column("scope_kind", Text, primary_key=True),
            Column("scope_id", Text, primary_key=True),
            # ok, pending, firing, recovering or unknown
            Column("state", Text, nullable=False),
            # what the evaluator remembers besides, as JSON (flows/alert_states.py)
            Column("memory", Text, nullable=False),
            Column("incident_id", Text),
            # the newest data that was counted, and when
            Column("data_as_of", DateTime),
            Column("evaluated_at", DateTime, nullable=False),
        )
        self.incidents = Table(
            "incidents",
            metadata,
            Column("incident_id", Text, primary_key=True),
            Column("rule", Text, nullable=False),
            Column("rule_version", Text, nullable=False),
            Column("family", Text, nullable=False),
            Column("scope_kind", Text, nullable=False),
            Column("scope_id", Text, nullable=False),
            Column("scope_name", Text, nullable=False),
            # null where it concerns no single organization
            Column("organization_id", Text),
            # the highest so far
            Column("severity", Text, nullable=False),
            Column("opened_at", DateTime, nullable=False),
            # the moment of the data that opened it
            Column("opened_as_of", DateTime, nullable=False),
            Column("last_breach_at", DateTime, nullable=False),
            Column("resolved_at", DateTime),
            # the moment of the data that resolved it; of whoever closed it, the same as resolved_at
            Column("resolved_as_of", DateTime),
            # recovered, or the reason of whoever closed it
            Column("resolution", Text),
            Column("acknowledged_by", Text),
            Column("acknowledged_at", DateTime),
            # JSON: value, unit, threshold, baseline, SQL, parameters, contributing rows
            Column("evidence", Text, nullable=False),
            # one open incident of a rule and a scope: held here, whatever the evaluators do
            Index(
                "one_open_incident",
                "rule",
                "scope_kind",
                "scope_id",
                unique=True,
                sqlite_where=text("resolved_at is null"),
                postgresql_where=text("resolved_at is null"),
            ),
        )
        # what happened to an incident, in order
        self.incident_events = Table(
            "incident_events",
            metadata,
            Column("event_id", number, primary_key=True),
            Column("incident_id", Text, nullable=False, index=True),
            # opened, escalated, reminded, resolved, acknowledged, silenced, unknown, known, closed
            Column("kind", Text, nullable=False),
            Column("happened_at", DateTime, nullable=False),
            # the notice that told it; null when nobody was told, with the reason in `detail`
            Column("notice_id", Text),
            # JSON
            Column("detail", Text, nullable=False),
        )
        self.silences = Table(
            "alert_silences",
            metadata,
            Column("silence_id", number, primary_key=True),
            # null: any
            Column("rule", Text),
            Column("scope_kind", Text),
            Column("scope_id", Text),
            Column("owner", Text, nullable=False),
            Column("reason", Text, nullable=False),
            Column("created_at", DateTime, nullable=False),
            Column("starts_at", DateTime, nullable=False),
            Column("ends_at", DateTime, nullable=False),
        )
        # one row per evaluation that was applied: the evaluator's clock never runs backwards
        self.evaluations = Table(
            "alert_evaluations",
            metadata,
            Column("evaluation_id", number, primary_key=True),
            # of the rules that were asked: night or check
            Column("cadence", Text, nullable=False),
            # night, check or probe
            Column("occasion", Text, nullable=False),
            Column("as_of", DateTime, nullable=False),
            Column("evaluated_at", DateTime, nullable=False),
            Column("candidate_count", Integer, nullable=False),
            Column("breach_count", Integer, nullable=False),
            Column("unknown_count", Integer, nullable=False),
        )
