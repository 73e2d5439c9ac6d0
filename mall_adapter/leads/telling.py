"""What a salesperson hears of a warm lead: who, about what, and how they might begin (``utter_notice_lead_warm_…``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import yaml
from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.cards.persons import unnamed
from mall_adapter.leads.stages import Reason
from mall_adapter.notices.telling import notify

WORDS = TypeAdapter(dict[str, tuple[str, str]]).validate_python(
    yaml.safe_load(Path(__file__).with_name("words.yml").read_text("utf-8"))
)


async def tell(session: AsyncSession, lead: models.Lead, reason: Reason, now: datetime) -> None:
    """In the caller's transaction. A salesperson who is bound to no chat is told by the dashboard alone."""
    principal = await session.get_one(models.Principal, lead.principal_id)
    if principal.customer_id is None:
        return
    names = await names_of(session, [lead.person])
    question, product = models.LeadQuestion, models.Product
    last = (
        select(product.name)
        .join(question, question.product_id == product.id)
        .where(question.person == lead.person)
        .order_by(question.at.desc(), question.id.desc())
        .limit(1)
    )
    goods = await session.scalar(last)
    values = {"reason": str(reason), "lead": str(lead.id)}
    for name, known in (("who", names.get(lead.person)), ("goods", goods)):
        chinese, english = WORDS["friend" if name == "who" else "goods"]
        values |= {name: known or chinese, f"{name}_en": known or english}
    cause = f"lead:{lead.id}:{lead.stage}"
    about = f"lead:{lead.id}"
    await notify(session, principal.customer_id, "lead_warm", values, about=about, cause=cause, at=now, now=now)


async def names_of(session: AsyncSession, persons: Sequence[str]) -> Mapping[str, str]:
    """Of those who are known: customers, and who works here. The others are strangers, as is whoever declined."""
    found, hidden = dict[str, str](), await unnamed(session, persons)
    for kind, who in (("customer", models.Customer), ("staff", models.Principal)):
        query = select(who.id, who.name).where(who.id.in_(_ids(persons, kind)))
        found |= {f"{kind}:{each.id}": each.name for each in await session.execute(query) if each.name}
    return {person: name for person, name in found.items() if person not in hidden}


def _ids(persons: Sequence[str], kind: str) -> list[str]:
    return [person.partition(":")[2] for person in persons if person.startswith(f"{kind}:")]
