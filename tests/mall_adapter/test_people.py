"""Who is who: senders, principals and their roles, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from privacy import verify_keyring
from privacy.conversations import conversation_of, seal_events
from privacy.keyring import current_ring
from privacy.tables import conversation_event
from storage import WRITES, Role, create_engine, migrate

from .conftest import NOW, Postgres, Sqlite


def conversation(sender: str) -> str:
    return conversation_of(current_ring(), sender)


# ---- the last release ----


async def test_accounts_of_the_last_release_become_principals_and_back(databases: Sqlite | Postgres) -> None:
    """One wrote and is bound, one is bound and left no conversation, one wrote and is nobody."""
    url = databases.create()
    await migrate(url, "0010")
    engine = create_engine(url)
    bound = {"web:zhou": "C1", "api:Silent": "C1"}
    async with engine.execution_options(**WRITES).begin() as connection:
        ring = await connection.run_sync(verify_keyring)
        for customer_id in ("C1", "C2"):
            await connection.execute(
                text(
                    "INSERT INTO customer (id, name, phone, phone_index, address, region, registered_at, demo)"
                    " VALUES (:id, :sealed, :sealed, :id, :sealed, '华东', :now, :demo)"
                ),
                {"id": customer_id, "sealed": b"", "now": NOW, "demo": customer_id == "C2"},
            )
        for sender, customer_id in bound.items():
            await connection.execute(
                text("INSERT INTO channel_account VALUES (:sender, :customer, 'customer', :now)"),
                {"sender": models.sender_index(sender), "customer": customer_id, "now": NOW},
            )
        for sender in ("web:zhou", "web:guest"):
            for position in range(2):
                event = {"event": "user", "text": "在吗", "timestamp": (NOW + timedelta(hours=position)).timestamp()}
                row = seal_events(ring, sender, position, 0, [event])
                await connection.execute(conversation_event.insert(), vars(row))

    async def accounts() -> list[tuple[str | None, str | None, str | None, str | None, datetime, datetime | None]]:
        table = models.ChannelAccount
        async with AsyncSession(engine) as session:
            rows = await session.scalars(select(table))
            told = [
                (each.sender, each.channel, each.conversation, each.principal_id, each.first_seen_at, each.bound_at)
                for each in rows
            ]
        return sorted(told, key=str)

    zhou = ("web:zhou", "web", conversation("web:zhou"), "P-C1", NOW, NOW)
    guest = ("web:guest", "web", conversation("web:guest"), None, NOW, None)
    silent = (None, None, None, "P-C1", NOW, NOW)
    for _ in range(2):
        await migrate(url)
        assert await accounts() == sorted([zhou, guest, silent], key=str)
        async with AsyncSession(engine) as session:
            found = await session.execute(
                select(models.Principal.id, models.Principal.demo, models.Membership.role)
                .join(models.Membership)
                .order_by(models.Principal.id)
            )
            assert [tuple(row) for row in found] == [("P-C1", False, Role.CUSTOMER), ("P-C2", True, Role.CUSTOMER)]
        await migrate(url, "0010", down=True)
        async with engine.connect() as connection:
            kept = await connection.execute(text("SELECT sender_index, customer_id, role FROM channel_account"))
            assert {tuple(row) for row in kept} == {
                (models.sender_index(sender), customer_id, "customer") for sender, customer_id in bound.items()
            }
    await engine.dispose()
