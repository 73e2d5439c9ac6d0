"""The page about cards: how far each has come, through whom, who is warm and what was bought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter

from connectors.dashboard.operators import Operators, Refused
from knowledge_graph import Graph, propagation
from mall_adapter import Leads

SHOWN = 50
"""Cards, the latest first."""

LISTED = 10
EVERY = (*propagation.WARMEST, "converted", "lost")

CardId = Annotated[str, PathParameter(max_length=100)]


def router(operators: Operators, graph: Graph, leads: Leads) -> APIRouter:
    router = APIRouter(prefix="/cards")

    @router.get("")
    async def cards(request: Request, response: Response) -> dict[str, Any]:
        """Each card with the name on it, and how far it has come."""
        actor = operators.reader(request).actor
        response.headers["Cache-Control"] = "no-store"
        known = (await leads.everybodys(actor))[::-1][:SHOWN]
        return {"cards": [{"id": card, "name": name, **await _reach(graph, card)} for card, name in known]}

    @router.get("/{card_id}")
    async def card(card_id: CardId, request: Request, response: Response) -> dict[str, Any]:
        """People are told by their places in ``people``, where strangers have no name; whose card it is comes first."""
        actor = operators.reader(request).actor
        response.headers["Cache-Control"] = "no-store"
        if card_id not in dict(await leads.everybodys(actor)):
            raise Refused(404, "not_found", "没有这张名片。")
        path = await propagation.path(graph, card_id)
        carriers = await propagation.carriers(graph, card_id, LISTED)
        orders = await propagation.conversions(graph, [card_id], LISTED)
        warm = await propagation.leads(graph, [card_id], EVERY, LISTED)
        persons = [path.owner or "", *(copy.person for copy in path.copies)]
        persons += [*(one.person for one in carriers), *(who for one in orders for who in one.path)]
        persons += [who for one in warm for who in (one.person, one.source)]
        places = {person: place for place, person in enumerate(dict.fromkeys(persons))}
        names = await leads.names(list(places))

        def placed(told: Mapping[str, Any]) -> dict[str, Any]:
            named = {name: places.get(told[name]) for name in ("person", "source") if name in told}
            return {**told, **named}

        return {
            "people": [names.get(person) for person in places],
            "copies": [placed(asdict(copy)) for copy in path.copies],
            "carriers": [placed(asdict(one)) for one in carriers],
            "orders": [placed(asdict(one)) | {"path": [places[who] for who in one.path]} for one in orders],
            "leads": [placed(asdict(one)) for one in warm],
            **await _reach(graph, card_id),
        }

    return router


async def _reach(graph: Graph, card: str) -> dict[str, Any]:
    reach = await propagation.reach(graph, [card])
    minutes = reach.opened_after and round(reach.opened_after.total_seconds() / 60)
    return {"levels": reach.levels, "bought": reach.orders, "cents": reach.cents, "opened_after_minutes": minutes}
