"""What was learned: reports on what the house tried, from what its other rooms have recorded. Writes nothing.

``python -m insights offers`` tells what offers to worried customers have done.
"""

from __future__ import annotations

from insights.offers import OfferReport, VariantReport, report_offers

__all__ = ["OfferReport", "VariantReport", "report_offers"]
