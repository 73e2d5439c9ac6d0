"""Plain values of the service desk: hand-offs to people, what goes back to customers, what was not understood, and what
was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage import Role
from storage.outbox import Leased


class HandoffReason(StrEnum):
    ASKED = "asked"  # the customer wanted a person
    NOT_UNDERSTOOD = "not_understood"  # the bot had failed to understand, and offered one
    STUCK = "stuck"  # in the middle of a form
    COMPLAINT = "complaint"  # after a complaint
    LEAD = "lead"  # a salesperson wants to talk with them


class ComplaintKind(StrEnum):
    """What somebody is upset about; ``bot/data/lookups/complaint.yml`` has their words for it."""

    HARMED = "harmed"  # goods that hurt somebody
    FAKE = "fake"  # goods that look counterfeit, used or refurbished
    COURIER = "courier"  # who brought it was rude, wanted money, threw it
    NOT_RECEIVED = "not_received"  # signed for, but not there
    UNANSWERED = "unanswered"  # nobody replies, nobody picks up the phone
    PROMISE = "promise"  # promised and not kept
    COMPENSATION = "compensation"  # damages are asked for
    THREAT = "threat"  # an authority, a court, the press
    OTHER = "other"  # anger without more


class HandoffStatus(StrEnum):
    WAITING = "waiting"
    CLAIMED = "claimed"  # a person talks, the bot is silent
    ENDED = "ended"  # handed back to the bot
    WITHDRAWN = "withdrawn"  # the customer did not wait


class DeskEvent(StrEnum):
    """What the bot is told; each makes it say or record something that the customer is to see."""

    PAUSE = "pause"
    SAID = "said"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Handoff:
    id: int
    sender: str
    reason: HandoffReason
    status: HandoffStatus
    requested_at: datetime
    operator: str | None
    claimed_at: datetime | None
    first_answer_at: datetime | None
    ended_at: datetime | None  # handed back or withdrawn
    resolved: bool | None  # said by the operator who handed back
    stars: int | None  # 1 to 5, by the customer
    in_chat: bool  # whoever has claimed it talks from a chat of their own
    read_by_customer: int | None  # events of the conversation that have been before their eyes
    read_by_person: int | None  # the same of whoever has claimed it


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One thing that happened at the desk, on its way through the bot to the customer."""

    sender: str
    position: int  # 1, 2, … for each sender
    event: DeskEvent
    message_id: str  # the bot records each once
    text: str  # the operator's words, or the operator's name for PAUSE, or empty
    lease: Leased  # for so long it is the caller's to tell


@dataclass(frozen=True, slots=True)
class Update:
    """What the bot made of a dispatch: messages as ``POST /api/chat`` gives them, for the customer."""

    position: int
    event: DeskEvent
    messages: Sequence[dict[str, object]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a transcript."""

    by: str  # customer | bot | operator | desk (the bot, about a hand-off)
    at: datetime
    text: str  # of a customer who tapped a button: its payload
    image: str | None
    buttons: Sequence[tuple[str, str]]  # (title, payload)
    position: int  # of its event in the conversation


@dataclass(frozen=True, slots=True)
class Exchange:
    """A customer's message with the bot's answer, or what somebody at the desk told the customer."""

    id: str  # of the customer's message, or of what happened at the desk
    position: int  # of its first event in the conversation
    text: str | None  # the customer's words, of one who tapped a button its payload; None for the desk's
    messages: Sequence[dict[str, object]]  # as ``POST /api/chat`` gives them


@dataclass(frozen=True, slots=True)
class Misunderstood:
    id: int
    text: str
    guesses: Sequence[tuple[str, float]]  # (intent, confidence), the likeliest first
    noted_at: datetime
    settled_at: datetime | None
    intent: str | None  # what the trainer found it to mean; None also for a message that teaches nothing
    conversation: str | None  # its keyed hash; None for a message from before it was kept


@dataclass(frozen=True, slots=True)
class Complaint:
    id: int
    conversation: str  # its keyed hash
    kind: ComplaintKind
    words: str  # the customer's own, a message a line
    order_id: str | None
    enquiry: bool  # the courier is to be asked
    noted_at: datetime


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whose a conversation is, as far as the house knows."""

    channel: str
    customer_id: str | None
    name: str | None
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Viewing:
    """Somebody looked into a conversation."""

    operator: str
    at: datetime


class NotOnRecord(Exception):
    """A look into a conversation could not be put on record, so it is not to be had."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Neighbouring events of a conversation, as the bot stored them."""

    first: int  # position of the first of them; 0: the conversation begins with it
    events: Sequence[dict[str, Any]]
    viewings: Sequence[Viewing]  # those before this one, the latest first
    speaker: Speaker | None  # None: an account that has not written since accounts are kept


TURNS = 100
"""The last turns that are shown of a conversation."""
