"""A mall to look at: generated from a fixed seed, with orders on which conversations and tests can count.

What is sold stands in ``catalogue/``, who must exist in ``stories.yml``; the rest is drawn by chance, always the same
for the same day. ``python -m mall_adapter seed`` puts it into the mall (:func:`seed`, unless it is :func:`unwanted`
there) and ``… unseed`` takes it out again; both may raise :class:`DemoRefused`. ``… live`` lets it live on
(:func:`live_on`). What it brings carries a mark, by which the pages know it (:func:`mall_adapter.is_demo`).
"""

from demo.live import live_on
from demo.place import DemoRefused, unseed, unwanted
from demo.seeding import seed

__all__ = [
    "DemoRefused",
    "live_on",
    "seed",
    "unseed",
    "unwanted",
]
