"""What happens at the service desk comes into the conversation here: an operator takes over, speaks, hands back.

``POST /webhooks/desk/event`` ``{"sender", "event": "pause" | "said" | "resume" | "notice", "text", "message_id"}`` →
200 ``{"messages": […]}``, what the customer is to see, in the form of the gateway's channel · 400 bad request ·
503 nothing was recorded. ``text`` is what the operator said, or the operator's name for ``pause``.
A ``notice`` is something that the shop says by itself: ``text`` names the response, into which ``values`` are filled.

The same ``message_id`` may be sent again: what it had recorded is read back. Between pause and resume the bot is silent
and records what the customer says.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from rasa.core.actions.action import create_bot_utterance
from rasa.core.agent import Agent
from rasa.core.channels.channel import InputChannel, UserMessage
from rasa.core.processor import MessageProcessor
from rasa.shared.core.constants import ACTION_LISTEN_NAME
from rasa.shared.core.events import ActionExecuted, BotUttered, ConversationPaused, ConversationResumed, SlotSet
from sanic import Blueprint, response
from sanic.exceptions import InvalidUsage
from sanic.request import Request
from sanic.response import HTTPResponse

from bot.components.action_server import TurnAbandoned
from bot.components.channel import TURN_SECONDS, Answer, BadRequest, Inbound, public

logger = logging.getLogger(__name__)

SAYS = {"pause": "utter_handoff_joined", "resume": "utter_handoff_over"}

NOTICE = re.compile(r"utter_notice_[a-z_]{1,60}")


@dataclass(frozen=True)
class DeskEvent:
    event: str
    inbound: Inbound
    values: dict[str, str]

    @classmethod
    def parse(cls, body: object) -> DeskEvent:
        inbound = Inbound.parse(body)
        if not isinstance(body, dict) or body.get("event") not in (*SAYS, "said", "notice"):
            raise BadRequest("event must be pause, said, resume or notice")
        if body["event"] == "notice" and not NOTICE.fullmatch(inbound.text):
            raise BadRequest("the text of a notice names its response")
        values = body.get("values", {})
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise BadRequest("values must be strings by name")
        return cls(body["event"], inbound, values)


class DeskInput(InputChannel):
    """Rasa's side of the desk; see the module's docstring."""

    @classmethod
    def name(cls) -> str:
        return "desk"

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        blueprint = Blueprint("desk")

        @blueprint.post("/event")
        async def receive(request: Request) -> HTTPResponse:
            try:
                happened = DeskEvent.parse(request.json)
            except (BadRequest, InvalidUsage) as error:
                return response.json({"error": str(error)}, status=400)
            agent: Agent = request.app.ctx.agent
            sender, message_id = happened.inbound.sender, happened.inbound.message_id
            try:
                async with agent.lock_store.lock(sender):
                    messages = await asyncio.wait_for(record(agent.processor, happened), TURN_SECONDS)
            except Exception as error:
                logger.error("desk event %s: %s", message_id, TurnAbandoned.because("it", error))
                return response.json({"error": "it could not be recorded"}, status=503)
            logger.info("desk event %s: %s", message_id, happened.event)
            return response.json({"messages": messages})

        return blueprint


async def record(processor: MessageProcessor, happened: DeskEvent) -> list[dict[str, Any]]:
    """What the customer is to see of it."""
    sender, said, message_id = happened.inbound.sender, happened.inbound.text, happened.inbound.message_id
    tracker = await processor.tracker_store.get_or_create_tracker(sender, append_action_listen=False)
    for event in reversed(tracker.events):
        if isinstance(event, BotUttered) and event.metadata.get("desk_id") == message_id:
            return public([event.message()])
    if happened.event == "notice":
        if not tracker.applied_events():  # so that their first message finds a conversation that has begun
            tracker = await processor.fetch_tracker_and_update_session(sender, Answer(sender))
        draft = await processor.nlg.generate(said, tracker, Answer(sender).name(), **happened.values)
        if not draft:
            raise LookupError(said)
        utterance = create_bot_utterance({**draft, "utter_action": said})
        utterance.metadata.update(by="bot", desk_id=message_id)
    elif happened.event == "said":
        utterance = BotUttered(said, {"custom": {"by": "operator"}}, {"by": "operator", "desk_id": message_id})
    else:
        name = SAYS[happened.event]
        draft = await processor.nlg.generate(name, tracker, Answer(sender).name(), operator=said)
        if not draft:
            raise LookupError(name)
        utterance = create_bot_utterance({**draft, "custom": {"by": "desk"}, "utter_action": name})
        utterance.metadata.update(by="desk", desk_id=message_id)
    if happened.event == "pause":
        tracker.update(ConversationPaused())
        if "queued" in tracker.slots:
            tracker.update(SlotSet("queued", None))
    tracker.update(utterance)
    if happened.event == "resume":
        tracker.update(ConversationResumed())
        tracker.update(ActionExecuted(ACTION_LISTEN_NAME))  # whatever was said meanwhile needs no answer
    await processor.save_tracker(tracker)
    return public([utterance.message()])
