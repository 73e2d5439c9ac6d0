"""The tables of this room, for SQLAlchemy 1.4 (the bot) and 2 (everybody else); mall_adapter/migrations makes them."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table

from privacy.columns import KeyedHash

metadata = MetaData()

conversation_event = Table(
    "conversation_event",
    metadata,
    Column("conversation", KeyedHash(), primary_key=True),  # keyed hash of the sender
    Column("position", Integer, primary_key=True, autoincrement=False),  # of the row's first event in the conversation
    Column("length", Integer, nullable=False),  # events in the row
    Column("session", Integer, nullable=False),  # position of the row in which the present session began
    Column("sealed", LargeBinary, nullable=False),
)
"""One row per save: the new events of a turn, sealed together."""

keyring_check = Table(
    "keyring_check",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),  # of the key
    Column("sealed", LargeBinary, nullable=False),
)
"""One row per key that may have sealed data in this database."""
