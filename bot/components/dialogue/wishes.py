"""What a message wants: a new matter, the open one again, or several."""

from __future__ import annotations

from dataclasses import replace

from bot.components.acts import OF_NOTICES
from bot.components.dialogue.answers import objection
from bot.components.dialogue.flows import ACT, CONFIRMED, Flow, Step
from bot.components.dialogue.reading import (
    A_WISH,
    AGAINST_YES,
    ANSWERS,
    CHANGE,
    CLEAR,
    CLEAR_BESIDE_QUESTION,
    CLEAR_TASK,
    SHORT,
    SURE,
    SURE_TALK,
    Command,
    Reading,
)

MOST_AT_ONCE = 3
"""Orders on the screen that "都要" may mean one by one."""


def bare_subject(reading: Reading) -> list[Command]:
    """ "售后": a subject and no wish."""
    if "subject" not in reading.acts or reading.message.entities or (reading.asked and reading.on_screen):
        return []
    return [Command("StartFlow", "pattern_subject", {"intent": reading.intent}, "act subject", reading.part)]


def all_orders(reading: Reading) -> list[Command]:
    """ "两单都开": each of the few orders that stand on the screen, one after the other."""
    several = "all" in reading.acts or len(set(reading.message.values("ordinal"))) > 1
    if reading.frame is None or reading.flow is None or reading.flow.kind != "task" or not several:
        return []
    if reading.asked != "order_id" or not reading.on_screen or reading.acts & {"question", "negation"}:
        return []
    named = ("order_id", "product", "category", "brand", "mention", "reason")
    if any(reading.message.values(name) for name in named) or reading.message.rest > SHORT:
        return []
    taps = [tap for payload in reading.shown.buttons.values() if (tap := reading.message.tap(payload))]
    orders = [str(one) for tap in taps for one in tap.values("order_id")]
    places = [int(one) for one in reading.message.values("ordinal") if 0 < int(one) <= len(orders)]
    orders = [orders[one - 1] for one in dict.fromkeys(places)] if places else orders
    if not 1 < len(orders) <= MOST_AT_ONCE:
        return []
    told = {"intent": reading.frame.intent, **reading.flow.triggers.get(reading.frame.intent, {})}
    beside = [one for one in reading.fills(asked_only=False) if one.name != "order_id"]
    return [
        *beside,
        reading.set_slot("order_id", orders[0], "all of them"),
        *(
            Command(
                "StartFlow", reading.flow.name, {**told, "order_id": other}, "all of them", reading.part, later=True
            )
            for other in reversed(orders[1:])
        ),
    ]


def address_and_more(reading: Reading) -> list[Command]:
    """The address that was asked for, and the question beside it: "…路15号 电话不变。那哪天发？"; more of one that is
    summed up: "5号楼前台"."""
    step = reading.flow.collects("delivery") if reading.flow else None
    if reading.asked == "order_id":  # told before it is known which order it is for
        early = step and "address" in reading.acts and "question" not in reading.acts
        return [reading.set_slot("delivery", {"words": reading.text}, "an address")] if early else []
    summed_up = reading.asked == CONFIRMED and reading.on_screen
    if step and summed_up and "address_part" in reading.acts and not reading.acts & AGAINST_YES:
        return [reading.set_slot(step.name, {"words": reading.text}, "more of the address")]
    if step is None or "address" not in reading.acts or not ("question" in reading.acts or reading.asked == CHANGE):
        return []
    wish, order = reading.wish, reading.flows.of_intent("order_status")
    why, about = "the question beside the address", list[Command]()
    if wish is not None and wish.kind == "question" and reading.confidence >= CLEAR:
        about = reading.begin(wish, why)
    elif order is not None and "of_shipping" in reading.acts:
        about = reading.begin(order, why, "order_status")
    return [reading.set_slot(step.name, {"words": reading.text}, "an address"), *about]


def new_wish(reading: Reading) -> list[Command]:
    """What the message names may be heard in place of its intent, or before it ("卖假货的，给我退了")."""
    values = [(one["entity"], one["value"]) for one in reading.message.entities]
    named = reading.flows.named_by([*values, *((ACT, act) for act in reading.acts)])
    if named is None:
        angry = reading.intent == "complain" and reading.sure and reading.step_in_own_words
        flow = reading.flows.of_intent("complain") if angry else None
        return [*_told_beside(reading), *_hear(reading, flow)] if flow else _wished(reading)
    flow, wished = named[0], reading.wish
    if flow is not wished and flow.kind == "task" and reading.asked and reading.on_screen and flow is not reading.flow:
        return _wished(reading)  # an ID number, in the middle of something else
    asks = "question" in reading.acts
    if flow.kind == "task" and reading.flow in (flow, wished):
        return _detail(reading) if reading.flow is flow and wished is not flow and not asks else _wished(reading)
    if (
        wished in (None, flow)
        or reading.confidence < CLEAR
        or any(reading.intent in one.instead_of for one in named[1])
        or (not asks and any(reading.intent in one.unless_asked for one in named[1]))
    ):
        return [*_told_beside(reading), *_hear(reading, flow)]
    found = _wished(reading)
    both = found and wished and wished.kind == "task" and flow.kind != "task"  # one wish is one task
    return [*found, *_hear(reading, flow)] if both else found


def supposed_case(reading: Reading) -> list[Command]:
    """ "那我要是穿着磨脚能退不": what is wrong in a case that is only supposed is no reason; the rule is asked."""
    flow = reading.flows.of_intent("ask_policy")
    if flow is None or not _supposes(reading) or not reading.message.values("reason"):
        return []
    return [Command("StartFlow", flow.name, {"intent": "ask_policy"}, "a question about a case", reading.part)]


def named_kind(reading: Reading) -> list[Command]:
    """ "退货 口红 断了", "那就补发吧" below such a button: what a wish would tell is named, and goods, an order or
    what was offered, though it was taken for none."""
    if reading.intent not in ANSWERS or reading.acts & (AGAINST_YES - {"negation"}):
        return []
    if reading.flow is not None and reading.flow.kind == "task":
        return []
    named = any(reading.message.values(name) for name in ("order_id", "product", "category", "goods_kind", "brand"))
    for flow in reading.flows.values():
        for intent, told in flow.triggers.items():
            offered = reading.message.rest <= A_WISH and any(
                payload.startswith(f"/{intent}") for payload in reading.shown.buttons.values()
            )
            if (
                told
                and (named or offered)
                and all(value in reading.message.values(slot) for slot, value in told.items())
            ):
                return reading.begin(flow, "what is to be done with goods is named", intent)
    return []


def offered_kind(reading: Reading) -> list[Command]:
    """ "换43的行吗" below the button for an exchange: whoever names a size wishes it, though they ask."""
    message = reading.message
    sizes = tuple(one for one in message.entities if one["entity"] == "size")
    if not sizes or "question" not in reading.acts or message.rest > A_WISH or reading.frame:
        return []
    for payload in reading.shown.buttons.values():
        tapped = message.tap(payload)
        flow = reading.flows.of_intent(tapped.intent) if tapped else None
        told = flow.triggers[tapped.intent] if tapped and flow else {}
        if tapped and flow and told and all(value in message.values(slot) for slot, value in told.items()):
            with_size = replace(tapped, entities=(*tapped.entities, *sizes))
            return reading.of(with_size, reading.part).begin(flow, "what is offered, with a size")
    return []


def _hear(reading: Reading, flow: Flow) -> list[Command]:
    return reading.begin(flow, "what the message names, or its anger", next(iter(flow.triggers)))


def _detail(reading: Reading) -> list[Command]:
    """What the open task lives on, whatever the message was taken for: a value, or words for what was asked."""
    if found := reading.fills(asked_only=False):
        return found
    step = reading.step_in_own_words
    if step and step.in_own_words == "checked":
        return [reading.in_own_words(step)]
    return [Command("Wait", why="a detail that nothing asks for: more of them may follow")]


def _told_beside(reading: Reading) -> list[Command]:
    """What a message says to the open task though it is about something else first: values, or a reason."""
    if reading.flow is None or reading.flow.kind != "task" or reading.asked == CONFIRMED:
        return []
    step = reading.step_in_own_words
    found, free = reading.fills(asked_only=False), step is not None and step.in_own_words == "free"
    if found or step is None or not free or reading.acts & {"question", *OF_NOTICES}:
        return found
    return [reading.in_own_words(step)]


def _wished(reading: Reading) -> list[Command]:
    """An intent that begins a flow: the open one again, or another."""
    message, flow = reading.message, reading.wish
    if flow is None or message.intent in ANSWERS or flow.pattern or message.text.strip().isdecimal():
        return []
    asks_nothing = message.intent == "greet" or "question" not in reading.acts  # "在吗 ORD…"
    if asks_nothing and message.values("order_id") and flow.may_be & {"small_talk", "telling"}:
        return []  # the number is what was told
    answers = [one for one in reading.fills(asked_only=True) if not _names_goods_alone(one, flow)]
    if reading.flow is flow and flow.kind == "task":
        return _same_wish(reading)
    if flow.kind == "task" and _supposes(reading):
        return [Command("StartFlow", "ask_policy", {"intent": "ask_policy"}, "a question about a case", reading.part)]
    clear = CLEAR_BESIDE_QUESTION if reading.asked and reading.on_screen else CLEAR
    clear = CLEAR_TASK if flow.kind == "task" else clear
    told = flow.triggers.get(message.intent, {})
    agrees = any(value in message.values(slot) for slot, value in told.items()) or (told and message.values("reason"))
    if "question" not in reading.acts and agrees:
        clear = CLEAR  # "退款" stands in the words, too, or why
    if message.confidence < max(clear, flow.confidence) or (
        reading.on_screen and message.intent == "out_of_scope" and not reading.sure
    ):
        return []
    if answers and (message.confidence < SURE or message.rest < A_WISH or flow.kind == "talk"):
        return []
    step = reading.step_in_own_words
    free = step is not None and step.in_own_words == "free" and "question" not in reading.acts
    if free and reading.small_talk and message.confidence < SURE_TALK:
        return []
    talk_beside = flow.kind == "talk" and step and step.in_own_words != "choice" and not reading.small_talk
    if talk_beside and "question" not in reading.acts and message.confidence < SURE:
        return []
    if _in_own_words_beside(reading) or (answers and "urgent" in reading.acts and "question" not in reading.acts):
        return []
    if step and step.in_own_words == "checked" and message.intent in ("out_of_scope", "inform"):
        return []
    return [*answers, *reading.begin(flow, f"intent {message.intent} {message.confidence:.2f}")]


def _supposes(reading: Reading) -> bool:
    """ "退款的话券会还给我吗", "要是不合适怎么退": the rule is asked, and nothing is wished for yet."""
    named = any(reading.message.values(name) for name in ("order_id", "ticket_id", "phone_tail"))
    return {"question", "condition"} <= reading.acts and not named and not reading.acts & {"request", "urgent"}


def _names_goods_alone(answer: Command, flow: Flow) -> bool:
    """ "空气炸锅多少钱" names goods, and no order by its goods."""
    by = answer.value.get("by") if isinstance(answer.value, dict) else None
    return flow.kind != "task" and by in ("product", "category", "brand", "goods_kind")


def _in_own_words_beside(reading: Reading) -> bool:
    """What is told as a reason with feeling is no complaint of its own."""
    step = reading.step_in_own_words
    free = step is not None and step.in_own_words == "free"
    return free and "reason" in reading.may_be and "question" not in reading.acts


def _same_wish(reading: Reading) -> list[Command]:
    """The open task again. At its summary only a plain statement changes it: no question, no objection does."""
    doubts = reading.acts & {"question", "objection", "negation", "condition"}
    other = [one for one in reading.told_by_intent() if reading.slots.get(one.name) is not None]
    kinds = set(reading.message.values("ticket_kind"))
    denies_this = "negation" in reading.acts and bool(kinds & {reading.slots.get(one.name) for one in other})
    if other and reading.sure and not denies_this and not reading.acts & {"condition", "objection", "question"}:
        return other + reading.fills(asked_only=False)  # "我要退款，不寄回" at the summary of an exchange
    if reading.asked == CONFIRMED and doubts and "correction" not in reading.acts:
        changeable = reading.flow.changeable if reading.flow else ()
        beside = [one for one in reading.fills(asked_only=False) if one.name not in changeable]
        return beside or objection(reading) or [Command("Object", why="the wish again, with a doubt")]
    if found := reading.told_by_intent() + reading.fills(asked_only=False):
        return found
    if (step := reading.step_in_own_words) and _tells(reading, step):
        return [reading.in_own_words(step)]
    if reading.asked == CONFIRMED and reading.on_screen:
        return [Command("Object", why="the same wish again, which is no yes")]
    return [reading.ask_again("the same wish again")]


def _tells(reading: Reading, step: Step) -> bool:
    """Whether the wish, said again, answers: with what is wrong, or with all of the list."""
    return "all" in reading.acts or (reading.intent == "report_problem" and step.in_own_words == "free")
