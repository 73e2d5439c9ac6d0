"""A thousand conversations at once, and the memory of each process under a steady load: `python -m tests.bench.load`.

First so many customers of the web chat all write at once, then as many of all three channels; each says a few things,
one after another. Nothing may be lost, and nothing answered twice. With ``--minutes`` customers then come and go at a
steady rate, and the growth of each process is fitted with a line, of what it holds after the first fifth of the time.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy
import psutil

from tests.bench.customers import FAULTS, KINDS, Customer, House, by_channel, judged, opened, percentiles, settled

TALK = ("你好", "退货运费谁出", "发票怎么开")
STEADY = ("你好", "退货运费谁出", "我想退货", "算了", "发票怎么开", "多久能到账", "谢谢")

LOOK_SECONDS = 15.0
"""Between two looks at the memory."""

WARM = 0.2
"""Of the time, in which caches fill."""


async def conversation(customer: Customer, talk: Sequence[str]) -> None:
    for text in talk:
        await customer.say(text)


async def at_once(house: House, title: str, channels: Sequence[str], conversations: int) -> bool:
    """Whether nothing was lost and nothing doubled."""
    customers = [_customer(house, channels[number % len(channels)]) for number in range(conversations)]
    start = time.monotonic()
    await asyncio.gather(*(conversation(customer, TALK) for customer in customers))
    lasted = time.monotonic() - start
    await settled(600)
    verdict = await judged(customers)
    messages = sum(len(customer.said) for customer in customers)
    print(f"\n{title}: {conversations} conversations at once, {messages} messages, {messages / lasted:.1f} a second")
    for channel, said in by_channel(customers).items():
        waited = [each.answered - each.at for each in said if each.answered]
        again = sum(each.tries - 1 for each in said)
        print(f"  {channel:9} {len(waited)} of {len(said)} answered, {again} brought again; {percentiles(waited)}")
    found = ", ".join(f"{len(getattr(verdict, name))} {name}" for name in FAULTS)
    print(f"  {found}; left over: {verdict.open or 'nothing'}", flush=True)
    for fault in verdict.faults[:20]:
        print(f"  {fault}")
    return not verdict.faults


async def steady(house: House, minutes: float, rate: float) -> bool:
    """Customers come and go, ``rate`` messages a second."""
    customers: list[Customer] = []
    talks: set[asyncio.Task[None]] = set()
    looking = asyncio.create_task(_look(house, minutes))
    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        customers.append(_customer(house, random.choice(list(KINDS))))  # noqa: S311
        talks.add(talk := asyncio.create_task(conversation(customers[-1], STEADY)))
        talk.add_done_callback(talks.discard)
        await asyncio.sleep(random.expovariate(rate / len(STEADY)))
    await asyncio.gather(*talks)
    samples = await looking
    await settled(120)
    verdict = await judged(customers)
    messages = sum(len(customer.said) for customer in customers)
    print(f"\n{messages} messages in {minutes:g} minutes; {len(verdict.faults)} faults: {verdict.faults[:9]}")
    print(f"{'resident (MiB)':24}{'first':>8}{'warm':>8}{'last':>8}{'most':>8}{'MiB an hour':>14}")
    for name, found in samples.items():
        times, sizes = map(numpy.array, zip(*found, strict=True))
        warm = times >= times[0] + WARM * (times[-1] - times[0])
        slope = numpy.polyfit(times[warm], sizes[warm], 1)[0] * 3600
        marks = (sizes[0], sizes[warm][0], sizes[-1], sizes.max(), slope)
        print(f"{name:24}{marks[0]:8.1f}{marks[1]:8.1f}{marks[2]:8.1f}{marks[3]:8.1f}{marks[4]:14.1f}")
    return not verdict.faults


async def _look(house: House, minutes: float) -> dict[str, list[tuple[float, float]]]:
    """Seconds and MiB of each part of the stack."""
    samples: dict[str, list[tuple[float, float]]] = {}
    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        for name, pid in {"supervisor": house.stack.supervisor.pid, **house.stack.pids()}.items():
            process = psutil.Process(pid)
            family = (process,) if name == "supervisor" else (process, *process.children(True))
            size = sum(one.memory_info().rss for one in family) / 2**20
            samples.setdefault(name, []).append((time.monotonic(), size))
        print(" ".join(f"{name} {found[-1][1]:.0f}" for name, found in samples.items()), flush=True)
        await asyncio.sleep(LOOK_SECONDS)
    return samples


def _customer(house: House, channel: str) -> Customer:
    return KINDS[channel](house)


async def run(conversations: int, minutes: float, rate: float) -> bool:
    well = True
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder) / "data") as house:
            if conversations:
                well &= await at_once(house, "web", ["web"], conversations)
                well &= await at_once(house, "all channels", list(KINDS), conversations)
            if minutes:
                well &= await steady(house, minutes, rate)
    return well


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load", description=__doc__)
    parser.add_argument("--conversations", type=int, default=1000, help="at once; 0: none")
    parser.add_argument("--minutes", type=float, default=0.0, help="of a steady load; an hour is worth believing")
    parser.add_argument("--rate", type=float, default=2.0, help="messages a second of it")
    arguments = parser.parse_args()
    if not asyncio.run(run(arguments.conversations, arguments.minutes, arguments.rate)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
