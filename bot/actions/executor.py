"""Runs the actions. In the middle of a request its order may stop being the sender's: it has another phone. A mall that
runs elsewhere may not answer. Others may read along."""

from __future__ import annotations

import asyncio
from typing import Any

from rasa_sdk.events import FollowupAction, SlotSet
from rasa_sdk.executor import ActionExecutor, ActionExecutorRunResult, CollectingDispatcher

from bot.actions.in_public import is_refused, lead_away
from mall_adapter.errors import InPublic, MallUnavailable, OrderLocked, OwnershipRequired


class Executor(ActionExecutor):
    async def run(
        self,
        action_call: dict[str, Any],
        sink: asyncio.Queue[Any] | None = None,
        dispatcher: CollectingDispatcher | None = None,
    ) -> ActionExecutorRunResult | None:
        """What the action says and changes; where what it builds on was proved and is no more, that the proof is asked
        for anew. Where the mall does not answer, that is said, a person is offered, and the turn ends."""
        if is_refused(action_call):
            return lead_away()
        try:
            return await super().run(action_call, sink, dispatcher)
        except (OwnershipRequired, OrderLocked):
            if not (proved := action_call["tracker"]["slots"].get("proved")):
                raise
        except InPublic:
            return lead_away()
        except MallUnavailable:  # which has logged it
            said = CollectingDispatcher()
            said.utter_message(response="utter_mall_unavailable")
            return ActionExecutorRunResult(events=[FollowupAction("action_listen")], responses=said.messages)
        said = CollectingDispatcher()
        said.utter_message(response="utter_proof_ended", order_id=proved)
        return ActionExecutorRunResult(events=[SlotSet("proved", None)], responses=said.messages)
