"""What goes with a product, and what can stand in for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rasa_sdk import Tracker

from bot.actions.focus import Focus
from bot.actions.graphs import ask
from bot.actions.knowledge_base import GraphKnowledgeBase
from bot.actions.malls import get_goods
from bot.actions.product_compared import named_in_order
from bot.actions.product_reference import PRODUCTS_SHOWN, before, named
from bot.actions.product_search import SHELF, categories_called, companions, made_by, words_of
from bot.actions.product_words import SAID
from bot.actions.shop_product import ShopProduct, shop_products, with_knowledge
from bot.actions.turn import Turn
from bot.spelling import plain
from knowledge_graph import Graph
from knowledge_graph import products as graph_products


@dataclass(frozen=True, slots=True)
class Beside:
    """What goes with a product, or can stand in for it."""

    of: ShopProduct
    products: Sequence[ShopProduct]


async def fits_in_question(tracker: Tracker, turn: Turn) -> tuple[ShopProduct, ShopProduct, Beside | None] | None:
    """ "它能用TB-35吗": what is spoken of, the other thing, and what goes with the former where that does not."""
    if turn.tapped or not SAID["fits"].search(plain(turn.text)):
        return None
    in_hand = Focus(tracker).at_hand("product")
    pair = [*(await shop_products([in_hand]) if in_hand else []), *await named_in_order(turn)]
    pair = list({one.id: one for one in pair}.values())[-2:]
    if len(pair) < 2 or pair[0].live.category == pair[1].live.category:
        return None
    fit, backwards = [await _companions_on(one, [other.live.category]) for one, other in (pair, pair[::-1])]
    known = pair[1].id in fit or pair[0].id in backwards or _names(*pair) or _names(*pair[::-1])
    return pair[0], pair[1], None if known else Beside(pair[0], (await shop_products(fit))[:PRODUCTS_SHOWN])


def _names(one: ShopProduct, other: ShopProduct) -> bool:
    """Whether the page of one names the other's brand and model."""
    page = words_of({"name": one.name, "attributes": one.attributes})
    return all(plain(word) in page for word in made_by(other.live.brand, other.name))


async def _companions_on(main: ShopProduct, shelves: Sequence[str]) -> list[str]:
    listings = await (await get_goods()).listings()

    async def find(graph: Graph) -> list[str]:
        base = GraphKnowledgeBase(graph, listings)
        paired = await base.companions_of(main.id)
        page = await base.get_object("product", main.id)
        named_by_pages = await companions(base, page, shelves, PRODUCTS_SHOWN * 2) if page else []
        return [*(one["id"] for one in paired if one["category"] in shelves), *named_by_pages]

    nothing: list[str] = []
    return list(dict.fromkeys(await ask(find, nothing)))


async def similar_in_question(tracker: Tracker, turn: Turn) -> Beside | None:
    """ "有没有类似的": None where the message asks for nothing of the kind."""
    if turn.tapped or not SAID["similar"].search(plain(turn.text)):
        return None
    talked = await named(turn) or (await before(tracker) if Focus(tracker).at_hand("product") else [])
    return Beside(talked[0], await substitutes(talked[0])) if talked else None


async def companions_in_question(tracker: Tracker, turn: Turn) -> Beside | None:
    """ "能给这台相机用的电池": None where the message asks for nothing of the kind."""
    if turn.tapped or not SAID["goes_with"].search(plain(turn.text)):
        return None
    shelves = list(map(str, turn.entities.get("category", ())))
    mains = await named(turn) or (await before(tracker) if Focus(tracker).at_hand("product") else [])
    main = next((one for one in mains if turn.first("product") or not shelves or turn.first("mention")), None)
    main = main or next((one for one in mains if one.live.category in shelves), None)
    if main is None:
        return None
    said = turn.text
    for name in [*shelves, main.name]:
        said = said.replace(name, " ")

    listings = await (await get_goods()).listings()

    async def find(graph: Graph) -> tuple[bool, list[str] | None]:
        base = GraphKnowledgeBase(graph, listings)
        called = await categories_called(listings, said)
        others = [name for name in dict.fromkeys([*shelves, *called]) if name != main.live.category]
        if not others and not SAID["any_companion"].search(plain(turn.text)):
            return True, None
        paired = await base.companions_of(main.id)
        ids = [one["id"] for one in paired if not others or one["category"] in others]
        page = await base.get_object("product", main.id)
        return True, ids or (await companions(base, page, others, PRODUCTS_SHOWN * 2) if page else [])

    down: tuple[bool, list[str] | None] = (False, None)
    answered, ids = await ask(find, down)
    if not answered:
        ids = await _companions_of_the_mall(main, said)
    return None if ids is None else Beside(main, (await shop_products(ids))[:PRODUCTS_SHOWN])


async def _companions_of_the_mall(main: ShopProduct, said: str) -> list[str] | None:
    live = await (await get_goods()).find(said, limit=SHELF)
    others = [ShopProduct(one, one.attributes) for one in live if one.category != main.live.category]
    found = [one.id for one in others if _names(one, main)]
    return found or ([] if SAID["any_companion"].search(plain(said)) else None)


async def substitutes(product: ShopProduct) -> list[ShopProduct]:
    """What can be had now in its place, the nearest in price first."""
    nothing: list[graph_products.Product] = []
    near = await ask(lambda graph: graph_products.substitutes(graph, product.id), nothing)
    found = await shop_products([one.id for one in near])
    found.sort(key=lambda one: abs(one.price_cents - product.price_cents))
    if not found:
        goods = await get_goods()
        live = [
            one
            for one in await goods.find(product.live.category, limit=PRODUCTS_SHOWN * 2)
            if one.category == product.live.category and one.id != product.id
        ]
        found = await with_knowledge(live)
    return [one for one in found if one.available > 0][:PRODUCTS_SHOWN]
