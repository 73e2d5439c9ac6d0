"""Whose cards and leads somebody may see, and talk with: their own, and those of the people whom they manage."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, people, permissions
from mall_adapter.errors import NotPermitted
from storage import Actor, Role


@dataclass(frozen=True, slots=True)
class Owners:
    """``ids`` are of principals whose cards and leads are the actor's to see, their own first."""

    actor: Actor
    ids: tuple[str, ...]
    manager: bool  # of somebody


async def owners_of(session: AsyncSession, sender: str, command: str) -> Owners:
    """For whoever sells, and for whoever manages somebody who does. Raises NotPermitted, InPublic."""
    people.keep_private(sender)
    person = models.Principal
    for role in (Role.SALES, Role.OPERATOR):
        try:
            actor = await people.actor_of(session, sender, role)
        except NotPermitted:
            continue
        permissions.check(actor, command)
        managed = select(person.id).where(person.manager_id == actor.principal_id, person.id != actor.principal_id)
        team = (await session.scalars(managed.order_by(person.created_at, person.id))).all()
        own = [str(actor.principal_id)] if role is Role.SALES else []
        if ids := (*own, *team):
            return Owners(actor, ids, bool(team))
    raise NotPermitted("neither sells nor manages anybody who does")
