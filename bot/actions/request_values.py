"""What the slots of a request for after-sales say: its lines, its numbers, and exactly what would be written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rasa_sdk import Tracker

from bot.actions.focus import Listed
from bot.actions.wording import Domain, line_title, word
from bot.spelling import plain
from mall_adapter.values import Decision, OrderLine, OrderStatus, Reason, Sku, TicketKind, TicketRequest

INTENTS = {
    TicketKind.RETURN: "request_return",
    TicketKind.EXCHANGE: "request_exchange",
    TicketKind.REFUND: "request_refund",
}
FAULTS = (Reason.QUALITY, Reason.DAMAGED, Reason.WRONG_ITEM, Reason.MISSING_ITEM, Reason.NOT_AS_DESCRIBED)
"""Reasons that the shop answers for. One of them wins over what is said beside it ("不喜欢，还开胶了")."""

UNSENT = (OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE, OrderStatus.SHIPPED)

ALL_LINES = "all"

_SIZE = re.compile(
    r"(?<![a-z0-9.])(?:(?P<number>[0-9]+(?:\.5)?)|(?P<times>[2-9])?(?P<more>x*)(?P<letter>[sml]))(?![a-z0-9])"
)
"""43, 130, XL, 2XL: a size as specs and customers write it."""


def lines_of(slots: Mapping[str, Any]) -> list[str]:
    """Ids of the lines that are meant; empty while they are not known."""
    known: list[str] = [line["id"] for line in slots.get("order_lines") or []]
    meant: Any = slots.get("order_line")
    if meant == ALL_LINES:
        return known
    chosen: list[str] = meant if isinstance(meant, list) else [meant]
    return chosen if set(chosen) <= set(known) else []


def lines_listed(lines: Iterable[OrderLine]) -> Listed:
    """What the lines of an order are recognised by: goods, shelf, pieces that were bought and that are free."""
    return [
        {
            "kind": "line",
            "id": line.id,
            "title": line_title(line),
            "name": f"{line.product_name} {line.spec}".strip(),
            "category": line.category,
            "bought": str(line.quantity),
            "pieces": str(line.free),
        }
        for line in lines
    ]


def goods_in_request(slots: Mapping[str, Any]) -> str:
    """With how many of each, where several were bought."""
    part = pieces_wanted(slots)
    return "、".join(
        f"{name_of(line)} ×{part[0] if part else line['pieces']}" if int(line.get("bought", "1")) > 1 else line["title"]
        for line in chosen_lines(slots)
    )


def name_of(line: Mapping[str, str]) -> str:
    return line.get("name") or line["title"]  # one of before has the title alone


def chosen_lines(slots: Mapping[str, Any]) -> Listed:
    meant = lines_of(slots)
    return [line for line in slots.get("order_lines") or [] if line["id"] in meant]


def size_wanted(slots: Mapping[str, Any]) -> str:
    """Of the sizes that were named, the last that is not the one of the goods; of an exchange only."""
    if slots.get("ticket_kind") != TicketKind.EXCHANGE:
        return ""
    own = set(re.findall(r"[a-z]+|[0-9.]+", goods_in_request(slots).lower()))
    other = [size for size in slots.get("size") or [] if str(size).lower() not in own]
    return str(other[-1]) if other else ""


def sku_of_size(skus: Sequence[Sku], own: str, size: str) -> Sku | None:
    """The same goods in ``size``: a number, letters, or "larger" and "smaller" than the ``own`` spec, a step each; None
    where it is not one of them."""
    known, rest = _size_in(own)
    alike = {
        place: sku for sku in skus if (place := _size_in(sku.spec)[0]) is not None and _size_in(sku.spec)[1] == rest
    }
    if size in ("larger", "smaller"):
        beyond = [place for place in alike if known is not None and (place > known) == (size == "larger")]
        beyond = [place for place in beyond if place != known]
        return alike[min(beyond) if size == "larger" else max(beyond)] if beyond else None
    place = _size_in(size)[0]
    return alike.get(place) if place is not None and place != known else None


def _size_in(spec: str) -> tuple[float | None, str]:
    """The place of a size among the others of its kind, and the spec without it: of the last one in it."""
    found = list(_SIZE.finditer(plain(spec)))
    if not found:
        return None, plain(spec)
    last = found[-1]
    rest = plain(spec)[: last.start()] + plain(spec)[last.end() :]
    if last["number"]:
        return float(last["number"]), rest.strip()
    steps = int(last["times"] or 1) if last["times"] else len(last["more"])
    return {"s": -1.0 - steps, "m": 0.0, "l": 1.0 + steps}[last["letter"]], rest.strip()


def pieces_wanted(slots: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many pieces of how many, where fewer are meant than the one line still has."""
    chosen, wanted = chosen_lines(slots), slots.get("quantity")
    if len(chosen) != 1 or not isinstance(wanted, int):
        return None
    pieces = int(chosen[0]["pieces"])
    return (wanted, pieces) if 0 < wanted < pieces else None


def too_many(slots: Mapping[str, Any]) -> int | None:
    """How many pieces there are, where more are meant of a line of several."""
    chosen, wanted = chosen_lines(slots), slots.get("quantity")
    if len(chosen) != 1 or not isinstance(wanted, int) or int(chosen[0].get("bought", "1")) == 1:
        return None
    pieces = int(chosen[0]["pieces"])
    return pieces if wanted > pieces else None


def counted_within(slots: Mapping[str, Any]) -> bool:
    """ "三包碎了" of one thing that is sold by the eight: the mall knows the whole only."""
    chosen, wanted = chosen_lines(slots), slots.get("quantity")
    return len(chosen) == 1 and isinstance(wanted, int) and wanted > int(chosen[0]["pieces"])


def values_of(slots: Mapping[str, Any]) -> dict[str, Any] | None:
    """Exactly what would be written; None while something of it is unknown or the rules do not allow it."""
    if not slots.get("decision") or not lines_of(slots):
        return None
    return {
        "order_id": slots["order_id"],
        "kind": slots["ticket_kind"],
        "reason": slots["reason"],
        "lines": lines_of(slots),
        "pieces": part[0] if (part := pieces_wanted(slots)) else None,
        "opened": slots.get("opened"),
        "note": slots.get("note") or "",
        "size": size_wanted(slots),
    }


def request_of(slots: Mapping[str, Any], kind: str, reason: str, note: str = "") -> TicketRequest:
    opened, part = slots.get("opened"), pieces_wanted(slots)
    return TicketRequest(
        order_id=slots["order_id"],
        kind=TicketKind(kind),
        reason=Reason(reason),
        line_ids=tuple(lines_of(slots)),
        opened=None if opened is None else opened == "yes",
        note=note,
        quantities={lines_of(slots)[0]: part[0]} if part else None,
    )


def decision_slot(decision: Decision) -> dict[str, Any]:
    return {
        "rule": decision.rule,
        "freight_payer": decision.freight_payer.value,
        "handling_days": decision.handling_days,
        "refund_cents": decision.refund_cents,
    }


def weightiest(reasons: Iterable[str]) -> str | None:
    """Of several reasons one that the shop answers for, else the first; None where none of them is known."""
    known = [str(reason) for reason in reasons if reason in set(Reason)]
    return next((reason for reason in known if reason in FAULTS), known[0] if known else None)


def size_words(tracker: Tracker, domain: Domain, size: str) -> str:
    """ "想换 43码"; empty where there is none."""
    if not size:
        return ""
    if size in ("larger", "smaller"):
        return word(tracker, domain, f"wants_{size}")
    return word(tracker, domain, "wants_size" if size.isascii() and size.isalnum() else "wants_spec").format(size=size)


def size_beside(tracker: Tracker, domain: Domain, values: Mapping[str, Any]) -> str:
    """The same; empty where the note says it already."""
    return "" if values["size"] in values["note"] else size_words(tracker, domain, values["size"])
