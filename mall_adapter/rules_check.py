"""``python -m mall_adapter rules-check``: what is wrong with a file of rules, or what it decides."""

from __future__ import annotations

from pathlib import Path

from mall_adapter.facts import AfterSalesFacts, Trade
from mall_adapter.house_rules import HouseRules
from mall_adapter.policy import AfterSalesPolicy
from mall_adapter.rules import LIMITS, NAMES, OFFERS, BrokenRules, Proof, prove, read
from mall_adapter.values import Decision, FreightPayer, OrderStatus, Reason, TicketKind

_FREIGHT = {
    FreightPayer.CUSTOMER: ("运费顾客付", "the customer pays the freight"),
    FreightPayer.SHOP: ("运费商家付", "the shop pays the freight"),
    FreightPayer.NOBODY: ("不用寄回", "nothing is sent back"),
}

_K, _R, _S, _T = TicketKind, Reason, OrderStatus, Trade
_TYPICAL: tuple[tuple[TicketKind, Reason, OrderStatus, int | None, Trade, bool | None, str], ...] = (
    (_K.REFUND, _R.CHANGED_MIND, _S.PAID, None, _T.CLOTHING, None, ""),
    (_K.RETURN, _R.CHANGED_MIND, _S.SHIPPED, None, _T.CLOTHING, None, ""),
    (_K.REFUND, _R.LATE_DELIVERY, _S.SHIPPED, None, _T.CLOTHING, None, "parcel_late"),
    (_K.RETURN, _R.DISLIKE, _S.DELIVERED, 3, _T.CLOTHING, None, ""),
    (_K.EXCHANGE, _R.WRONG_SIZE, _S.DELIVERED, 3, _T.CLOTHING, None, ""),
    (_K.RETURN, _R.DISLIKE, _S.DELIVERED, 3, _T.BEAUTY, None, ""),
    (_K.RETURN, _R.DISLIKE, _S.DELIVERED, 3, _T.BEAUTY, False, ""),
    (_K.RETURN, _R.DISLIKE, _S.DELIVERED, 3, _T.BEAUTY, True, ""),
    (_K.RETURN, _R.DISLIKE, _S.COMPLETED, 30, _T.CLOTHING, None, ""),
    (_K.RETURN, _R.QUALITY, _S.DELIVERED, 3, _T.DIGITAL, True, ""),
    (_K.RETURN, _R.QUALITY, _S.DELIVERED, 10, _T.DIGITAL, True, ""),
    (_K.REFUND, _R.MISSING_ITEM, _S.DELIVERED, 3, _T.FOOD, None, ""),
    (_K.RETURN, _R.QUALITY, _S.DELIVERED, 1, _T.FOOD, None, "fresh"),
    (_K.RETURN, _R.DISLIKE, _S.DELIVERED, 1, _T.CLOTHING, None, "custom_made"),
)
_SAID = {"parcel_late": ("已晚到", "late"), "fresh": ("生鲜", "fresh"), "custom_made": ("定制", "made to order")}
_OPENED = {True: ("已拆封", "opened"), False: ("未拆封", "unopened")}


def check(path: Path) -> bool:
    """Prints what an operator has to know of the file; is it good?

    What kind it is says its name, or that of the house's own (``PROOFS_FILE``); else it is after-sales rules.
    """
    house = HouseRules()
    file = next((one for one in house.files if path.name in (one.path.name, one.kept)), house.after_sales)
    try:
        content = read(path)
        if file not in (house.after_sales, house.offers):
            file.read(path)
            print(f"✔ {path.name}：没有错误 / no faults\n")
            return True
        proof = prove(content, path.name, *([OFFERS] if file is house.offers else []))
    except BrokenRules as error:
        for fault in error.faults:
            print(f"✘ {fault}")
        print(f"\n{path.name}：{len(error.faults)} 处错误，不能使用 / {len(error.faults)} fault(s): it cannot be used")
        return False
    _tell(path, proof)
    if file is house.after_sales:
        _try_typical(AfterSalesPolicy(content, path.name))
    return True


def _tell(path: Path, proof: Proof) -> None:
    rows = " · ".join(f"{name} {count}" for name, count in proof.rows.items())
    print(f"✔ {path.name}：没有错误 / no faults\n")
    print(f"行数 / rows: {rows}")
    print(f"{proof.combinations:,} 种情况都有一行管，试算 {proof.trials} 次 / every combination is decided\n")
    print("期限与额度 / limits:")
    for name, value in proof.limits.items():
        print(f"  {name} = {value}" + (f"　{LIMITS[name]}" if name in LIMITS else ""))


def _try_typical(policy: AfterSalesPolicy) -> None:
    print("\n常见申请 / typical requests:")
    for kind, reason, status, days, trade, opened, more in _TYPICAL:
        facts = AfterSalesFacts(
            kind=kind,
            reason=reason,
            order_status=status,
            days_since_delivery=days,
            hours_since_delivery=None if days is None else days * 24.0,
            parcel_lost=False,
            parcel_late=more == "parcel_late",
            trade=trade,
            fresh=more == "fresh",
            custom_made=more == "custom_made",
            opened=opened,
            amount_cents=100,
            tickets_last_90_days=0,
        )
        extra = [pair for pair in (_OPENED.get(opened) if opened is not None else None, _SAID.get(more)) if pair]
        since = ("" if days is None else f"第 {days} 天", "" if days is None else f"day {days}")
        chinese = [NAMES[kind], NAMES[reason], NAMES[status] + since[0], NAMES[trade], *(pair[0] for pair in extra)]
        english = [kind, reason, f"{status} {since[1]}".strip(), trade, *(pair[1] for pair in extra)]
        outcome = _told(policy.decide(facts))
        print(f"  {'，'.join(chinese)} → {outcome[0]}")
        print(f"    {', '.join(english)} → {outcome[1]}")


def _told(decision: Decision) -> tuple[str, str]:
    """In Chinese and English, with the rule's name."""
    if decision.missing_facts:
        return f"先问有没有拆封（{decision.rule}）", f"asks whether it was opened ({decision.rule})"
    if not decision.allowed:
        return f"不能办（{decision.rule}）", f"refused ({decision.rule})"
    freight, days = _FREIGHT[decision.freight_payer], decision.handling_days
    how = ("自动通过", "approved at once") if decision.auto_approve else ("人工审核", "a person looks")
    return (
        f"可以，{freight[0]}，{how[0]}，{days} 个工作日（{decision.rule}）",
        f"allowed, {freight[1]}, {how[1]}, {days} working day(s) ({decision.rule})",
    )
