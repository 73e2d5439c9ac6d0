"""Tables of the mall and of its service desk, a capability a file.

Times are aware UTC, money is integer cents of CNY, ids are strings that people can read. What names a person is
encrypted (:class:`privacy.EncryptedText`); where it must be looked up there is a keyed hash (``blind_index``)
beside it. The same models serve SQLite and PostgreSQL.
"""

from mall_adapter.models.regions import Level, Region
from mall_adapter.models.people import (
    ChannelAccount,
    Customer,
    Membership,
    Merger,
    Principal,
    name_index,
    phone_index,
    sender_index,
)
from mall_adapter.models.goods import Supplier, Product, Sku
from mall_adapter.models.prices import Price
from mall_adapter.values import PriceKind
from mall_adapter.models.stock import MovementKind, Stock, StockMovement, Warehouse
from mall_adapter.models.freight import FreightTemplate, FreightUnit
from mall_adapter.models.orders import phone_tail_index, Fulfilment, Order, OrderLine, Shipment, ShipmentLine, TrackingEvent
from mall_adapter.models.after_sales import Ticket, TicketLine, TicketEvent
from mall_adapter.models.clients import ApiClient
from mall_adapter.models.coupons import Coupon
from mall_adapter.models.energy import EnergyAccount, EnergyCard, EnergyEntry, EnergyLot, EnergyReferral, EnergySignal
from mall_adapter.models.invoices import Invoice
from mall_adapter.models.proofs import typed_order_index, address_index, code_index, BindingCode, OwnershipProof, WrongProofs
from mall_adapter.models.desk import DeskUpdate, Handoff, Misunderstood, Complaint, ConversationView
from mall_adapter.models.demo import Demo
from mall_adapter.models.cards import Card, CardConversion, CardDeclined, CardForward, CardHolder, CardVisitor
from mall_adapter.models.leads import Lead, LeadQuestion, LeadReading, LeadStage
from mall_adapter.models.offers import Offer, OfferBudget
from mall_adapter.models.notices import Broadcast, BroadcastState, NoticeChoice, StockWatch
from storage import Base

__all__ = [
    "Warehouse",
    "StockMovement",
    "Stock",
    "StockWatch",
    "Region",
    "PriceKind",
    "Price",
    "MovementKind",
    "Level",
    "FreightUnit",
    "FreightTemplate",
    "ApiClient",
    "Base",
    "Broadcast",
    "BroadcastState",
    "BindingCode",
    "Card",
    "CardConversion",
    "CardDeclined",
    "CardForward",
    "CardHolder",
    "CardVisitor",
    "ChannelAccount",
    "Complaint",
    "ConversationView",
    "Coupon",
    "Customer",
    "Demo",
    "DeskUpdate",
    "EnergyAccount",
    "EnergyCard",
    "EnergyEntry",
    "EnergyLot",
    "EnergyReferral",
    "EnergySignal",
    "Fulfilment",
    "Handoff",
    "Invoice",
    "Lead",
    "LeadQuestion",
    "LeadReading",
    "LeadStage",
    "Membership",
    "Merger",
    "Misunderstood",
    "NoticeChoice",
    "Offer",
    "OfferBudget",
    "Order",
    "OrderLine",
    "OwnershipProof",
    "Principal",
    "Product",
    "Shipment",
    "ShipmentLine",
    "Sku",
    "Supplier",
    "Ticket",
    "TicketEvent",
    "TicketLine",
    "TrackingEvent",
    "WrongProofs",
    "address_index",
    "code_index",
    "name_index",
    "phone_index",
    "phone_tail_index",
    "sender_index",
    "typed_order_index",
]
