"""Parcels on their way: carrier, promise, and the scans that a customer sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from random import Random

from demo.goods import Article
from demo.people import Person, Region
from mall_adapter.policy import Trade
from mall_adapter.values import ParcelStatus
from settings import SHANGHAI


class Fate(StrEnum):
    ON_TIME = "on_time"
    LATE = "late"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Scan:
    time: datetime
    place: str
    text: str
    status: ParcelStatus = ParcelStatus.IN_TRANSIT


@dataclass(frozen=True, slots=True)
class Parcel:
    carrier: str
    tracking_number: str
    status: ParcelStatus
    promised_by: datetime
    shipped_at: datetime
    delivered_at: datetime | None
    scans: list[Scan] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Journey:
    """The whole of a parcel's way, including what still lies in the future."""

    origin: Region
    to: Person
    shipped_at: datetime
    promised_by: datetime
    arrives_at: datetime  # of a lost parcel: when the carrier says so
    fate: Fate


_CARRIERS = {"疾鹿速运": "JL", "飞梭快递": "FS", "驼铃大件": "TD", "云岭冷链": "YL"}
_DELIVERED = (
    "已签收，签收人：本人",
    "已签收，放在家门口",
    "已放入小区快递柜，凭取件码领取",
    "已签收，签收人：家人",
    "已送到小区驿站，凭取件码领取",
)
_HELD_UP = ("因天气原因车辆晚点，正在加急转运", "包裹量较大，转运中心分拣延迟", "道路管制，运输车辆绕行")


def plan(rng: Random, origin: Region, to: Person, shipped_at: datetime, fate: Fate) -> Journey:
    """A usual journey: the promise leaves two days more than the way usually takes; late parcels miss it."""
    day = shipped_at.date()
    promised = day + timedelta(days=to.region.days + 2)
    if fate is Fate.ON_TIME:
        arrives = day + timedelta(days=to.region.days + rng.choice((0, 0, 1, 2)))
    else:
        arrives = promised + timedelta(days=rng.randint(1, 6))
    return Journey(
        origin,
        to,
        shipped_at,
        promised_by=datetime.combine(promised, time(23, 59, 59), SHANGHAI),
        arrives_at=datetime.combine(arrives, time(rng.randint(9, 20), rng.randrange(60), rng.randrange(60)), SHANGHAI),
        fate=fate,
    )


def send(rng: Random, journey: Journey, articles: list[Article], now: datetime) -> Parcel:
    """The parcel as it stands at ``now``."""
    carrier = carrier_of(rng, articles)
    scans = [scan for scan in scans_of(rng, journey, carrier) if scan.time < now]
    arrived = journey.arrives_at < now
    if journey.fate is Fate.LOST and arrived:
        status = ParcelStatus.LOST
    elif arrived:
        status = ParcelStatus.DELIVERED
    elif journey.promised_by < now:
        status = ParcelStatus.DELAYED
    else:
        status = ParcelStatus.IN_TRANSIT if scans[-1].status is ParcelStatus.DELAYED else scans[-1].status
    return Parcel(
        carrier=carrier,
        tracking_number=number_of(rng, carrier),
        status=status,
        promised_by=journey.promised_by,
        shipped_at=journey.shipped_at,
        delivered_at=journey.arrives_at if status is ParcelStatus.DELIVERED else None,
        scans=scans,
    )


def number_of(rng: Random, carrier: str) -> str:
    return f"{_CARRIERS[carrier]}{rng.randrange(10**11, 10**12)}"


def carrier_of(rng: Random, articles: list[Article]) -> str:
    if any(article.fresh for article in articles):
        return "云岭冷链"
    if any(article.category in {"空调", "冰箱", "洗衣机"} for article in articles):
        return "驼铃大件"
    premium = any(article.supplier.trade is Trade.DIGITAL for article in articles)
    return "疾鹿速运" if rng.random() < (0.8 if premium else 0.45) else "飞梭快递"


def scans_of(rng: Random, journey: Journey, carrier: str) -> list[Scan]:
    """揽收 → 转运中心 → 派送 → 签收, oldest first."""
    start, end = journey.shipped_at, journey.arrives_at
    here, there = journey.origin.hub, journey.to.region.hub
    station = f"{journey.to.city} {journey.to.district}"

    def at(share: float) -> datetime:
        # never in the same minute for two parcels, always in order for one
        return (start + (end - start) * (share + rng.uniform(0, 0.04))).replace(microsecond=0)

    scans = [
        Scan(start, here, f"商家已发货，{carrier}已揽收"),
        Scan(at(0.08), here, f"包裹已到达{here}转运中心"),
        Scan(
            at(0.16),
            here,
            f"包裹已离开{here}转运中心，发往{there}" if here != there else "包裹分拣完成，发往本地营业部",
        ),
    ]
    if journey.fate is Fate.LOST:
        scans.append(Scan(at(0.6), here, "超过 72 小时没有新的扫描记录，承运商正在查找"))
        scans.append(Scan(end, here, "承运商确认包裹遗失，已通知商家", ParcelStatus.LOST))
        return scans
    if journey.fate is Fate.LATE:
        scans.append(Scan(at(0.4), here, rng.choice(_HELD_UP), ParcelStatus.DELAYED))
    if here != there:
        scans.append(Scan(at(0.62), there, f"包裹已到达{there}转运中心"))
    scans.append(Scan(at(0.72), station, f"包裹已到达{journey.to.district}营业部"))
    if end - start > timedelta(days=4.5) and rng.random() < 0.4:
        failed_at = end - timedelta(minutes=rng.randint(23 * 60, 24 * 60))
        scans.append(Scan(failed_at, station, "派送时联系不上收件人，改天再次派送"))
    out_at = end - timedelta(minutes=rng.randint(40, 150))
    scans.append(Scan(out_at, station, "正在派送，快递员会先和您联系", ParcelStatus.OUT_FOR_DELIVERY))
    scans.append(Scan(end, station, rng.choice(_DELIVERED), ParcelStatus.DELIVERED))
    return scans
