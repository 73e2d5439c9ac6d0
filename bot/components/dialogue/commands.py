"""What a message asks of the conversation: ``understand`` (message, state, slots) → commands. Pure; read top down.

The order of the questions is the order of the manners: what stands on the screen is answered first, then what takes
back or ends, then a new wish, then a value, and only then is it not understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot import patterns
from bot.components.acts import OF_REQUEST, OF_WAITING
from bot.components.dialogue.answers import (
    as_before,
    bare_values,
    no_words,
    not_understood,
    objection,
    own_words,
    told_values,
)
from bot.components.dialogue.consent import answer_to_yes_or_no, no, take_up, yes
from bot.components.dialogue.corrections import another_kind, correction
from bot.components.dialogue.endings import end_or_pause, stop_word, take_back
from bot.components.dialogue.flows import CONFIRMED, Flows
from bot.components.dialogue.follow_ups import (
    about_matter,
    about_request,
    after_answer,
    after_refusal,
    pressed,
    reproached,
    verdict,
)
from bot.components.dialogue.handoff import person, while_waiting
from bot.components.dialogue.reading import (
    A_POINTER,
    ABOUT_REQUEST,
    AGAINST_YES,
    CHANGE,
    GOES_ON,
    QUIET,
    Command,
    Reading,
)
from bot.components.dialogue.state import Message, Shown, State
from bot.components.dialogue.wishes import (
    address_and_more,
    all_orders,
    bare_subject,
    named_kind,
    new_wish,
    offered_kind,
    supposed_case,
)
from bot.components.text import normalize

LONGEST_NAME = 8
"""Characters, beside small words, of a message that does nothing but name what was listed."""

_SMALL_WORDS = patterns.read(patterns.FOLDER / "turn.yml")["says_nothing"]


def understand(message: Message, state: State, slots: Mapping[str, Any], flows: Flows, shown: Shown) -> list[Command]:
    """At least one command."""
    if not message.tapped and (payload := _numbered(message, shown)):
        message = message.tap(payload) or message
    reading = Reading(message, state, slots, flows, shown)
    if not message.tapped and (payload := _named(reading)) and (tapped := message.tap(payload)):
        reading = reading.of(tapped)
    if reading.message.tapped:
        return _tapped(reading)
    if message.parts:
        return _several(reading)
    return _one(reading)


def _one(reading: Reading) -> list[Command]:
    found = _first_that_fits(reading)
    if reading.asked == CHANGE and "question" in reading.acts and found[0].kind in ("StartFlow", "CannotHandle"):
        return [Command("Keep", why="a question, which changes nothing"), *found]
    return found


def _first_that_fits(reading: Reading) -> list[Command]:
    """Each looks for what it is about, and says nothing where it finds none."""
    for read in (
        stop_word,
        another_kind,
        answer_to_yes_or_no,
        take_up,
        about_matter,
        pressed,
        reproached,
        take_back,
        while_waiting,
        end_or_pause,
        person,
        after_refusal,
        no_words,
        bare_subject,
        verdict,
        about_request,
        offered_kind,
        correction,
        after_answer,
        all_orders,
        address_and_more,
        as_before,
        new_wish,
        supposed_case,
        told_values,
        named_kind,
        own_words,
        objection,
        bare_values,
    ):
        if found := read(reading):
            return found
    return not_understood(reading)


def _several(reading: Reading) -> list[Command]:
    """Each part is read by itself; values of the whole message belong to all of them."""
    if "submit" in reading.acts:  # a yes is one
        return _one(reading)
    if "submit" in reading.message.parts[0].acts:
        return _submit_and_more(reading, *reading.message.parts[:2])
    if reading.acts & {"contests", *OF_REQUEST}:
        reading.part = len(reading.message.parts)  # several questions about one thing: its action reads all of them
    whole = another_kind(reading) or after_refusal(reading)
    if whole and not any(reading.leads_away(part) for part in reading.message.parts):
        return whole
    if len(reading.message.parts) == 1:
        return _behind_aside(reading, reading.message.parts[0])
    found: list[Command] = []
    for number, part in enumerate(reading.message.parts):
        commands = _one(reading.of(part, number))
        if commands[0].kind in ("StartFlow", "SetSlot", "Cancel", "Correct", "Keep"):
            found += commands
    starts = {(c.name, str(c.value)) for c in found if c.kind == "StartFlow"}
    names = {name for name, _ in starts}
    about = ABOUT_REQUEST in names and names <= {ABOUT_REQUEST, "ask_policy"}
    if about or (reading.slots.get("queued") and reading.acts & OF_WAITING):
        return _one(reading)
    if found and found[0].kind == "Cancel" and starts:
        found[0] = replace(found[0], value=GOES_ON)
    if not found or (len(found) == len(starts) == 1):
        return _one(reading.of(reading.message))
    return found


def _behind_aside(reading: Reading, wish: Message) -> list[Command]:
    """A wish behind a greeting; behind a stop ("那先不退了 有没有大一码的") what is open, or was written, ends, too."""
    found = _one(reading.of(wish))
    stopped = take_back(reading) if "stop" in reading.acts - wish.acts else []
    if not stopped or found[0].kind != "StartFlow":
        return found
    if stopped[0].kind == "StartFlow":
        return [*stopped, *found]
    if reading.frame is None:  # there is nothing to stop but the waiting for a person
        return stopped if reading.slots.get("queued") else found
    return [replace(stopped[0], value=GOES_ON), *found]


def _submit_and_more(reading: Reading, words: Message, more: Message) -> list[Command]:
    """ "确认提交 然后面霜那单也开": confirmed, and the other wish begins, if it is no part of this."""
    if more.acts & (AGAINST_YES - {"question"}):
        return _one(reading)
    confirmed = _one(reading.of(words))
    if confirmed[0].kind != "Confirm":
        return confirmed
    then = _one(Reading(more, State(turn=reading.state.turn), reading.slots, reading.flows, Shown(), 1))
    wish = next((one for one in then if one.kind == "StartFlow"), None)
    named = any(more.values(name) for name in ("order_id", "product", "category", "brand", "goods_kind"))
    if wish is None or (wish.name == (reading.flow.name if reading.flow else "") and not named):
        return confirmed if wish is None else _one(reading)
    beside = {one.name: one.value for one in then if one.kind == "SetSlot"}
    later = reading.flows[wish.name].kind == "task"
    return [*confirmed, replace(wish, value={**(wish.value or {}), **beside}, later=later)]


def _numbered(message: Message, shown: Shown) -> str | None:
    """The payload of the button whose place in the list is all that is said: "第二个", "2"."""
    typed = message.text.strip()
    if typed.isdecimal() and len(typed) == 1:
        return shown.numbered(int(typed)) or shown.counted(int(typed))
    places = message.values("ordinal")
    if len(places) != 1 or message.rest > A_POINTER or message.acts & AGAINST_YES:
        return None
    return shown.numbered(int(places[0]))


def _named(reading: Reading) -> str | None:
    """The payload of the button for the order or the request that is named, and nothing else is said: "加湿器那个", or
    the number of any order."""
    more = (AGAINST_YES - {"question"}) | {"yes", "ack", "another", "all"}  # "坚果呢" asks for no more than its line
    if reading.asked or reading.message.parts or reading.acts & more:
        return None
    orders = reading.message.values("order_id")
    if len(orders) == 1 and not reading.message.rest:
        return reading.shown.of_order(orders[0])
    words = _SMALL_WORDS.sub("", normalize(reading.text).text)
    named = 0 < len(words) <= LONGEST_NAME and not words.isdecimal()
    return reading.shown.naming(words) if named else None


def _tapped(reading: Reading) -> list[Command]:
    message, why = reading.message, "button"
    told = {one["entity"]: one["value"] for one in message.entities}
    if message.intent == "affirm":
        if reading.asked == CONFIRMED and told.get("summary") == reading.slots.get("summary"):
            return [Command("Confirm", why="the button of the summary")]
        if "summary" in told and reading.frame is None:
            left = [one for one in reading.state.stack if reading.flows[one.flow].kind == "task"]
            if left and told["summary"] == reading.slots.get("summary"):
                return [Command("Resume", left[-1].flow, why="the button of a summary that was left")]
            return [Command("SummaryGone", why="the button of a summary that is not open any more")]
        if reading.asked == CONFIRMED or "summary" in told:
            return [reading.ask_again("a button of something else")]
        return yes(reading, why) or [Command("Acknowledge", why=why)]
    if message.intent == "deny":
        return no(reading, why) or [Command("Leave", "deny", why=why)]
    if message.intent == "stop":
        return [Command("Cancel", why=why)]
    if message.intent in QUIET:
        return [Command("Leave", message.intent, why=why)]
    flow = reading.flows.of_intent(message.intent)
    if message.intent == "inform":
        for frame in reversed(reading.state.stack):
            taken = {name: value for name, value in told.items() if name in reading.flows[frame.flow].slots}
            if taken:
                found = [reading.set_slot(name, value, why, frame.flow) for name, value in taken.items()]
                return found if frame is reading.frame else [Command("Resume", frame.flow, why=why), *found]
    if flow is None:
        return [Command("CannotHandle", why="a button that leads nowhere")]
    return reading.begin(flow, why)
