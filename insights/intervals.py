"""Intervals of shares and of their differences, which hold for few cases and for shares near 0, too."""

from __future__ import annotations

from math import sqrt

Z = 1.959963984540054
"""Of 95 per cent."""


def share(hits: int, of: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927); 0 to 1 where there is nothing."""
    if not of:
        return 0.0, 1.0
    p, half = hits / of, Z * Z / (2 * of)
    spread = Z * sqrt(p * (1 - p) / of + Z * Z / (4 * of * of))
    return max(0.0, (p + half - spread) / (1 + 2 * half)), min(1.0, (p + half + spread) / (1 + 2 * half))


def difference(hits: int, of: int, other_hits: int, of_others: int) -> tuple[float, float]:
    """The 95 % interval of the first share less the other (Newcombe, Statistics in Medicine 17, 1998, method 10)."""
    low, high = share(hits, of)
    other_low, other_high = share(other_hits, of_others)
    p = hits / of if of else 0.5
    q = other_hits / of_others if of_others else 0.5
    return (
        p - q - sqrt((p - low) ** 2 + (other_high - q) ** 2),
        p - q + sqrt((high - p) ** 2 + (q - other_low) ** 2),
    )
