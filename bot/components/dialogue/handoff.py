"""A person is asked for, or waited for."""

from __future__ import annotations

from bot.components.acts import OF_WAITING
from bot.components.dialogue.reading import Command, Reading

TAKEN_OUT_LATELY = 2
"""Turns in which whoever was taken out of the queue may say that they go on waiting."""


def while_waiting(reading: Reading) -> list[Command]:
    """Of somebody who waits for a person: a word for that person, or a question about when and how they come."""
    if reading.wants_else("follow_up") or not (reading.slots.get("queued") and reading.acts & OF_WAITING):
        return []
    return [Command("StartFlow", "pattern_waiting", {}, "of the person who is waited for", reading.part)]


def person(reading: Reading) -> list[Command]:
    flow = reading.flows.of_intent("human_handoff")
    back = "stays" in reading.acts and taken_out(reading)
    if not (back or "human" in reading.acts) or flow is None:
        return []
    if reading.intent == "ask_policy" and reading.sure:
        return []
    return [Command("StartFlow", flow.name, {"intent": "human_handoff"}, "a person is asked for", reading.part)]


def taken_out(reading: Reading) -> bool:
    """Whether the customer has just been taken out of the queue for a person."""
    return reading.state.turn - reading.turn_of("withdrew") < TAKEN_OUT_LATELY and not reading.slots.get("queued")
