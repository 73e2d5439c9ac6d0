"""The one door to the bot: the gateway posts a message and gets the whole turn's answer, or 503 and nothing happened.

``POST /webhooks/gateway/webhook`` ``{"sender", "text", "message_id", "metadata"?: {"address"}}`` →
200 ``{"messages": [{"text"?, "buttons"?: [{"title", "payload"}], "image"?, "custom"?}],
"understood": {"intent", "confidence", "worry", "topic"?, "also"?}}`` · 400 bad request · 503 the turn was not completed
and not saved.
``GET /webhooks/gateway/health`` → 200 when a model is loaded and the tracker store answers, else 503; with
``"warnings"`` where files are missing without which the bot goes on: ``no_model``, ``no_encoder``.

The same ``message_id`` may be sent again: a turn that had been saved is not run a second time, its answer is read back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rasa.core.agent import Agent
from rasa.core.channels.channel import InputChannel, OutputChannel, UserMessage
from rasa.core.processor import MessageProcessor
from rasa.model import get_latest_model
from rasa.shared.core.events import BotUttered, Event, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from sanic import Blueprint, response
from sanic.exceptions import InvalidUsage
from sanic.request import Request
from sanic.response import HTTPResponse

import encoder
from bot.components import lead_talk
from bot.components.action_server import TurnAbandoned
from bot.components.clauses import (
    FAMILY,
    RESTATED,
    SURE,
    SURE_BEHIND_ASIDE,
    behind_aside,
    beyond,
    in_words,
    readable,
    requests_of,
    restated,
)
from bot.components.dialogue.evidence import Context, in_context
from bot.components.dialogue.state import shown
from bot.components.text import visible
from privacy import TamperedError

logger = logging.getLogger(__name__)

TURN_SECONDS = 45.0
"""Longest turn; shorter than the 60 s after which Rasa gives a conversation's lock to the next message."""

ONE_SENTENCE_SECONDS = 60.0
"""Within these the next message may end a sentence that was not understood."""

LONGEST_SENTENCE = 3
"""Messages in which a sentence may have come before the one that ends it: "那个", "昨天买的", "就那个锅", "能换不"."""

CALLS_A_PERSON = "/human_handoff"

TYPED_LATELY = 3
"""Answers before the last one whose buttons may be meant by their titles."""

TELLS_A_RULE = "/ask_policy{"
ANSWERS_A_QUESTION = frozenset({"/affirm", "/deny", "/inform", "/stop"})

TAPPED_FEELINGS: dict[str | None, str] = {"worry_delivery": "worry", "complain": "anger"}
"""What is felt by whoever taps a button with this intent: it has no words that would tell."""

_ID = re.compile(r"[!-~]{1,200}")


class BadRequest(Exception):
    """The request is not one that the gateway should send; the text says why."""


@dataclass(frozen=True)
class Inbound:
    """A customer's message, as the gateway hands it over."""

    sender: str
    text: str
    message_id: str
    metadata: dict[str, str] = field(default_factory=dict)
    """``address``: a keyed hash of where the customer is, if that is known."""

    @classmethod
    def parse(cls, body: object) -> Inbound:
        if not isinstance(body, dict):
            raise BadRequest("the body must be a JSON object")
        for name in ("sender", "message_id"):
            if not (isinstance(body.get(name), str) and _ID.fullmatch(body[name])):
                raise BadRequest(f"{name} must be 1 to 200 visible ASCII characters")
        if not isinstance(body.get("text"), str):
            raise BadRequest("text must be a string")
        # Halves of surrogate pairs can be written in JSON, but not stored in any encoding
        text = body["text"].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        metadata = body.get("metadata", {})
        if not isinstance(metadata, dict) or not metadata.keys() <= {"address"}:
            raise BadRequest("metadata may only have an address")
        if not all(isinstance(value, str) and _ID.fullmatch(value) for value in metadata.values()):
            raise BadRequest("the address must be 1 to 200 visible ASCII characters")
        return cls(body["sender"], text, body["message_id"], metadata)


class Answer(OutputChannel):
    """Collects what the bot says in a turn; named after the sender's channel, for which responses may have variants."""

    def __init__(self, sender: str) -> None:
        self.said: list[dict[str, Any]] = []
        self._channel = sender.partition(":")[0]

    def name(self) -> str:
        return self._channel

    async def send_response(self, recipient_id: str, message: dict[str, Any]) -> None:
        self.said.append(message)


class GatewayInput(InputChannel):
    """Rasa's side of the gateway; see the module's docstring."""

    @classmethod
    def name(cls) -> str:
        return "gateway"

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        blueprint = Blueprint("gateway")
        turns: set[asyncio.Task[HTTPResponse]] = set()

        @blueprint.post("/webhook")
        async def receive(request: Request) -> HTTPResponse:
            try:
                inbound = Inbound.parse(request.json)
            except (BadRequest, InvalidUsage) as error:
                return response.json({"error": str(error)}, status=400)
            # The server cancels this handler when the caller hangs up; the turn goes on and is saved as a whole.
            turn = asyncio.create_task(_answer(request.app.ctx.agent, inbound))
            turns.add(turn)
            turn.add_done_callback(turns.discard)
            return await asyncio.shield(turn)

        @blueprint.get("/health")
        async def health(request: Request) -> HTTPResponse:
            agent: Agent = request.app.ctx.agent
            try:
                if agent.is_ready():
                    await agent.tracker_store.retrieve("health:check")
                    warned = await asyncio.to_thread(_warnings, agent.processor)
                    return response.json({"status": "ok", **({"warnings": warned} if warned else {})})
                problem = "no model is loaded"
            except Exception as error:
                problem = f"the tracker store does not answer ({type(error).__name__})"
            return response.json({"error": problem}, status=503)

        return blueprint


def _warnings(processor: MessageProcessor) -> list[str]:
    """What it does without, or will when it is started again."""
    missing = {"no_model": get_latest_model(str(processor.model_path.parent)), "no_encoder": encoder.load()}
    return [name for name, found in missing.items() if found is None]


async def _answer(agent: Agent, inbound: Inbound) -> HTTPResponse:
    """Runs the turn; logs name it by its message id and never quote it."""
    started = time.perf_counter()
    try:
        async with agent.lock_store.lock(inbound.sender):
            reply = await asyncio.wait_for(turn(agent.processor, inbound), TURN_SECONDS)
    except TurnAbandoned as abandoned:
        problem = abandoned
    except Exception as error:
        problem = TurnAbandoned.because("the turn", error)
    else:
        milliseconds = 1000 * (time.perf_counter() - started)
        logger.info("turn %s: %d messages in %.0f ms", inbound.message_id, len(reply["messages"]), milliseconds)
        return response.json(reply)
    logger.error("turn %s: abandoned, %s", inbound.message_id, problem)
    return response.json({"error": "the turn could not be completed; nothing of it was saved"}, status=503)


async def turn(processor: MessageProcessor, inbound: Inbound) -> dict[str, Any]:
    """What ``MessageProcessor.handle_message`` does, with the tracker fetched once and no words parsed twice."""
    answer = Answer(inbound.sender)
    tracker = await processor.fetch_tracker_and_update_session(inbound.sender, answer)
    if recorded := _recorded(tracker, inbound.message_id):
        return recorded
    words, meant = await _words_or_payload(processor, tracker, inbound), dict[str, Any]()
    if not words.startswith("/"):
        words, meant = lead_talk.read(words, _talks_with_lead(tracker))
    message = UserMessage(
        words,
        answer,
        inbound.sender,
        input_channel=GatewayInput.name(),
        message_id=inbound.message_id,
        metadata=dict(inbound.metadata),
    )
    message.parse_data = meant or await _understand(processor, tracker, message)
    await processor._handle_message_with_tracker(message, tracker)
    tracker = await processor.run_action_extract_slots(answer, tracker)
    await processor._run_prediction_loop(answer, tracker)
    if processor.is_action_limit_reached(tracker, processor.should_predict_another_action(tracker.latest_action_name)):
        # Rasa has broken off without an action_listen: saved, the conversation would be silent for good
        raise TurnAbandoned("it took more actions than a turn may have")
    if not answer.said and not tracker.is_paused():
        raise TurnAbandoned("the bot had nothing to say")
    await processor.save_tracker(tracker)
    return {"messages": public(answer.said, _waits(tracker)), "understood": _understood(message.parse_data)}


async def _understand(
    processor: MessageProcessor, tracker: DialogueStateTracker, message: UserMessage
) -> dict[str, Any]:
    """The parse of the whole message, as the policy and the actions find it in ``latest_message``, and beside it

    ``parts``: the parses of its requests, each with its own text, when there are several, or one behind a greeting, a
    stop or the like, or put once more; the words of a button and what goes on behind them.
    The intent is the first's.
    ``worry``: that of the message, or of a clause that is more worried (:class:`bot.components.worry.WorryFinder`).
    ``intent_ranking`` has the guesses weighed by what was asked and talked of; where they are unsure and the messages
    before were not understood, all are read as one sentence.
    ``acts``: none for a payload, which no component has read.
    """
    whole: dict[str, Any] = await processor.parse_message(message, tracker)
    parsed = {message.text: whole}

    async def read(text: str) -> dict[str, Any]:
        if text not in parsed:
            parsed[text] = await processor.parse_message(UserMessage(text), tracker)
        return parsed[text]

    async def intent_of(text: str) -> tuple[str, float]:
        intent = (await read(text))["intent"]
        return intent["name"], intent["confidence"]

    async def acts_of(text: str) -> Collection[str]:
        return (await read(text)).get("acts") or ()

    parts: list[dict[str, Any]] = []
    if not _tapped(message):
        for clause in readable(message.text):
            await read(clause)
        goes_on = beyond(message.text)
        if goes_on and "submit" in ((await read(goes_on[0])).get("acts") or ()):
            parts = [await read(text) for text in goes_on]
        elif question := restated(message.text):
            parts = [_asked_again(await read(question))]
        else:
            wishes = await requests_of(message.text, intent_of) or await behind_aside(message.text, intent_of, acts_of)
            parts = [await read(text) for text in wishes]
    context = Context.of(tracker.current_slot_values())
    whole, parts = in_context(whole, context), [in_context(part, context) for part in parts]
    if not parts and (begun := _begun(tracker)) and whole["intent"]["confidence"] < SURE and not _tapped(message):
        said = await read(f"{begun} {message.text}")
        if said["intent"]["confidence"] >= SURE:
            whole = {**whole, "intent": said["intent"], "intent_ranking": said["intent_ranking"]}
    intent = parts[0]["intent"] if parts else whole["intent"]
    return {"acts": [], **whole, "intent": intent, "parts": parts, "worry": _worry_of(whole, parsed.values())}


def _asked_again(parse: dict[str, Any]) -> dict[str, Any]:
    """A question that is put once more: it asks, whatever its few words look like, and not for what was just told."""
    intent = parse["intent"]
    if intent["name"] not in FAMILY or intent["confidence"] < SURE_BEHIND_ASIDE:
        intent = {"name": RESTATED, "confidence": SURE_BEHIND_ASIDE}
    return {**parse, "intent": intent, "acts": sorted({*parse.get("acts", ()), "question", "restates"})}


def _tapped(message: UserMessage) -> bool:
    return bool(message.text.startswith("/"))


def _begun(tracker: DialogueStateTracker) -> str:
    """The messages before this one that were not understood and came one right after the other: their sentence may end
    now. Empty where there is none."""
    said = (event for event in reversed(tracker.events) if isinstance(event, UserUttered))
    next_one, found = time.time(), list[str]()
    for message in islice(said, min(_lost(tracker), LONGEST_SENTENCE)):
        text, sent = message.text or "", message.timestamp or 0.0
        if not text or text.startswith("/") or next_one - sent >= ONE_SENTENCE_SECONDS:
            break
        found.insert(0, text)
        next_one = sent
    return " ".join(found)


def _lost(tracker: DialogueStateTracker) -> int:
    """How many messages in a row were not understood."""
    return int((tracker.current_slot_values().get("dialogue") or {}).get("lost") or 0)


def _worry_of(whole: dict[str, Any], clauses: Iterable[dict[str, Any]]) -> dict[str, Any]:
    most = max(map(_worry, clauses), key=_score)
    return _worry(whole) if most["label"] == "neutral" else most


def _worry(parse: dict[str, Any]) -> dict[str, Any]:
    worry = parse.get("worry")
    if isinstance(worry, dict):
        return worry
    label = TAPPED_FEELINGS.get(_intent(parse)[0], "neutral")
    return {"score": float(label != "neutral"), "label": label, "cues": []}


def _score(worry: Any) -> float:
    """Older conversations have the number alone."""
    return _probability(worry.get("score") if isinstance(worry, dict) else worry)


async def _words_or_payload(processor: MessageProcessor, tracker: DialogueStateTracker, inbound: Inbound) -> str:
    """The text for Rasa: the payload of a button whose title was typed below it, or a payload, but only if a button
    with it was shown in this conversation, in an earlier session too, else words."""
    if not visible(inbound.text).startswith("/"):
        typed = None
        if not tracker.is_paused():
            typed = shown(tracker.events).payload(inbound.text) or _typed_lately(list(tracker.events), inbound.text)
        return typed if typed is not None and _well_made(typed) else inbound.text
    payload = inbound.text.strip()
    if payload in _offered(tracker.events):
        return payload
    try:
        everything = await processor.tracker_store.retrieve_full_tracker(inbound.sender)
    except TamperedError:  # what was offered then cannot be known any more
        everything = None
    if everything is not None and payload in _offered(everything.events):
        return payload
    return in_words(inbound.text)


def _typed_lately(events: Sequence[Event], text: str) -> str | None:
    """The payload of a button of the last answers whose title was typed, if it tells a rule or begins something: what
    answers a question, or is for an order of its own, counts only right below it."""
    answers = 0
    for number in range(len(events) - 1, -1, -1):
        if isinstance(events[number], UserUttered):
            answers += 1
            if answers > TYPED_LATELY:
                return None
            payload = shown(events[:number]).payload(text)
            if payload and (payload.startswith(TELLS_A_RULE) or "{" not in payload):
                return None if payload in ANSWERS_A_QUESTION else payload
    return None


def _offered(events: Iterable[Event]) -> set[str]:
    shown = (event.data.get("buttons") or [] for event in events if isinstance(event, BotUttered))
    return {button["payload"] for buttons in shown for button in buttons if _well_made(button.get("payload"))}


def _well_made(payload: object) -> bool:
    """Whether its values are strings, as the actions expect; Rasa would hand them anything that JSON can say."""
    if not isinstance(payload, str):
        return False
    _, brace, rest = payload.partition("{")
    try:
        values = json.loads(brace + rest) if brace else {}
    except ValueError:
        return False
    return isinstance(values, dict) and all(isinstance(value, str) for value in values.values())


def _recorded(tracker: DialogueStateTracker, message_id: str) -> dict[str, Any] | None:
    """The reply of a turn that has been saved, read back from the conversation; None if there was no such turn."""
    said: list[dict[str, Any]] = []
    for event in reversed(tracker.events):
        if isinstance(event, BotUttered):
            said.insert(0, event.message())
        elif isinstance(event, UserUttered):
            if event.message_id == message_id:
                return {"messages": public(said, _waits(tracker)), "understood": _understood(event.parse_data)}
            said.clear()
    return None


def _talks_with_lead(tracker: DialogueStateTracker) -> bool:
    return lead_talk.SLOT in tracker.slots and bool(tracker.get_slot(lead_talk.SLOT)) and not tracker.is_paused()


def _waits(tracker: DialogueStateTracker) -> bool:
    """Whether the customer has asked for a person, who has not come yet."""
    return "queued" in tracker.slots and bool(tracker.get_slot("queued"))


def public(messages: Iterable[dict[str, Any]], waits: bool = False) -> list[dict[str, Any]]:
    """What the gateway may know of the bot's messages: without Rasa's own fields, empty ones left out.

    Of two equal buttons of one answer the first is shown; none that calls a person to somebody who ``waits`` for one.
    """
    public = []
    titles: set[str] = set()
    for message in messages:
        shown = {name: message[name] for name in ("text", "image", "custom") if message.get(name)}
        offered = [one for one in message.get("buttons") or [] if not (waits and one.get("payload") == CALLS_A_PERSON)]
        buttons = {button["title"]: button for button in reversed(offered)}
        fresh = [button for title, button in reversed(buttons.items()) if title not in titles]
        titles.update(buttons)
        fresh = list({button.get("payload") or button["title"]: button for button in reversed(fresh)}.values())[::-1]
        if fresh:
            shown["buttons"] = [
                {"title": button["title"], "payload": button.get("payload") or button["title"]} for button in fresh
            ]
        if shown:
            public.append(shown)
    return public


def _understood(parse_data: dict[str, Any]) -> dict[str, Any]:
    """The intent and its confidence, ``worry`` (:func:`_understand`), the ``topic``; ``also`` are the intents of
    further requests in the same message. What is odd in a parse is left out: the turn is over, it must not fail now."""
    name, confidence = _intent(parse_data)
    understood: dict[str, Any] = {
        "intent": name,
        "confidence": confidence,
        "worry": _score(parse_data.get("worry")),
    }
    if isinstance(topic := parse_data.get("topic"), str) and topic:
        understood["topic"] = topic
    parts = parse_data.get("parts")
    if also := [name for name, _ in map(_intent, parts[1:] if isinstance(parts, list) else ()) if name]:
        understood["also"] = also
    return understood


def _intent(parse_data: object) -> tuple[str | None, float]:
    intent = parse_data.get("intent") if isinstance(parse_data, dict) else None
    if not isinstance(intent, dict):
        return None, 0.0
    name = intent.get("name")
    return name if isinstance(name, str) else None, _probability(intent.get("confidence"))


def _probability(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return round(min(1.0, max(0.0, number)), 3)  # of NaN, which JSON cannot say, max makes 0
