"""The tables of the ops store for what is sent: editions, messages, channels at fault, who left."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)


class DeliveryTables:
    """The tables, added to the metadata of the ops store. All moments are naive UTC."""

    def __init__(self, metadata: MetaData) -> None:
        # content-addressed and compressed: what was sent is kept once, whoever got it
        self.documents = Table(
            "documents",
            metadata,
            Column("sha256", Text, primary_key=True),
            Column("media_type", Text, nullable=False),
            Column("content", LargeBinary, nullable=False),
        )
        # scope: platform, organization:ID or team:ID; period: 2026-W47 or 2026-11; edition: from 1
        self.editions = Table(
            "review_editions",
            metadata,
            Column("kind", Text, primary_key=True),
            Column("scope", Text, primary_key=True),
            Column("period", Text, primary_key=True),
            Column("edition", Integer, primary_key=True),
            Column("as_of", DateTime, nullable=False),
            Column("made_at", DateTime, nullable=False),
            # of the printed figures: other figures make another edition
            Column("figures_sha256", Text, nullable=False),
            # null for the first edition
            Column("reason", Text),
            Column("is_material", Boolean, nullable=False),
        )
        # dates: the locale of dates of the document
        self.edition_documents = Table(
            "edition_documents",
            metadata,
            Column("kind", Text, primary_key=True),
            Column("scope", Text, primary_key=True),
            Column("period", Text, primary_key=True),
            Column("edition", Integer, primary_key=True),
            Column("name", Text, primary_key=True),
            Column("dates", Text, primary_key=True),
            Column("sha256", Text, nullable=False),
        )
        # kind: weekly, monthly, or held and alert for what operators are told
        self.outbox = Table(
            "outbox",
            metadata,
            Column("delivery_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
            Column("kind", Text, nullable=False),
            Column("scope", Text, nullable=False),
            Column("period", Text, nullable=False),
            Column("edition", Integer, nullable=False),
            Column("recipient", Text, nullable=False),
            Column("channel", Text, nullable=False),
            Column("message_sha256", Text, nullable=False),
            Column("message_id", Text, nullable=False),
            # pending, sending, sent, dead or unknown
            Column("state", Text, nullable=False),
            Column("attempt_count", Integer, nullable=False),
            # sent again because nobody knows whether the first time arrived
            Column("is_resend", Boolean, nullable=False),
            Column("due_at", DateTime, nullable=False),
            # of whoever works on it; null when nobody does
            Column("lease_until", DateTime),
            Column("lease_holder", Text),
            Column("last_error", Text),
            Column("created_at", DateTime, nullable=False),
            Column("sent_at", DateTime),
            UniqueConstraint("kind", "scope", "period", "edition", "recipient", "channel"),
            Index("outbox_by_state", "state", "due_at"),
        )
        # a row for each channel that ever failed or asked to be left alone; since version 3
        self.channel_circuits = Table(
            "channel_circuits",
            metadata,
            Column("channel", Text, primary_key=True),
            # in a row; 0 when the last message was answered
            Column("failure_count", Integer, nullable=False),
            # nothing is sent before that; null when nothing keeps the channel from being used
            Column("open_until", DateTime),
            # how long it was opened for the last time; null while it is closed
            Column("wait_seconds", Integer),
            # when it last worked again after it had been open
            Column("closed_at", DateTime),
            Column("last_error", Text),
        )
        # kind: weekly, monthly or all
        self.unsubscribes = Table(
            "unsubscribes",
            metadata,
            Column("address", Text, primary_key=True),
            Column("kind", Text, primary_key=True),
            Column("unsubscribed_at", DateTime, nullable=False),
            Column("source", Text, nullable=False),
        )
        self.all = (
            self.documents,
            self.editions,
            self.edition_documents,
            self.outbox,
            self.channel_circuits,
            self.unsubscribes,
        )
