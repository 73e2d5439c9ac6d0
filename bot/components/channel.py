"""The one door to the bot: the gateway posts a message and gets the whole turn's answer, or 503 and nothing happened.

``POST /webhooks/gateway/webhook`` ``{"sender", "text", "message_id"}`` →
200 ``{"messages": [{"text"?, "buttons"?: [{"title", "payload"}], "image"?, "custom"?}],
"understood": {"intent", "confidence", "worry"}}`` · 400 bad request · 503 the turn was not completed and not saved.
``GET /webhooks/gateway/health`` → 200 when a model is loaded and the tracker store answers, else 503.

The same ``message_id`` may be sent again: a turn that had been saved is not run a second time, its answer is read back.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rasa.core.agent import Agent
from rasa.core.channels.channel import InputChannel, OutputChannel, UserMessage
from rasa.core.processor import MessageProcessor
from rasa.shared.core.events import BotUttered, Event, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from sanic import Blueprint, response
from sanic.exceptions import InvalidUsage
from sanic.request import Request
from sanic.response import HTTPResponse

from bot.components.action_server import TurnAbandoned
from bot.components.clauses import requests_of
from bot.components.text import visible

logger = logging.getLogger(__name__)

TURN_SECONDS = 45.0
"""Longest turn; shorter than the 60 s after which Rasa gives a conversation's lock to the next message."""

WORRIES = frozenset({"worry_delivery", "complain"})
PART = "#"
"""Stands before the number of a further request in its message id."""

_ID = re.compile(r"[!-~]{1,200}")


class BadRequest(Exception):
    """The request is not one that the gateway should send; the text says why."""


@dataclass(frozen=True)
class Inbound:
    """A customer's message, as the gateway hands it over."""

    sender: str
    text: str
    message_id: str

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
        return cls(body["sender"], text, body["message_id"])


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
                    return response.json({"status": "ok"})
                problem = "no model is loaded"
            except Exception as error:
                problem = f"the tracker store does not answer ({type(error).__name__})"
            return response.json({"error": problem}, status=503)

        return blueprint


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
    """What ``MessageProcessor.handle_message`` does, with the tracker fetched once and the message parsed once."""
    answer = Answer(inbound.sender)
    tracker = await processor.fetch_tracker_and_update_session(inbound.sender, answer)
    if recorded := _recorded(tracker, inbound.message_id):
        return recorded
    words = await _words_or_payload(processor, tracker, inbound)
    understood: list[dict[str, Any]] = []
    for part, text in enumerate(await _requests(processor, tracker, words) or [words]):
        message = UserMessage(
            text,
            answer,
            inbound.sender,
            input_channel=GatewayInput.name(),
            message_id=f"{inbound.message_id}{PART}{part}" if part else inbound.message_id,
            metadata={"part": part} if part else None,
        )
        message.parse_data = await processor.parse_message(message, tracker)
        understood.append(message.parse_data)
        await processor._handle_message_with_tracker(message, tracker)
        tracker = await processor.run_action_extract_slots(answer, tracker)
        await processor._run_prediction_loop(answer, tracker)
    if not answer.said and not tracker.is_paused():
        raise TurnAbandoned("the bot had nothing to say")
    await processor.save_tracker(tracker)
    return {"messages": public(answer.said), "understood": _understood(*understood)}


async def _requests(processor: MessageProcessor, tracker: DialogueStateTracker, text: str) -> Sequence[str]:
    """The different requests of one message, if it holds several; a payload holds one."""
    if text.startswith("/"):
        return ()

    async def read(clause: str) -> tuple[str, float]:
        intent = (await processor.parse_message(UserMessage(clause), tracker))["intent"]
        return intent["name"], intent["confidence"]

    return await requests_of(text, read)


async def _words_or_payload(processor: MessageProcessor, tracker: DialogueStateTracker, inbound: Inbound) -> str:
    """The text for Rasa, which takes what begins with "/" for an intent with entities.

    Only the payload of a button that was shown in this conversation, in an earlier session too, may be one. In words
    the slash becomes a full-width one, after invisible marks as well, which Rasa would not look behind today.
    """
    if not visible(inbound.text).startswith("/"):
        return inbound.text
    payload = inbound.text.strip()
    if payload in _offered(tracker.events):
        return payload
    everything = await processor.tracker_store.retrieve_full_tracker(inbound.sender)
    if everything is not None and payload in _offered(everything.events):
        return payload
    return inbound.text.replace("/", "／", 1)


def _offered(events: Iterable[Event]) -> set[str]:
    shown = (event.data.get("buttons") or [] for event in events if isinstance(event, BotUttered))
    return {button["payload"] for buttons in shown for button in buttons if button.get("payload")}


def _recorded(tracker: DialogueStateTracker, message_id: str) -> dict[str, Any] | None:
    """The reply of a turn that has been saved, read back from the conversation; None if there was no such turn."""
    said: list[dict[str, Any]] = []
    understood: list[dict[str, Any]] = []
    for event in reversed(tracker.events):
        if isinstance(event, BotUttered):
            said.insert(0, event.message())
        elif isinstance(event, UserUttered):
            understood.insert(0, event.parse_data)
            if event.message_id == message_id:
                return {"messages": public(said), "understood": _understood(*understood)}
            if not str(event.message_id).startswith(f"{message_id}{PART}"):
                said.clear()
                understood.clear()
    return None


def public(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the gateway may know of the bot's messages: one each, without Rasa's own fields, empty ones left out.

    A question that stands twice in a turn of several requests is put once, at the end.
    """
    public = []
    everything = list(messages)
    for place, message in enumerate(everything):
        if (asked := _question(message)) and asked in map(_question, everything[place + 1 :]):
            continue
        shown = {name: message[name] for name in ("text", "image", "custom") if message.get(name)}
        if buttons := message.get("buttons"):
            shown["buttons"] = [
                {"title": button["title"], "payload": button.get("payload") or button["title"]} for button in buttons
            ]
        if shown:
            public.append(shown)
    return public


def _question(message: dict[str, Any]) -> str | None:
    """The name of the response, if it is a question of a form."""
    name = message.get("utter_action") or (message.get("metadata") or {}).get("utter_action") or ""
    return name if name.startswith("utter_ask_") else None


def _understood(parse_data: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """Intent, its confidence, and ``worry``: the probability (0 to 1) that the customer worries or complains;
    ``also`` are the intents of further requests in the same message."""
    intent = parse_data.get("intent") or {}
    ranking = parse_data.get("intent_ranking") or []
    worry = sum(guess["confidence"] for guess in ranking if guess["name"] in WORRIES)
    understood = {
        "intent": intent.get("name"),
        "confidence": round(float(intent.get("confidence") or 0.0), 3),
        "worry": round(min(1.0, float(worry)), 3),
    }
    if topic := parse_data.get("topic"):
        understood["topic"] = topic
    if others:
        understood["also"] = [other["intent"]["name"] for other in others]
    return understood
