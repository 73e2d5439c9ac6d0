"""Idempotency keys: a command that is sent twice has its effect once.

The record is written before the effect, in the same transaction. Of two callers with one key the second waits for the
first's commit and then finds its result, or, after a roll-back, does the work itself.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter.database import insert
from mall_adapter.mall import IdempotencyConflict
from mall_adapter.models import IdempotencyRecord
from privacy import blind_index


async def claim(session: AsyncSession, key: str, now: datetime, command: str, *request: object) -> IdempotencyRecord:
    """The record of ``key``. Its ``result_id`` is what the command made earlier, or empty: then do it and fill it in.

    ``request`` are the command's arguments, values whose ``repr`` is stable. Raises IdempotencyConflict if the key was
    used for another command or other arguments.
    """
    if not key:
        raise ValueError("an idempotency key is needed")
    key_index = _hash(key, "idempotency_record.key")
    request_hash = _hash(repr(request), "idempotency_record.request")
    new = {"key_index": key_index, "command": command, "request_hash": request_hash, "created_at": now}
    await session.execute(insert(session, IdempotencyRecord).values(new).on_conflict_do_nothing())
    record = await session.get_one(IdempotencyRecord, key_index)
    if (record.command, record.request_hash) != (command, request_hash):
        raise IdempotencyConflict("this key belongs to another request")
    return record


def _hash(value: str, purpose: str) -> str:
    # keyed, because a request holds a sender and a customer's words; hashed first, because a blind index forgives case
    return blind_index(hashlib.sha256(value.encode()).hexdigest(), purpose)
