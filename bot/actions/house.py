"""What the house does in every flow (bot/data/flows/patterns.yml): it stops, comes back, notes, reminds and repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActionExecuted, ConversationPaused, EventType, SessionStarted, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.accounts import say_open_once_a_day
from bot.actions.cancellations import names_nothing
from bot.actions.complaints import go_on_with_complaint
from bot.actions.conversation import Conversation, ask
from bot.actions.flow_files import flow_files, is_task, slots_of
from bot.actions.focus import Focus
from bot.actions.handoff import returns, say_waiting, stop_waiting, waits_for_person
from bot.actions.knowledge import say_to_upset
from bot.actions.malls import get_mall
from bot.actions.order_choice import order_buttons, orders_to_choose
from bot.actions.product_reference import SPOKEN_OF, last_said_of_goods
from bot.actions.questions import answer_question
from bot.actions.tickets import CANCELLABLE, Button, button, wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, goods, has_response, title, word
from bot.actions.worry_state import upset
from bot.spelling import plain
from mall_adapter.errors import MallError, NotFound
from mall_adapter.values import Ticket

_TALK = patterns.load(
    "small_talk",
    *("joke", "slow", "name", "tired", "low", "bored", "praise", "laugh", "how_are_you", "weather", "wishes", "sorry"),
)

A_WORD = 2
"""Characters that a bare "算了" has at most, apart from particles."""

WRITTEN_LATELY, JUST_WRITTEN = 6, 2
"""Turns for which "先别退了", and a bare "算了", may be about what was written."""

TAKE_BACK = frozenset({"cancel_order", "cancel_ticket"})
"""Flows that take back what was done: given up, they leave it as it is, and nothing is unsent."""

JUST_MADE = timedelta(minutes=10)
"""Age of a ticket that may have been made by the very request that is now given up."""

TROUBLE, TROUBLED_FOR = frozenset({"report_problem", "complain", "worry_delivery"}), 3
"""Whoever said such a thing in so many messages before, or is upset, is not small-talked to."""

_CONTROL = ("problem", "missing", "refusal", "summary", "confirmed", "proposal", "change", "heard")
"""Slots that mean nothing after a day."""


# --- talk ------------------------------------------------------------------------------------------------------------


class Greet(Action):
    """Also "人呢", "怎么不说话": whoever waits for something hears of it, instead of that somebody is there."""

    def name(self) -> str:
        return "action_greet"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if not await _say_what_is_open(dispatcher, tracker, domain, focus, reminded=True, asked=turn.asks):
            greeted = any(one.intent == turn.intent for one in Turn.earlier(tracker))
            again = (turn.asks or greeted) and Conversation.of(tracker).turn > 1  # in the middle it is no hello
            words = any(map(str.isalnum, turn.text))  # "？" has none
            response = "utter_greet_again" if words else "utter_unanswered"
            dispatcher.utter_message(response=response if again else "utter_greet")
            if words and not turn.asks:
                return [*await say_open_once_a_day(dispatcher, tracker, domain), *focus.events()]
        return focus.events()


class Acknowledge(Action):
    """The customer has heard; what is open is named, and nothing is asked."""

    def name(self) -> str:
        return "action_acknowledge"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        focus = Focus(tracker)
        if not await _say_what_is_open(dispatcher, tracker, domain, focus):
            dispatcher.utter_message(response="utter_acknowledge")
        return focus.events()


async def _say_what_is_open(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    focus: Focus,
    *,
    reminded: bool = False,
    asked: bool = False,
) -> bool:
    """In half a sentence: the person that is waited for, the request that lacks something, the complaint that is noted.
    ``reminded``: the request only where the flows do not remind of it by themselves. ``asked``: "还在吗" wants to know
    how far the person is."""
    if await say_waiting(dispatcher, tracker, domain, focus, asked=asked):
        return True
    beneath = next((one for one in reversed(Conversation.of(tracker).stack[:-1]) if one["status"] == "open"), None)
    before = next(iter(Turn.earlier(tracker)), None)
    if before and "ack" in before.acts and "ack" in Turn.of(tracker).acts:  # who nods twice has been told
        return False
    if beneath and not beneath.get("unsure"):
        if not reminded or beneath.get("reminded"):
            say_lacking(dispatcher, tracker, domain, beneath, beneath.get("asked"), "utter_open")
            return True
    elif Turn.of(tracker).asks and focus.at_hand("complaint"):
        human = wish_button(tracker, domain, "human_handoff")
        dispatcher.utter_message(response="utter_here_complaint", buttons=[human])
        return True
    return False


class Farewell(Action):
    """Leave, where something is still under way: the person that is waited for, or a request that was not sent. Where
    the request was to take something back, all stays as it was, and nothing is unsent."""

    def name(self) -> str:
        return "action_farewell"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        conversation = Conversation.of(tracker)
        way, _, unsent = str(conversation.top.get("flow")).removeprefix("pattern_").partition("_")
        asked = (one for one in reversed(conversation.stack) if (one.get("asks") or {}).get("confirmed"))
        summed_up: Mapping[str, Any] = next(asked, {})
        if unsent:
            kept = summed_up.get("flow") in TAKE_BACK
            dispatcher.utter_message(response=f"utter_{way}_{'kept' if kept else 'unsent'}")
        elif await waits_for_person(tracker.sender_id):
            dispatcher.utter_message(response=f"utter_{way}_waiting", **await returns(tracker, domain))
        else:
            dispatcher.utter_message(response=f"utter_{way}")
        return []


class Chitchat(Action):
    """Talk for its own sake; where it asks something that the shop knows, that is said."""

    def name(self) -> str:
        return "action_chitchat"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if say_in_kind(dispatcher, tracker, turn) or say_of_shown(dispatcher, tracker, turn):
            return []
        if not turn.asks:
            if not (
                await say_waiting(dispatcher, tracker, domain, focus)
                or await go_on_with_complaint(dispatcher, tracker, domain, turn, focus)
            ):
                if _troubled(tracker):
                    await say_to_upset(dispatcher, tracker, domain, turn, focus)
                else:
                    dispatcher.utter_message(response="utter_chitchat")
        elif not (await answer_question(dispatcher, tracker, domain, turn, focus, leaning="none")).said:
            dispatcher.utter_message(response="utter_chitchat_asked")
        return focus.events()


def say_in_kind(dispatcher: CollectingDispatcher, tracker: Tracker, turn: Turn) -> bool:
    """Meets small talk of a kind that is known (bot/data/patterns/small_talk.yml); false where it is none, or somebody
    is in trouble."""
    said = plain(turn.text)
    kind = next((name for name, pattern in _TALK.items() if pattern.search(said)), None)
    if kind is None or turn.tapped or _troubled(tracker):
        return False
    dispatcher.utter_message(response=f"utter_chitchat_{kind}")
    return True


def say_of_shown(dispatcher: CollectingDispatcher, tracker: Tracker, turn: Turn) -> bool:
    """What is told of whoever the goods are for that were just shown ("他不喝酒", "家里有猫"): it is kept in mind, and
    what is wanted of them is asked. False where nothing was shown."""
    if turn.asks or len(Focus(tracker).listed("product", lately=True)) < 2 or last_said_of_goods(tracker) != SPOKEN_OF:
        return False
    dispatcher.utter_message(response="utter_goods_noted")
    return True


def _troubled(tracker: Tracker) -> bool:
    earlier = islice(Turn.earlier(tracker), TROUBLED_FOR)
    return upset(tracker, datetime.now(UTC)) or any(one.intent in TROUBLE for one in earlier)


class Repeat(Action):
    """Says again what was said last, because the customer asks for it."""

    def name(self) -> str:
        return "action_repeat"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        said = _said_last(tracker)
        repeated = next((event["metadata"]["said"] for event in said if event["metadata"].get("said")), None)
        text = repeated or "\n".join(event["text"] for event in said if event.get("text"))
        if not text:
            dispatcher.utter_message(response="utter_acknowledge")
            return []
        data = [event.get("data") or {} for event in said]
        dispatcher.utter_message(
            response="utter_repeat_again" if repeated else "utter_repeat",
            said=text,
            buttons=[one for each in data for one in each.get("buttons") or []],
            json_message=next((each["custom"] for each in data if each.get("custom")), {}),
        )
        return []


class AskWhich(Action):
    """A yes to several ways, or things, that were offered at once: which of them, with their buttons."""

    def name(self) -> str:
        return "action_ask_which"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        buttons = [one for event in _said_last(tracker) for one in (event.get("data") or {}).get("buttons") or []]
        dispatcher.utter_message(response="utter_ask_which", buttons=buttons)
        return []


class SummaryGone(Action):
    """The button of a summary that was left or is done: what became of it, and how to begin again."""

    def name(self) -> str:
        return "action_summary_gone"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        ended: Mapping[str, Any] = (tracker.get_slot("dialogue") or {}).get("ended") or {}
        if Focus(tracker).written.get("turn", -1) >= ended.get("turn", 0):
            dispatcher.utter_message(response="utter_summary_done")
            return []
        if not ended:
            dispatcher.utter_message(response="utter_nothing_to_confirm")
            return []
        intent = str(ended.get("intent"))
        known = has_response(domain, f"utter_title_{intent}")
        buttons = [wish_button(tracker, domain, intent)] if known else []
        dispatcher.utter_message(response="utter_summary_gone", buttons=buttons)
        return []


def _said_last(tracker: Tracker) -> list[dict[str, Any]]:
    """The bot's utterances before the customer's last message."""
    said: list[dict[str, Any]] = []
    messages = 0
    for event in reversed(tracker.events):
        messages += event["event"] == "user"
        if messages == 2:
            break
        if messages == 1 and event["event"] == "bot":
            said.insert(0, {**event, "metadata": event.get("metadata") or {}})
    return said


# --- one request and the next ----------------------------------------------------------------------------------------


def wish_of(tracker: Tracker, domain: Domain, frame: Mapping[str, Any]) -> str:
    """What the customer calls what a frame is for."""
    intent = str(frame.get("intent"))
    return title(tracker, domain, intent if has_response(domain, f"utter_title_{intent}") else "ask_policy")


def _with_status(tracker: Tracker, *statuses: str) -> list[Mapping[str, Any]]:
    return [frame for frame in Conversation.of(tracker).stack if frame["status"] in statuses]


class AskResume(Action):
    def name(self) -> str:
        return "action_ask_resume"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        wish = wish_of(tracker, domain, Conversation.of(tracker).top)
        dispatcher.utter_message(response="utter_ask_resume", wish=wish)
        return []


class BeginNext(Action):
    def name(self) -> str:
        return "action_begin_next"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        wish = wish_of(tracker, domain, Conversation.of(tracker).top)
        if order_id := tracker.get_slot("order_id"):  # the flow's own, now that it is on top
            order = await _order_in_words(tracker, str(order_id))
            dispatcher.utter_message(response="utter_begin_next_order", wish=wish, order=order)
        else:
            dispatcher.utter_message(response="utter_begin_next", wish=wish)
        return []


class Interrupt(Action):
    """Another request is begun; the one before it is kept."""

    def name(self) -> str:
        return "action_interrupt"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        begun = [frame for frame in _with_status(tracker, "open") if is_task(frame["flow"])]
        left = _with_status(tracker, "waiting")
        if begun and left:
            names = {"wish": wish_of(tracker, domain, begun[-1]), "other": wish_of(tracker, domain, left[-1])}
            dispatcher.utter_message(response="utter_interrupt", **names)
        return []


class Noted(Action):
    """Names what comes next: another wish, or the other order."""

    def name(self) -> str:
        return "action_noted"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        noted = [await _with_order(tracker, domain, frame) for frame in reversed(_with_status(tracker, "next"))]
        if noted:
            between = word(tracker, domain, "between_wishes")
            dispatcher.utter_message(response="utter_noted", wishes=between.join(dict.fromkeys(noted)))
        return []


async def _with_order(tracker: Tracker, domain: Domain, frame: Mapping[str, Any]) -> str:
    wish, order_id = wish_of(tracker, domain, frame), (frame.get("values") or {}).get("order_id")
    if not isinstance(order_id, str):
        return word(tracker, domain, "wish").format(wish=wish)
    order = await _order_in_words(tracker, order_id)
    return word(tracker, domain, "wish_of_order").format(wish=wish, order=order)


async def _order_in_words(tracker: Tracker, order_id: str) -> str:
    """Its goods, which people know it by; its number alone where it is not known to be the sender's."""
    try:
        order = await (await get_mall()).order(tracker.sender_id, order_id)
    except MallError:
        return order_id
    return f"{goods(order.lines)} ({order.id})"


class Remind(Action):
    """The open question after a digression, or after something else was told: what it lacks, in one line."""

    def name(self) -> str:
        return "action_remind"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        frame = Conversation.of(tracker).top
        slot = tracker.get_slot("missing") or frame.get("asked")
        told = frame.get("aside") == Conversation.of(tracker).turn
        if not told and await waits_for_person(tracker.sender_id):
            return []  # whoever waits for a person is asked nothing
        orders = await orders_to_choose(tracker, str(frame.get("flow"))) if slot == "order_id" else []
        response = "utter_remind_noted" if told else "utter_remind"
        say_lacking(dispatcher, tracker, domain, frame, slot, response, order_buttons(orders, "inform"))
        return []


def say_lacking(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    frame: Mapping[str, Any],
    slot: str | None,
    response: str = "utter_remind",
    buttons: Sequence[Button] = (),
) -> None:
    """What the request is for and what it lacks, in one line."""
    wish = wish_of(tracker, domain, frame)
    if has_response(domain, f"utter_word_slot_{slot}"):
        lacks = word(tracker, domain, f"slot_{slot}")
        dispatcher.utter_message(response=response, wish=wish, slot=lacks, buttons=list(buttons))
    else:
        dispatcher.utter_message(response=f"{response.removesuffix('_noted')}_any", wish=wish)


class AskChange(Action):
    """The summary is not right: which part?"""

    def name(self) -> str:
        return "action_ask_change"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        changeable = (flow_files().get(str(Conversation.of(tracker).top.get("flow"))) or {}).get("changeable") or ()
        buttons = [
            button(word(tracker, domain, f"change_{slot}"), "inform", change=slot)
            for slot in changeable
            if tracker.get_slot(slot) is not None
        ]
        give_up = button(word(tracker, domain, "give_up"), "stop")
        ask(dispatcher, tracker, domain, "change", buttons=[*buttons, give_up])
        return []


# --- stopping --------------------------------------------------------------------------------------------------------


class Cancelled(Action):
    """An open request is given up: nothing of it was sent. What was written before, and stands, is named."""

    def name(self) -> str:
        return "action_cancelled"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        meant = len(Turn.of(tracker).rest) > A_WORD  # "算了" is about what is open, "不退了" may be about a ticket
        if ticket := (await _standing(tracker) if meant else None) or await _just_made(tracker):
            _say_standing(dispatcher, tracker, domain, "utter_cancelled_but_ticket", ticket)
            return Focus(tracker).on("ticket", ticket.id).events()
        if (tracker.get_slot("dialogue") or {}).get("ended", {}).get("flow") in TAKE_BACK:
            dispatcher.utter_message(response="utter_kept")
            return []
        written = Focus(tracker).written  # what was done before stays done
        dispatcher.utter_message(response="utter_cancelled_this" if written else "utter_cancelled")
        return []


class NothingToCancel(Action):
    """A stop with nothing open: it may mean the person that is waited for, or what was written last."""

    def name(self) -> str:
        return "action_nothing_to_cancel"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        focus = Focus(tracker)
        if await stop_waiting(dispatcher, tracker, focus):
            return [SlotSet("queued", None), *focus.events()]
        meant = len(Turn.of(tracker).rest) >= A_WORD  # "算了" alone takes nothing back that was only told
        lately = _written_lately(tracker, WRITTEN_LATELY if meant else JUST_WRITTEN)
        if ticket := (await _standing(tracker) if lately else None) or (await _just_told(tracker) if meant else None):
            _say_standing(dispatcher, tracker, domain, "utter_ticket_stands", ticket)
            return focus.on("ticket", ticket.id).events()
        if lately and focus.written.get("flow") == "cancel_order":
            order_id = focus.written.get("order") or focus.written.get("id")
            dispatcher.utter_message(response="utter_order_stays_cancelled", order_id=order_id)
        elif names_nothing(Turn.of(tracker)) and not _just_ended(tracker):
            buttons = [wish_button(tracker, domain, intent) for intent in ("cancel_order", "cancel_ticket")]
            dispatcher.utter_message(response="utter_cancel_what", buttons=buttons)
        else:
            dispatcher.utter_message(response="utter_nothing_to_cancel")
        return []


def _just_ended(tracker: Tracker) -> bool:
    """Whether a request was given up a moment ago: it is what is cancelled, once more."""
    ended: Mapping[str, Any] = (tracker.get_slot("dialogue") or {}).get("ended") or {}
    done = Focus(tracker).written.get("turn", -1) >= ended.get("turn", 0)
    return bool(ended) and not done and Conversation.of(tracker).turn - int(ended["turn"]) <= JUST_WRITTEN


def _written_lately(tracker: Tracker, turns: int) -> bool:
    """Whether something was written in the last ``turns``; what is stopped later is something else."""
    return Conversation.of(tracker).turn - int(Focus(tracker).written.get("turn") or -turns) <= turns


async def _cancellable(tracker: Tracker, ticket_id: str) -> Ticket | None:
    """The sender's ticket, while it can still be taken back."""
    try:
        ticket = await (await get_mall()).ticket(tracker.sender_id, ticket_id)
    except NotFound:
        return None
    return ticket if ticket.status in CANCELLABLE else None


async def _standing(tracker: Tracker) -> Ticket | None:
    """The ticket that was made in this conversation, while it can still be taken back."""
    written = Focus(tracker).written
    if written.get("flow") != "after_sales" or not written.get("id"):
        return None
    return await _cancellable(tracker, written["id"])


async def _just_told(tracker: Tracker) -> Ticket | None:
    """The ticket that the message before was about, while it can still be taken back: "那我不退了"."""
    told = Focus(tracker).value.get("ticket") or {}
    if not told or Conversation.of(tracker).turn - int(told.get("turn") or 0) > 1:
        return None
    return await _cancellable(tracker, told["id"])


async def _just_made(tracker: Tracker) -> Ticket | None:
    """A ticket whose turn was cut off after the mall wrote it: "nothing was sent" would be a lie."""
    focus, mall = Focus(tracker), await get_mall()
    if (order_id := focus.at_hand("order")) is None:
        return None
    try:
        order = await mall.order(tracker.sender_id, order_id)
        ids = dict.fromkeys(line.open_ticket_id for line in order.lines if line.open_ticket_id)
        tickets = [await mall.ticket(tracker.sender_id, one) for one in ids]
    except MallError:
        return None
    known = (focus.written.get("id"), focus.at_hand("ticket"))
    young = (one for one in tickets if one.id not in known and datetime.now(UTC) - one.created_at < JUST_MADE)
    return next(young, None)


def _say_standing(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, response: str, ticket: Ticket
) -> None:
    told = {"ticket_id": ticket.id, "goods": ticket.summary}
    take_back = wish_button(tracker, domain, "cancel_ticket", ticket_id=ticket.id)
    dispatcher.utter_message(response=response, buttons=[take_back], **told)


# --- the next day ----------------------------------------------------------------------------------------------------


class SessionStart(Action):
    """A conversation that was left for a day starts afresh; a request that was left undone waits to be taken up."""

    def name(self) -> str:
        return "action_session_start"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        kept: dict[str, Any] = {name: tracker.get_slot(name) for name in ("language", "focus", "queued")}
        if state := tracker.get_slot("dialogue"):
            kept |= _left(tracker, state)
        events: list[EventType] = [SessionStarted()]
        events += [SlotSet(name, value) for name, value in kept.items() if value]
        if tracker.is_paused():  # an operator talks, however long that takes
            events.append(ConversationPaused())
        return [*events, ActionExecuted("action_listen")]


def _left(tracker: Tracker, state: Mapping[str, Any]) -> dict[str, Any]:
    """The slots of the dialogue with nothing but what was left undone, each of which waits. The values of the topmost
    flow that has a slot stand in that slot, those of the flows beneath in their frames."""
    stack: Sequence[Mapping[str, Any]] = state.get("stack") or ()
    tasks = [frame for frame in stack if is_task(frame["flow"])]
    values = [dict(frame.get("values") or {}) for frame in tasks]
    kept: dict[str, Any] = {}
    for slot in sorted({slot for frame in tasks for slot in slots_of(frame["flow"])}):
        owner = max(place for place, frame in enumerate(tasks) if slot in slots_of(frame["flow"]))
        before = next(frame for frame in reversed(stack) if slot in slots_of(frame["flow"]))
        own = values[owner].pop(slot, None)
        kept[slot] = tracker.get_slot(slot) if before is tasks[owner] else own
    afresh = {"status": "waiting", "fresh": True, "changing": False, "asks": {}, "reminded": 0, "offered_in": 0}
    waiting = [
        {
            **frame,
            **afresh,
            "values": {slot: value for slot, value in own.items() if slot not in _CONTROL},
        }
        for frame, own in zip(tasks, values, strict=True)
    ]
    kept["dialogue"] = {**state, "stack": waiting, "say": [], "quiet": False, "lost": 0, "commands": []}
    return kept
