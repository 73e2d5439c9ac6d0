"""Runs the actions. The order of a request may stop being the sender's in the middle of it: it has another phone."""

from __future__ import annotations

import asyncio
from typing import Any

from rasa_sdk.events import SlotSet
from rasa_sdk.executor import ActionExecutor, ActionExecutorRunResult, CollectingDispatcher

from mall_adapter import OrderLocked, OwnershipRequired


class Executor(ActionExecutor):
    async def run(
        self,
        action_call: dict[str, Any],
        sink: asyncio.Queue[Any] | None = None,
        dispatcher: CollectingDispatcher | None = None,
    ) -> ActionExecutorRunResult | None:
        """What the action says and changes; where what it builds on was proved and is no more, that the proof is asked
        for anew."""
        try:
            return await super().run(action_call, sink, dispatcher)
        except (OwnershipRequired, OrderLocked):
            if not (proved := action_call["tracker"]["slots"].get("proved")):
                raise
        said = CollectingDispatcher()
        said.utter_message(response="utter_proof_ended", order_id=proved)
        return ActionExecutorRunResult(events=[SlotSet("proved", None)], responses=said.messages)
