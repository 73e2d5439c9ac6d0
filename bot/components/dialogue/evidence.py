"""What was asked last, what is at hand, what is open and what is felt weigh on what a message means.

``in_context`` is all of it: a parse and a context go in, the parse comes back with its guesses weighed. A guess that
was sure stays sure; of several it tips the scales.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from bot import patterns
from bot.components.dialogue.state import Message, State
from bot.spelling import plain

RECENT = 2
"""Turns for which what was talked of weighs on a message that does not name it."""

SHORT = 10
"""Letters beside the values of a message that may go on about what was talked of."""

A_VALUE = 2
"""Letters beside its values of a message that is nothing but them: "系5678"."""

UNSURE, TOO_CLOSE, UNDECIDED = 0.4, 0.03, "nlu_fallback"
"""Below the one, or nearer to each other than the other, no guess is taken: as FallbackClassifier in bot/config.yml."""

DECIDED = 0.5
"""Confidence from which a guess begins something (``confidence`` in bot/data/flows), whatever is felt."""

_SAID = patterns.load("evidence", "goes_on", "needed_by", "narrows")
_BARE = patterns.read(patterns.FOLDER / "turn.yml")["bare"]

_TALKED_OF: Mapping[str, frozenset[str]] = {
    "answer": frozenset({"ask_policy"}),
    "product": frozenset({"ask_product", "ask_price", "ask_stock", "recommend_product", "compare_products"}),
    "order": frozenset({"order_status", "track_parcel", "urge_shipment"}),
    "ticket": frozenset({"ticket_status", "cancel_ticket"}),
}
"""Intents that go on about what was talked of last; of two things of one turn the first."""

_NO_VALUE = frozenset({"affirm", "deny", "out_of_scope", "chitchat", "complain", "greet", "bot_challenge", "ask_help"})
"""Intents of messages that say more than a value."""

_OWN_SUBJECT = frozenset({"product", "brand", "category", "order_id", "ticket_id", "invoice_title"})


@dataclass(frozen=True)
class Felt:
    """What is meant with a feeling where the words alone leave it undecided: of ``guesses`` that one that has it."""

    intent: str
    guesses: frozenset[str]
    never: frozenset[str] = frozenset()  # not meant with it, however clear the guess
    asks: bool = True  # also in a question


_OF_PARCELS = frozenset({"order_status", "track_parcel", "urge_shipment", "worry_delivery"})
_OF_NOTHING = frozenset({"chitchat", "out_of_scope"})

_FELT: Mapping[str, Felt] = {
    "worry": Felt("worry_delivery", _OF_PARCELS),
    "urge": Felt("urge_shipment", _OF_PARCELS),
    "anger": Felt(
        "complain",
        _OF_PARCELS | _OF_NOTHING | {"complain", "bot_challenge", "rate_service", "deny"},
        never=_OF_NOTHING,
        asks=False,  # what it asks is answered
    ),
}


_NEEDED = Felt("worry_delivery", _OF_PARCELS | _OF_NOTHING | {"inform"}, never=_OF_NOTHING | {"inform"}, asks=False)
"""Of an order that is talked of: "我老婆后天生日" is when it is needed, and no small talk."""


_NARROWS = Felt(
    "recommend_product",
    _OF_NOTHING | {"inform", "deny", "affirm", "ask_price", "recommend_product"},
    never=_OF_NOTHING | {"inform", "deny", "affirm", "ask_price"},
    asks=False,
)
"""Of goods that are talked of: "大概两千", "最好是蓝的" say which."""


_WAITS = Felt("ticket_status", _OF_PARCELS | {"ticket_status"}, never=_OF_PARCELS)
"""Of a ticket that is talked of: "还要几天" asks when it is done, and for no parcel."""


@dataclass(frozen=True)
class Context:
    asked: str | None = None  # the slot whose question stands on the screen
    talked_of: str | None = None  # of _TALKED_OF

    @classmethod
    def of(cls, slots: Mapping[str, Any]) -> Context:
        """From the slots ``dialogue`` and ``focus`` as the last turn left them."""
        state = State.load(slots.get("dialogue"))
        frame = state.open
        asked = frame.asked if frame and frame.asked_in >= state.turn else None
        focus: Mapping[str, Any] = slots.get("focus") or {}
        turns = {kind: (focus.get(kind) or {}).get("turn", -RECENT - 1) for kind in _TALKED_OF}
        turns["ticket"] = max(turns["ticket"], (focus.get("written") or {}).get("turn", turns["ticket"]))
        listed: Mapping[str, Any] = focus.get("listed") or {}
        for kind in {thing["kind"] for thing in listed.get("things") or ()} & turns.keys():
            turns[kind] = max(turns[kind], listed["turn"])
        last = max(turns, key=lambda kind: turns[kind])
        return cls(asked, last if state.turn - turns[last] < RECENT else None)


def in_context(parse: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """The parse with ``intent`` and ``intent_ranking`` weighed; as it was where nothing weighs on it."""
    ranking = {one["name"]: float(one["confidence"]) for one in parse.get("intent_ranking") or ()}
    ranking.pop(UNDECIDED, None)
    message = Message.of(parse)
    felt, weights = _as_felt(message, ranking, context), list(_weights(message, context))
    if not ranking or (not weights and felt == ranking):
        return dict(parse)
    ranking = felt
    weighed = {name: guess * prod(one.get(name, 1.0) for one in weights) for name, guess in ranking.items()}
    total = sum(weighed.values()) + max(0.0, 1 - sum(ranking.values()))
    guesses: list[dict[str, Any]] = [
        {"name": name, "confidence": weighed[name] / total} for name in sorted(weighed, key=lambda name: -weighed[name])
    ]
    first, second = guesses[0], guesses[1] if len(guesses) > 1 else {"confidence": 0.0}
    if first["confidence"] < UNSURE or first["confidence"] - second["confidence"] < TOO_CLOSE:
        guesses.insert(0, {"name": UNDECIDED, "confidence": UNSURE})
    return {**parse, "intent": guesses[0], "intent_ranking": guesses}


def _as_felt(message: Message, ranking: Mapping[str, float], context: Context) -> dict[str, float]:
    """The guesses of a message of which none is clear, and which answers nothing: those that differ by what is felt
    become the one that has the feeling. The number of an order alone shows that it is about a parcel."""
    needed = context.talked_of == "order" and bool(_SAID["needed_by"].search(plain(message.text)))
    narrows = context.talked_of == "product" and bool(_SAID["narrows"].search(plain(message.text)))
    waits = context.talked_of == "ticket" and bool(_BARE.search(plain(message.text)))
    felt = _NEEDED if needed else _NARROWS if narrows else _WAITS if waits else _FELT.get(message.feeling)
    if felt is None or message.tapped or context.asked or ("question" in message.acts and not felt.asks):
        return dict(ranking)
    if max((guess for name, guess in ranking.items() if name not in felt.never), default=0.0) >= DECIDED:
        return dict(ranking)
    left = {name: guess for name, guess in ranking.items() if name not in felt.guesses}
    together, most = sum(ranking.values()) - sum(left.values()), max(left.values(), default=0.0)
    about = together >= UNSURE or bool(message.values("order_id"))
    if not about or most >= max(together, UNSURE):
        return dict(ranking)
    clear = max(together, DECIDED)
    scale = min(1.0, (1 - clear) / max(sum(left.values()), TOO_CLOSE))
    return {felt.intent: clear, **{name: guess * scale for name, guess in left.items()}}


def _weights(message: Message, context: Context) -> Iterator[dict[str, float]]:
    """By how much each guess is likelier, for each thing that weighs."""
    if message.tapped:
        return
    if message.values("invoice_title"):
        yield {"request_invoice": 8, "inform": 2, "out_of_scope": 0.2}
    if message.entities and message.rest <= A_VALUE and not message.acts & {"question", "yes", "no"}:
        yield {"inform": 12, **dict.fromkeys(_NO_VALUE, 0.1)}
    elif context.asked and message.rest <= SHORT and "question" not in message.acts:
        yield {"inform": 2}
    said = plain(message.text)
    goes_on = bool(_SAID["goes_on"].search(said) or _BARE.search(said))
    own = any(one["entity"] in _OWN_SUBJECT for one in message.entities)
    if context.talked_of and "question" in message.acts and message.rest <= SHORT and not own:
        yield dict.fromkeys(_TALKED_OF[context.talked_of], 8 if goes_on else 2)
