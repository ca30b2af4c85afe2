"""The tables of the ops store for the API: keys, and the sessions of people who signed in with one."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, MetaData, Table, Text


class ApiTables:
    """The tables, added to the metadata of the ops store. All moments are naive UTC.

    Neither holds a secret: what opens a door is kept as its SHA-256 only, in hexadecimal digits.
    """

    def __init__(self, metadata: MetaData) -> None:
        number = BigInteger().with_variant(Integer, "sqlite")
        self.keys = Table(
            "api_keys",
            metadata,
            Column("key_id", number, primary_key=True),
            # the part of the key that lists show
            Column("prefix", Text, nullable=False, unique=True),
            Column("key_sha256", Text, nullable=False),
            # platform, organization or team
            Column("scope_kind", Text, nullable=False),
            Column("scope_id", Text, nullable=False),
            Column("name", Text, nullable=False),
            Column("created_at", DateTime, nullable=False),
            Column("created_by", Text, nullable=False),
            # null: it does not expire
            Column("expires_at", DateTime),
            Column("revoked_at", DateTime),
            Column("revoked_by", Text),
            # to about a minute; null: never, as far as is known
            Column("last_used_at", DateTime),
        )
        self.sessions = Table(
            "api_sessions",
            metadata,
            Column("session_sha256", Text, primary_key=True),
            Column("key_id", BigInteger, nullable=False),
            Column("created_at", DateTime, nullable=False),
            Column("expires_at", DateTime, nullable=False),
            # when it was signed out; null: not
            Column("ended_at", DateTime),
            Index("api_sessions_by_key", "key_id", "created_at"),
        )
        self.all = (self.keys, self.sessions)
