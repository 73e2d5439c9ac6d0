"""Which products are to be put side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rasa_sdk import Tracker

from bot.actions.comparison import best_first, ranked
from bot.actions.focus import Focus, pointed_at
from bot.actions.malls import get_goods
from bot.actions.product_reference import called_so, cheapest_first, listed, named, shelves_called, talk_of
from bot.actions.product_search import telling
from bot.actions.product_words import SAID, aspects_in
from bot.actions.shop_product import ShopProduct, shop_products, with_knowledge
from bot.actions.turn import Turn
from bot.spelling import number, plain

COMPARED_AT_MOST = 4


async def to_compare(tracker: Tracker, turn: Turn) -> list[ShopProduct]:
    """What is named or pointed at, with what was talked of; "这两款" are the first two of the list."""
    found = await named_in_order(turn)
    shelves = await _shelves(turn)
    if not found and len(shelves) == 1 and not turn.first("ordinal"):
        return best_first(await cheapest_first(shelves[0]), turn.question)[:COMPARED_AT_MOST]
    if len(found) < 2 and not turn.tapped:
        others = await _best_of_each(turn, shelves)
        found += [one for one in others if one.id not in {product.id for product in found}]
    shown = listed(tracker)
    pointed = [thing["id"] for thing in pointed_at(turn, Focus(tracker).listed("product"))]
    meant = [*(product.id for product in found if not pointed or product.name in turn.entities.get("product", ()))]
    meant += pointed
    if len(meant) == 1 and (in_hand := Focus(tracker).at_hand("product")):
        meant.insert(0, in_hand)
    elif len(meant) == 1 and turn.first("ordinal"):
        meant += shown  # 和第一个比呢, of whoever talks of the list
    these = SAID["these"].search(plain(turn.text))
    if len(set(meant)) < 2 and shown and (these or not meant):
        meant = shown[: 2 if these["pair"] else _count(these["after"] or these["alone"])] if these else shown
    known = {product.id: product for product in found}
    ids = list(dict.fromkeys(meant))[:COMPARED_AT_MOST]
    if set(ids) <= set(shown):  # so that "第二个" still means the same
        ids.sort(key=shown.index)
    missing = {product.id: product for product in await shop_products([one for one in ids if one not in known])}
    return [product for one in ids if (product := known.get(one) or missing.get(one))]


def _count(figure: str) -> int:
    """Of 这几款 all."""
    return min(int(number(figure) or COMPARED_AT_MOST), COMPARED_AT_MOST)


async def the_only_one(tracker: Tracker) -> ShopProduct | None:
    """What is left of a list that was narrowed to one: "哪个最便宜" needs no table then."""
    talk = await talk_of(tracker)
    return talk.products[0] if talk.wish and len(listed(tracker)) == len(talk.products) == 1 else None


async def named_in_order(turn: Turn) -> list[ShopProduct]:
    """The products that the message names, as its words follow each other; also by names that several share: of the
    C9 and the C9 Pro, "C9" is the former."""
    goods, known = await get_goods(), await named(turn)
    found: dict[str, ShopProduct] = {}
    for part in _parts(turn):
        best = await with_knowledge(await goods.find(part, limit=1))
        meant = max([*best, *known], key=lambda one: called_so(part, one.live), default=None)
        if meant and called_so(part, meant.live):
            found[meant.id] = meant
    return list({**found, **{one.id: one for one in known if one.id not in found}}.values())


def _parts(turn: Turn) -> list[str]:
    return [] if turn.tapped else [part for part in SAID["joins"].split(plain(turn.text)) if telling(part).strip()]


async def _shelves(turn: Turn) -> list[str]:
    """The shelves that are named, and those that the words beside these call: 耳机和手表."""
    named_ones = list(map(str, turn.entities.get("category", ())))
    parts = SAID["joins"].split(plain(turn.without("category", "product")))
    called_too = [await shelves_called(part) for part in parts if len(parts) > 1 and telling(part).strip()]
    return list(dict.fromkeys([*named_ones, *(some[0] for some in called_too if len(some) == 1)]))


async def _best_of_each(turn: Turn, shelves: Sequence[str]) -> list[ShopProduct]:
    """加湿器和净化器: of each the best in what is asked, or what the mall takes it for."""
    if len(shelves) > 1 and (aspects := [one for one in aspects_in(turn.question) if one.better]):
        each = [await cheapest_first(name) for name in shelves[:COMPARED_AT_MOST]]
        return [(ranked(some, aspects[0]) or some)[0] for some in each if some]
    goods = await get_goods()
    by_words = [one for part in _parts(turn) for one in await goods.find(part, limit=1)]
    by_shelf = [one for name in shelves for one in await goods.find(name, limit=1)]
    return await with_knowledge(by_words if len({one.id for one in by_words}) > 1 else by_shelf)
