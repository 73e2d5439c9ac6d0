"""All files of rules of a running house."""

from __future__ import annotations

import asyncio

import settings
from mall_adapter.cards.rules import CardRules
from mall_adapter.desk_rules import DeskRules
from mall_adapter.energy.rules import TITLE, EnergyRules
from mall_adapter.offers.rules import OfferLimits, OfferTable
from mall_adapter.policy import AfterSalesPolicy
from mall_adapter.promises import Promises
from mall_adapter.proof_limits import ProofLimits
from mall_adapter.rules import RulesFile

AnyFile = (
    RulesFile[AfterSalesPolicy]
    | RulesFile[ProofLimits]
    | RulesFile[Promises]
    | RulesFile[DeskRules]
    | RulesFile[CardRules]
    | RulesFile[EnergyRules]
    | RulesFile[OfferTable]
    | RulesFile[OfferLimits]
)


class HouseRules:
    """All of them."""

    def __init__(self) -> None:
        self.after_sales = RulesFile(
            AfterSalesPolicy, settings.rules_file, "after_sales.json", ("售后规则", "the after-sales rules")
        )
        self.proofs = RulesFile(ProofLimits, settings.proofs_file, "proofs.yml", ("验证次数", "the limits of proofs"))
        self.promises = RulesFile(Promises, settings.promises_file, "promises.yml", ("时效承诺", "the promises"))
        self.desk = RulesFile(DeskRules, settings.desk_file, "desk.yml", ("客服设置", "the rules of the desk"))
        self.cards = RulesFile(CardRules, settings.cards_file, "cards.yml", ("名片规则", "the rules of cards"))
        self.energy = RulesFile(EnergyRules, settings.energy_file, "energy.yml", TITLE)
        self.offers = RulesFile(OfferTable, settings.offers_file, "offers.json", ("安抚规则", "the table of offers"))
        self.budgets = RulesFile(
            OfferLimits, settings.budgets_file, "budgets.yml", ("安抚预算", "the budgets of offers")
        )
        self.files: tuple[AnyFile, ...] = (
            *(self.after_sales, self.proofs, self.promises, self.desk),
            *(self.cards, self.energy, self.offers, self.budgets),
        )

    def look(self) -> None:
        """See :meth:`RulesFile.look`."""
        for file in self.files:
            file.look()

    async def watch(self) -> None:
        """Until it is cancelled."""
        await asyncio.gather(*(file.watch() for file in self.files))

    async def warnings(self) -> list[str]:
        """For the health: a sentence for each file that is broken."""
        return [warning for file in self.files if (warning := file.warning())]


def house_policy() -> AfterSalesPolicy:
    """The rules by which the house decides now. Raises BrokenRules where there never was a good file."""
    return HouseRules().after_sales.load()
