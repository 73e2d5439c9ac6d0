"""What a button means: a token goes out in its place, good for the customer to whom it was shown, and not for ever.

A number, or "the second one", means a choice of the last answer if that answer has numbered its choices.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from connectors.rendering import Rendered
from connectors.tables import ChoiceList
from connectors.words import WORDS
from privacy.columns import exact_index

KEPT = timedelta(days=7)

TOKEN = re.compile(r"(?P<key>[A-Za-z0-9_-]{16})-(?P<number>[1-9][0-9]{0,2})")

NUMERALS = WORDS.choices.numerals
PLACE = re.compile(WORDS.choices.place.replace("{number}", "|".join(["[0-9]{1,2}", *NUMERALS])))
LAST = re.compile(WORDS.choices.last)


def new_key() -> str:
    """What the tokens of one answer begin with."""
    return secrets.token_urlsafe(12)


async def keep(session: AsyncSession, sender: str, key: str, rendered: Rendered, now: datetime) -> None:
    """The answer is the sender's last one from now on, in the caller's transaction."""
    mine = sender_index(sender)
    before = update(ChoiceList).where(ChoiceList.sender_index == mine, ChoiceList.current)
    await session.execute(before.values(current=False), execution_options={"synchronize_session": False})
    if rendered.payloads:
        told = {"payloads": list(rendered.payloads), "places": dict(rendered.places)}
        row = {
            "sender_index": mine,
            "key_index": _key_index(key),
            "payloads": json.dumps(told, ensure_ascii=False),
            "current": True,
            "expires_at": now + KEPT,
        }
        await session.execute(insert(ChoiceList).values(row))


async def redeem(session: AsyncSession, sender: str, token: str, now: datetime) -> str | None:
    """The payload of a button that was tapped; None if it was never shown to this sender, or too long ago."""
    found = TOKEN.fullmatch(token)
    if found is None:
        return None
    shown = await _shown(session, sender, now, ChoiceList.key_index == _key_index(found["key"]))
    payloads, number = shown.get("payloads", []), int(found["number"])
    return str(payloads[number - 1]) if number <= len(payloads) else None


async def pick(session: AsyncSession, sender: str, text: str, now: datetime) -> str | None:
    """The payload of the choice of the last answer whose place is all that was said; None if it is something else."""
    said = unicodedata.normalize("NFKC", text).strip()
    found, last = PLACE.fullmatch(said), LAST.fullmatch(said)
    if not (found or last):
        return None
    places = (await _shown(session, sender, now, ChoiceList.current)).get("places", {})
    place = _place(found["place"]) if found else max(map(int, places), default=0)
    return cast(dict[str, str], places).get(str(place))


async def forget(session: AsyncSession, now: datetime, limit: int = 1000) -> bool:
    """Forgets some of what has expired; whether there may be more."""
    old = select(ChoiceList.id).where(ChoiceList.expires_at <= now).limit(limit)
    gone = await session.scalars(delete(ChoiceList).where(ChoiceList.id.in_(old)).returning(ChoiceList.id))
    return len(gone.all()) == limit


def _place(said: str) -> int:
    return NUMERALS.get(said) or int(said)


async def _shown(session: AsyncSession, sender: str, now: datetime, which: Any) -> dict[str, Any]:
    row = ChoiceList
    query = select(row.payloads).where(row.sender_index == sender_index(sender), row.expires_at > now, which)
    found = await session.scalar(query.order_by(row.id.desc()).limit(1))
    return cast(dict[str, Any], json.loads(found)) if found is not None else {}


def sender_index(sender: str) -> str:
    return exact_index(sender, "choice_list.sender")


def _key_index(key: str) -> str:
    return exact_index(key, "choice_list.key")
