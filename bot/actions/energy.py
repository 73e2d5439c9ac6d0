"""Energy: how much a member has and why, what has come and what waits, and coupons for it after one confirmation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.answers import find_answers
from bot.actions.conversation import confirmed, key, proof_key
from bot.actions.focus import Focus
from bot.actions.knowledge import say_answer
from bot.actions.malls import get_mall
from bot.actions.summaries import sum_up
from bot.actions.tickets import Button, button, wish_button
from bot.actions.turn import Turn
from bot.actions.validation import Request, Validation
from bot.actions.wording import Domain, day, word, yuan
from bot.spelling import plain
from knowledge_graph import sure
from mall_adapter.errors import EnergyShort, NotBound, NotPermitted
from mall_adapter.values import Energy, EnergyChange, EnergyEntry

FACT = "energy_fact"

SHOWN = 8
"""Entries of the history, or carriers, in one answer."""

_SAID = patterns.load("energy", "all", "points")


class EnergyBalance(Action):
    def name(self) -> str:
        return "action_energy_balance"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, mall = Turn.of(tracker), await get_mall()
        try:
            await mall.settle_energy(tracker.sender_id, proof_key(tracker, "settle"))
            energy = await mall.energy_of(tracker.sender_id)
        except NotBound:
            return await _ask_binding(dispatcher, tracker, domain, turn)
        fact = turn.first(FACT)
        if fact == "why":
            await _say_history(dispatcher, tracker, domain)
        elif fact == "rank" and await _say_carriers(dispatcher, tracker, domain):
            return []
        await _say_balance(dispatcher, tracker, domain, energy)
        return []


async def _ask_binding(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn
) -> list[EventType]:
    """Of whom nothing is known; what may be a question about the rules ("能量是什么") has an answer all the same."""
    of_their_own = turn.sure or turn.first(FACT) is not None
    found = (await find_answers(tracker, turn)).best if turn.asks and not of_their_own else []
    if not sure(found) or found[0].answer.topic != turn.topic:
        return [SlotSet("missing", "binding")]
    focus = Focus(tracker)
    await say_answer(dispatcher, tracker, domain, found[0], focus)
    return focus.events()


async def _say_balance(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, energy: Energy) -> None:
    terms = await (await get_mall()).terms()
    price = terms["energy_for_coupon"]
    parts = [word(tracker, domain, "energy_owed").format(points=energy.owed)] if energy.owed else []
    parts += _waiting(tracker, domain, energy)
    if energy.expiring:
        told = {"points": energy.expiring, "day": day(tracker, energy.expires_at)}
        parts.append(word(tracker, domain, "energy_expiring").format(**told))
    coupon = {"price": price, "off": yuan(terms["energy_coupon_cents"])}
    buys = energy.active >= price
    parts.append(word(tracker, domain, "energy_buys" if buys else "energy_buys_later").format(**coupon))
    buttons = [button(word(tracker, domain, "energy_why"), "energy_balance", energy_fact="why")]
    if buys:
        buttons.append(wish_button(tracker, domain, "redeem_energy"))
    dispatcher.utter_message(
        response="utter_energy_balance", points=energy.active, more="".join(parts), buttons=buttons
    )


def _waiting(tracker: Tracker, domain: Domain, energy: Energy) -> list[str]:
    sums = (("energy_pending", energy.pending), ("energy_held", energy.held))
    return [word(tracker, domain, name).format(points=points) for name, points in sums if points]


async def _say_history(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> None:
    entries = await (await get_mall()).energy_history(tracker.sender_id, SHOWN)
    if entries:
        lines = "\n".join(_line(tracker, domain, entry) for entry in entries)
        dispatcher.utter_message(response="utter_energy_history", lines=lines)
    else:
        dispatcher.utter_message(response="utter_energy_no_history")


def _line(tracker: Tracker, domain: Domain, entry: EnergyEntry) -> str:
    what = str(entry.change)
    if entry.change is EnergyChange.EARNED:
        what = f"{entry.event}_{entry.level}" if entry.level else str(entry.event)
    state = ""
    if entry.waits:
        until = day(tracker, entry.until)
        state = word(tracker, domain, f"energy_state_{'until' if until else entry.waits}").format(until=until)
    told = {
        "day": day(tracker, entry.at),
        "what": word(tracker, domain, f"energy_{what}"),
        "points": f"{entry.points:+}",
    }
    return word(tracker, domain, "energy_line").format(**told, state=state)


async def _say_carriers(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> bool:
    """To whom cards belong; whether it was said. To anybody else, that others' energy is nobody's business."""
    try:
        carriers = await (await get_mall()).energy_carriers(tracker.sender_id, SHOWN)
    except NotPermitted:
        dispatcher.utter_message(response="utter_energy_rank_private")
        return False
    lines = [
        word(tracker, domain, "energy_carrier").format(
            place=place,
            name=each.name or word(tracker, domain, "energy_somebody"),
            people=each.people,
            points=each.points,
        )
        for place, each in enumerate(carriers, 1)
    ]
    if lines:
        dispatcher.utter_message(response="utter_energy_carriers", lines="\n".join(lines))
    else:
        dispatcher.utter_message(response="utter_energy_no_carriers")
    return True


class AwardEnergy(Action):
    """What is due by now may be spent from now on. What is earned, the mall decides by what friends have done, never by
    what is said here."""

    def name(self) -> str:
        return "action_award_energy"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall = await get_mall()
        try:
            points = await mall.settle_energy(tracker.sender_id, proof_key(tracker, "settle"))
            energy = await mall.energy_of(tracker.sender_id)
        except NotBound:
            return [SlotSet("missing", "binding")]
        if points:
            dispatcher.utter_message(response="utter_energy_settled", points=points, balance=energy.active)
        waiting = _waiting(tracker, domain, energy)
        if waiting:
            dispatcher.utter_message(response="utter_energy_waiting", waiting="".join(waiting), points=energy.active)
        elif not points:
            buttons = [button(word(tracker, domain, "energy_why"), "energy_balance", energy_fact="why")]
            dispatcher.utter_message(response="utter_energy_nothing_waits", points=energy.active, buttons=buttons)
        return []


class RedeemEnergyValidation(Validation):
    """For how many coupons: as many as are named, or as so many points buy, or all that can be had; else one."""

    flow = "redeem_energy"

    async def complete(self, request: Request) -> None:
        mall = await get_mall()
        try:
            energy = await mall.energy_of(request.sender)
        except NotBound:
            request.set(refusal={"name": "unbound"})
            return
        terms = await mall.terms()
        price, most = terms["energy_for_coupon"], terms["energy_coupons_at_once"]
        number = request.get("energy_coupons") or _wanted(request.turn, energy, price, most)
        if energy.active < price or number * price > energy.active or number > most:
            can_have = min(energy.active // price, most)
            told = {
                "wanted": number,
                "can_have": can_have,
                "points": energy.active,
                "owed": energy.owed,
                "price": price,
            }
            request.set(refusal={"name": "owed" if energy.owed else "short", **told})
        else:
            request.clear("refusal")
        request.set(energy_coupons=number, energy_price=price)


def _wanted(turn: Turn, energy: Energy, price: int, most: int) -> int:
    said = plain(turn.text)
    if chosen := turn.first("quantity"):
        return int(chosen)
    if points := _SAID["points"].search(said):
        return max(int(points["number"] or points["then"]) // price, 1)
    if _SAID["all"].search(said):
        return max(min(energy.active // price, most), 1)
    return 1


def _values(tracker: Tracker) -> dict[str, Any]:
    return {name: tracker.get_slot(name) for name in ("energy_coupons", "energy_price")}


class RefuseRedeemEnergy(Action):
    def name(self) -> str:
        return "action_refuse_redeem_energy"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        refusal: dict[str, Any] = tracker.get_slot("refusal") or {}
        if refusal.get("name") == "unbound":
            buttons = [wish_button(tracker, domain, "bind_account")]
            dispatcher.utter_message(response="utter_energy_unbound", buttons=buttons)
            return []
        _say_short(dispatcher, tracker, domain, refusal)
        return []


def _say_short(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, refusal: dict[str, Any]) -> None:
    buttons: Sequence[Button] = [button(word(tracker, domain, "energy_why"), "energy_balance", energy_fact="why")]
    if can_have := refusal["can_have"]:
        name = word(tracker, domain, "energy_redeem_some").format(count=can_have)
        buttons = [button(name, "redeem_energy", quantity=can_have), *buttons]
    response = f"utter_energy_{'owed' if refusal['owed'] else 'short_of_many' if can_have else 'short'}"
    dispatcher.utter_message(response=response, buttons=buttons, **refusal)


class AskConfirmRedeemEnergy(Action):
    def name(self) -> str:
        return "action_ask_confirm_redeem_energy"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values, terms = _values(tracker), await (await get_mall()).terms()
        return sum_up(
            dispatcher,
            tracker,
            "utter_ask_confirm_redeem_energy",
            values,
            points=values["energy_coupons"] * values["energy_price"],
            count=values["energy_coupons"],
            off=yuan(terms["energy_coupon_cents"]),
            days=terms["energy_coupon_days"],
        )


class RedeemEnergy(Action):
    def name(self) -> str:
        return "action_redeem_energy"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values, mall = _values(tracker), await get_mall()
        if not confirmed(tracker, values):
            return []
        number = int(values["energy_coupons"])
        try:
            redeemed = await mall.redeem_energy(tracker.sender_id, number, key(tracker, values))
        except EnergyShort as error:  # it was spent between the summary and the yes, in another window perhaps
            told = {
                "wanted": number,
                "points": max(error.balance, 0),
                "owed": max(-error.balance, 0),
                "price": error.price,
            }
            can_have = max(error.balance, 0) // error.price
            _say_short(dispatcher, tracker, domain, told | {"can_have": can_have})
            return []
        coupon = redeemed.coupons[0]
        dispatcher.utter_message(
            response="utter_energy_redeemed",
            count=len(redeemed.coupons),
            title=coupon.title,
            off=yuan(coupon.off_cents),
            until=day(tracker, coupon.valid_until),
            points=redeemed.points,
            left=redeemed.balance,
            buttons=[wish_button(tracker, domain, "my_coupons")],
        )
        return Focus(tracker).wrote("redeem_energy", None).events()
