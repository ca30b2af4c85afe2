"""The tables of the ops store for health: what probes found, and when it was planned to be down."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)


class ProbeTables:
    """The tables, added to the metadata of the ops store. All moments are naive UTC."""

    def __init__(self, metadata: MetaData) -> None:
        number = BigInteger().with_variant(Integer, "sqlite")
        self.probes = Table(
            "health_probes",
            metadata,
            Column("probe_id", number, primary_key=True),
            Column("component", Text, nullable=False),
            Column("checked_at", DateTime, nullable=False),
            # up, degraded, down or unknown
            Column("verdict", Text, nullable=False),
            # milliseconds until the verdict; null when nothing was measured
            Column("latency_ms", Double),
            # why it is not up, in a few words; no secret, no body
            Column("reason", Text),
            Column("is_required", Boolean, nullable=False),
            # seconds until the next probe is due: a longer gap is the monitor's, not the component's
            Column("interval_seconds", Integer, nullable=False),
            Index("probes_by_component", "component", "checked_at"),
            Index("probes_by_time", "checked_at"),
        )
        self.maintenance_windows = Table(
            "maintenance_windows",
            metadata,
            Column("window_id", number, primary_key=True),
            # null: every component
            Column("component", Text),
            Column("starts_at", DateTime, nullable=False),
            Column("ends_at", DateTime, nullable=False),
            Column("owner", Text, nullable=False),
            Column("reason", Text, nullable=False),
            Column("created_at", DateTime, nullable=False),
        )
