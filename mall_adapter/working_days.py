"""Working days in China, as promises count them."""

from __future__ import annotations

from datetime import date

import holidays

_CHINA = holidays.country_holidays("CN")


def working_day_after(start: date, days: int) -> date:
    """The ``days``-th (1 or more) working day after ``start``; both are dates in Asia/Shanghai.

    Weekends and public holidays do not count; weekend days worked in exchange for a longer holiday (调休) do. The State
    Council announces those each November for the next year, and the ``holidays`` package follows. In a year that the
    installed package does not know yet only the statutory days and their substitutes are off, so a promise around a
    long holiday may be some days wrong: update the package in December.
    """
    return _CHINA.get_nth_working_day(start, days)
