"""What is a yes or a no, and to what: the summary, a question, a proposal, an offer, a request that was left."""

from __future__ import annotations

from bot.components.dialogue.flows import CONFIRMED
from bot.components.dialogue.reading import (
    AGAINST_YES,
    CHANGE,
    CLEAR,
    CLEAR_BESIDE_QUESTION,
    SHORT,
    Command,
    Reading,
)
from bot.components.dialogue.state import CHOICE, Frame

SURE_TO_WRITE = 0.95
"""Confidence from which an intent, without a word that says it, is a yes to a summary: "接着办" alone is none."""

PERSON = "/human_handoff"
"""The payload that calls a person."""

DECLINED = "none"
"""In the slot ``proposal``: the order that was proposed is not meant."""

SUMMED_UP_LATELY = 3
"""Turns for which the words of its button confirm a summary that side questions have pushed up."""


def answer_to_yes_or_no(reading: Reading) -> list[Command]:
    if reading.asked == CHANGE and not reading.acts & AGAINST_YES and ("submit" in reading.acts or _clear_yes(reading)):
        return [Command("Keep", why="nothing is to be changed: the summary comes back")]
    if (
        "keep" in reading.acts
        and "question" not in reading.acts
        and (reading.asked == CHANGE or (reading.asked == CONFIRMED and not reading.acts & {"stop", "no"}))
    ):
        return [Command("Keep", why="nothing is to be changed")]
    if _submits(reading):
        return [Command("Confirm", why="the words of the button, to the summary that was shown last")]
    if reading.asked == CONFIRMED and reading.on_screen:
        if _nods_to_two(reading):
            return [Command("Which", why="a nod to a summary and to the offer of a person")]
        if _clear_yes(reading):
            return yes(reading, "a clear yes to the summary")
        if _no_said(reading):
            return no(reading, "a no to the summary")
        return [Command("Cancel", why="rather not")] if _rather_not(reading) else []
    if reading.asked == CONFIRMED and _clear_yes(reading) and "ack" not in reading.acts:
        return [reading.ask_again("a yes to a summary that is not on the screen any more")]
    if not _yes_or_no_asked(reading):
        return []
    if reading.asked is None and reading.shown.declines and "stop" in reading.acts and reading.short:
        return no(reading, "a stop")  # "算了": of the offer, as nothing else is open
    if _consents(reading):
        return yes(reading, "a yes")
    return no(reading, "a no") if _no_said(reading) else []


def _rather_not(reading: Reading) -> bool:
    """ "先留着吧": at a summary a guess that it is not wanted is enough; it can be said again."""
    short = reading.short and not reading.message.entities
    likely = reading.intent in ("stop", "deny") and reading.confidence >= CLEAR
    return short and likely and not reading.acts & {"question", "objection", "correction"}


def _nods_to_two(reading: Reading) -> bool:
    """ "好吧" below "I am not sure, shall a colleague?" and a summary that came back: nothing is written for it."""
    came_back = reading.frame is not None and reading.frame.began < reading.state.turn
    return came_back and "ack" in reading.acts and reading.shown.offers == CHOICE


def take_up(reading: Reading) -> list[Command]:
    """ "确认" to a request that was left: its summary comes back."""
    if reading.frame or "yes" not in reading.acts or reading.acts & {"ack", *AGAINST_YES}:
        return []
    left = [one for one in reading.state.stack if reading.flows[one.flow].kind == "task"]
    if left and left[-1].asked == CONFIRMED:
        return [Command("Resume", left[-1].flow, why="a yes to what was left")]
    if "submit" in reading.acts:
        return [Command("SummaryGone", why="a button's words, and nothing is summed up")]
    return []


def _yes_or_no_asked(reading: Reading) -> bool:
    if reading.asked == CONFIRMED:
        return False
    step = reading.step
    answers = step is not None and "yes_no" in step.entities
    proposed = reading.asked == "order_id" and _proposal(reading) is not None
    if reading.asked and reading.on_screen:
        return answers or proposed
    return bool(reading.shown.offers or _resume_offered(reading))


def _proposal(reading: Reading) -> str | None:
    """The order that is proposed."""
    proposal = reading.slots.get("proposal")
    return proposal if proposal and proposal != DECLINED else None


def _resume_offered(reading: Reading) -> Frame | None:
    top = reading.state.top
    return top if top and top.offered_in and top.offered_in >= reading.state.turn else None


def _clear_yes(reading: Reading) -> bool:
    """What lets something be written: closed words, or an intent that is sure and has nothing beside it."""
    words = reading.words
    if said_to_write(reading):
        return True
    if reading.acts & {*AGAINST_YES, "thanks_only", "bye", "human"}:
        return False
    if "yes" in reading.acts:
        return True
    return (
        reading.intent == "affirm"
        and reading.confidence >= SURE_TO_WRITE
        and "yes_weak" not in reading.acts
        and not reading.message.entities
        and reading.message.rest != 1  # "y" under two dots; a story has no words
        and len(words) <= SHORT
    )


def said_to_write(reading: Reading) -> bool:
    """In the flow's own words for it; "换货吧" to the summary of a return wants something else."""
    step = reading.flow.write if reading.flow else None
    return bool(step and step.yes and step.yes.fullmatch(reading.words)) and not _otherwise(reading)


def _submits(reading: Reading) -> bool:
    """The explicit words of the button, while nothing of the summary has changed since it was shown."""
    if reading.asked != CONFIRMED or reading.frame is None or "submit" not in reading.acts:
        return False
    if reading.acts & {*AGAINST_YES, "human", "all"}:  # "请客服确认", "都退吧"
        return False
    lately = reading.state.turn - reading.frame.asked_in < SUMMED_UP_LATELY
    stands = reading.frame.asked == CONFIRMED and reading.slots.get("summary") is not None
    return lately and stands and not _otherwise(reading) and not _of_another_write(reading)


def _of_another_write(reading: Reading) -> bool:
    """ "确认取消" at the summary of a return: what another task writes is called so, and not what this one does."""
    words = reading.words
    named = {
        flow.name: max(len(word) for word in flow.write.called if word in words)
        for flow in reading.flows.values()
        if flow.write and any(word in words for word in flow.write.called)
    }
    longest = max(named.values(), default=0)  # "确认取消售后" names a ticket, though orders are 取消 too
    return bool(named) and (reading.flow is None or named.get(reading.flow.name) != longest)


def _otherwise(reading: Reading) -> bool:
    """Whether the message names another kind of what the request is for."""
    told = reading.flow.said_by_intents if reading.flow else frozenset[str]()
    return any(value != reading.slots.get(slot) for slot in told for value in reading.message.values(slot))


def _consents(reading: Reading) -> bool:
    """To something that writes nothing."""
    if "accepts" in reading.acts and _accepts_offer(reading):
        return True
    if reading.acts & AGAINST_YES or reading.acts & {"thanks_only", "bye", "leave"}:
        return False
    if reading.acts & {"yes", "yes_weak"}:
        return True
    if "ack" in reading.acts:  # "知道了" has heard, no more
        return False
    short = reading.short
    return short and reading.intent == "affirm" and reading.confidence >= CLEAR_BESIDE_QUESTION


def _accepts_offer(reading: Reading) -> bool:
    """ "好的，谢谢", "好，那帮我问下" to the offer of a person, or to one that waits for a no, too; to anything else
    they are thanks, or a wish."""
    offered = reading.shown.offers == PERSON or reading.shown.declines is not None
    return reading.asked is None and offered and not reading.wants_else("thanks")


def _no_said(reading: Reading) -> bool:
    if reading.acts & {"question", "stop", "leave", "bye", "thanks_only"}:
        return False
    if "no" in reading.acts:
        return True
    short = reading.short and not reading.message.entities
    return short and reading.intent == "deny" and reading.confidence >= CLEAR_BESIDE_QUESTION


def yes(reading: Reading, why: str) -> list[Command]:
    if reading.asked == CONFIRMED and reading.on_screen:
        return [Command("Confirm", why=why)]
    if reading.asked == "order_id" and reading.on_screen and (proposal := _proposal(reading)):
        return [reading.set_slot("order_id", proposal, f"{why}: the order that was proposed")]
    if reading.asked and reading.on_screen and (step := reading.step) and "yes_no" in step.entities:
        return [reading.set_slot(reading.asked, True, why)]
    if top := _resume_offered(reading):
        return [Command("Resume", top.flow, why=why)]
    if reading.shown.offers == CHOICE:
        return [Command("Which", why=f"{why} to two ways")]
    offered = reading.message.tap(reading.shown.offers) if reading.shown.offers else None
    if offered and (flow := reading.flows.of_intent(offered.intent)):
        return reading.of(offered).begin(flow, f"{why} to an offer")
    return []


def no(reading: Reading, why: str) -> list[Command]:
    if reading.asked == CONFIRMED and reading.on_screen:
        return [Command("Deny", why=why)]
    if reading.asked == "order_id" and reading.on_screen and _proposal(reading):
        return [reading.set_slot("proposal", DECLINED, f"{why}: not the order that was proposed")]
    if reading.asked and reading.on_screen and (step := reading.step) and "yes_no" in step.entities:
        return [reading.set_slot(reading.asked, False, why)]
    if _resume_offered(reading):
        return [Command("Cancel", why=why)]
    declined = reading.message.tap(reading.shown.declines) if reading.shown.declines else None
    if declined and (flow := reading.flows.of_intent(declined.intent)):
        return reading.of(declined).begin(flow, f"{why} to an offer")
    if reading.shown.offers:
        return [Command("Leave", "deny", why=f"{why} to an offer")]
    return []
