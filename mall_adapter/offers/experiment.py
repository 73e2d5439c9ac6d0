"""Who is in which variant of the experiment: by a hash of the customer, so it stays the same and needs no table."""

from __future__ import annotations

import hashlib

from mall_adapter.offers.rules import Experiment


def variant_of(experiment: Experiment, customer_id: str) -> tuple[str, int]:
    """The name of the customer's variant, and how much per cent of what the table says it gives."""
    digest = hashlib.sha256(f"{experiment.name}:{customer_id}".encode()).digest()
    place, end = int.from_bytes(digest[:8], "big") % 100, 0
    for name, variant in experiment.variants.items():
        end += variant.share
        if place < end:
            return name, variant.percent
    raise AssertionError("the shares add up to 100")
