"""How much a day sells: growth, weekends, sales festivals, and the seasons of goods (lunar dates from ``holidays``)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from random import Random

import holidays

from settings import SHANGHAI


class Season(StrEnum):
    SPRING_FESTIVAL = "spring_festival"
    DRAGON_BOAT = "dragon_boat"
    MID_AUTUMN = "mid_autumn"
    SUMMER = "summer"
    AUTUMN = "autumn"
    WINTER = "winter"


_NAMES = {Season.SPRING_FESTIVAL: "春节", Season.DRAGON_BOAT: "端午节", Season.MID_AUTUMN: "中秋节"}
_MONTHS = {Season.SUMMER: (5, 6, 7, 8), Season.AUTUMN: (9, 10, 11), Season.WINTER: (11, 12, 1, 2)}
_HOURS = (2, 1, 0.6, 0.4, 0.4, 0.8, 2, 4, 6, 7, 8, 8, 9, 8, 7, 7, 7, 7, 8, 10, 14, 15, 12, 6)
"""How many orders come in each hour of a day, relative to each other: lunch, and above all the evening."""


@cache
def festival(season: Season, year: int) -> date:
    """The first day of a lunar festival."""
    return min(holidays.country_holidays("CN", years=year, language="zh_CN").get_named(_NAMES[season]))


def days_after(season: Season, day: date) -> int:
    """Days from the nearest lunar festival of this name to ``day``; negative before it."""
    return min(((day - festival(season, year)).days for year in (day.year, day.year + 1)), key=abs)


def on_sale(day: date) -> bool:
    """In the weeks of 618 and 11.11 everything is cheaper."""
    return (day.month == 6 and day.day <= 18) or (day.month == 11 and day.day <= 11)


def demand(day: date) -> float:
    """What the whole mall sells on a day, relative to an ordinary weekday."""
    level = 1.15 if day.weekday() >= 5 else 1.0
    if -2 <= days_after(Season.SPRING_FESTIVAL, day) <= 6:
        return level * 0.3  # couriers rest
    peaks = {(11, 11): 6.0, (11, 10): 2.2, (6, 18): 4.5, (6, 1): 1.8, (12, 12): 2.2, (3, 8): 1.8}
    return level * peaks.get((day.month, day.day), 1.3 if on_sale(day) else 1.0)


def appetite(season: Season | None, day: date) -> float:
    """How much more, or less, seasonal goods sell on a day; 1 for goods of all seasons."""
    if season is None:
        return 1.0
    if season in _MONTHS:
        return 2.4 if day.month in _MONTHS[season] else 0.35
    days = days_after(season, day)
    if -28 <= days <= -1:
        return 12.0 if days >= -18 else 5.0
    return 1.5 if days == 0 else 0.06


def moment(rng: Random, day: date, first_hour: int = 0, last_hour: int = 23) -> datetime:
    """A time of day at which people shop; ``last_hour`` counts."""
    hours = range(first_hour, last_hour + 1)
    hour = rng.choices(hours, _HOURS[first_hour : last_hour + 1])[0]
    return datetime.combine(day, time(hour, rng.randrange(60), rng.randrange(60)), SHANGHAI)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), SHANGHAI)


def days_before(day: date, count: int) -> list[date]:
    """The ``count`` days that end the day before ``day``."""
    return [day - timedelta(days=number) for number in range(count, 0, -1)]
