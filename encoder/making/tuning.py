"""Tunes the upper half of the encoder on two things at once: what a line wants, and which answer a question is for.

Learning intents alone makes the vectors forget what intents do not tell apart; so the same vector must also find the
answer of a question, and still tell what the untuned encoder said of the line.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from encoder.making.network import Blocks, embedded, padded, pooled
from encoder.making.vocabulary import SPECIAL
from encoder.making.weights import Array, Weights

FROZEN = 6
EPOCHS = 4
LINES, QUESTIONS = 32, 20
"""Of a step."""

RATE, HEADS_RATE = 3e-4, 2e-3
WARM = 0.06
SMOOTHING = 0.1
SHARPNESS = 16.0
REMEMBER = 1.0
"""Weight of telling what the untuned encoder said."""

CHUNK = 50
"""Steps whose lines are sorted by their length, so that few pieces are filler."""

PAD = SPECIAL["<pad>"]


@dataclass(frozen=True)
class Tuned:
    weights: Weights
    head: tuple[Array, Array]  # numbers × intents, and a bias


@dataclass(frozen=True)
class Task:
    """Lines (numbers of pieces) and what each is, as a number."""

    lines: Sequence[Sequence[int]]
    truth: NDArray[np.intp]


class _Cached:
    """What the lower half makes of each line, and the vector of the untuned encoder; computed once."""

    def __init__(self, weights: Weights, lines: Sequence[Sequence[int]]) -> None:
        lower = Blocks(weights.layers[:FROZEN], weights.heads).eval()
        upper = Blocks(weights.layers[FROZEN:], weights.heads).eval()
        starts = np.cumsum([0, *map(len, lines)])
        self.lengths = np.diff(starts)
        self._starts = torch.from_numpy(starts)
        self._half = torch.empty((int(starts[-1]), weights.words.shape[1]), dtype=torch.float16)
        self.raw = torch.empty((len(lines), weights.words.shape[1]))
        order = np.argsort(self.lengths, kind="stable")
        with torch.inference_mode():
            for start in range(0, len(order), 64):
                some = order[start : start + 64]
                numbers = padded([list(lines[place]) for place in some], PAD)
                mask = numbers != PAD
                half = lower(embedded(weights, numbers), mask)
                self.raw[some] = pooled(upper(half, mask), mask)
                for place, row in zip(some, half, strict=True):
                    self._half[starts[place] : starts[place + 1]] = row[: self.lengths[place]]
                if start % 6400 == 0:
                    print(f"  reading {start}/{len(order)}", flush=True)
        self.raw -= self.raw.mean(0)

    def __getitem__(self, places: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        """Lines × pieces × numbers, and where there is a piece."""
        lengths = torch.from_numpy(self.lengths[places])
        at = torch.arange(int(lengths.max()))
        mask = at < lengths[:, None]
        rows = torch.where(mask, self._starts[torch.from_numpy(places)][:, None] + at, 0)
        return self._half[rows].float(), mask


def tune(weights: Weights, intents: Task, answers: Task, copies: Mapping[int, int], copied: float = 0.05) -> Iterator[Tuned]:
    """One after each epoch; the last is the best."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    lines = [*intents.lines, *answers.lines]
    cached = _Cached(weights, lines)
    size = weights.words.shape[1]
    upper = Blocks(weights.layers[FROZEN:], weights.heads).train()
    head, remember = nn.Linear(size, int(intents.truth.max()) + 1), nn.Linear(size, size)
    nn.init.zeros_(head.weight)
    nn.init.eye_(remember.weight)
    near = functional.normalize(cached.raw[len(intents.lines) :], dim=1)
    own = torch.zeros(int(answers.truth.max()) + 1, size).index_add_(0, torch.from_numpy(answers.truth), near)
    prototypes = nn.Parameter(functional.normalize(own, dim=1))
    with torch.inference_mode():
        mean = torch.stack([pooled_of(upper, cached, np.arange(s, min(s + 64, len(lines)))).mean(0) for s in range(0, len(lines), 640)]).mean(0)
    mean = mean.clone()
    parts = [
        {"params": upper.parameters(), "lr": RATE},
        {"params": [*head.parameters(), *remember.parameters(), prototypes], "lr": HEADS_RATE},
    ]
    learning = torch.optim.AdamW(parts, weight_decay=0.01, fused=True)
    each = len(intents.lines) // LINES
    total = each * EPOCHS
    schedule = torch.optim.lr_scheduler.LambdaLR(
        learning, lambda step: min((step + 1) / (WARM * total), max(0.0, (total - step) / ((1 - WARM) * total)))
    )
    started, seen = time.monotonic(), [0.0] * 5
    questions = _endless(len(answers.lines), QUESTIONS, cached.lengths[len(intents.lines) :], random)
    step = 0
    for epoch in range(EPOCHS):
        upper.train()
        for mine in _batches(len(intents.lines), LINES, cached.lengths[: len(intents.lines)], random):
            theirs = next(questions)
            places = np.concatenate([mine, theirs + len(intents.lines)])
            half, mask = cached[places]
            vectors = pooled(upper(half, mask), mask)
            centred = functional.normalize(vectors - mean, dim=1)
            wanted = functional.cross_entropy(
                head(functional.dropout(vectors[: len(mine)] - mean, 0.1)), torch.from_numpy(intents.truth[mine]), label_smoothing=SMOOTHING
            )
            scores = SHARPNESS * centred[len(mine) :] @ functional.normalize(prototypes, dim=1).T
            found = functional.cross_entropy(scores, torch.from_numpy(answers.truth[theirs]), label_smoothing=SMOOTHING)
            forgot = 1 - functional.cosine_similarity(remember(vectors - mean), cached.raw[places]).mean()
            learning.zero_grad()
            (wanted + 0.5 * found + REMEMBER * forgot).backward()
            nn.utils.clip_grad_norm_(upper.parameters(), 1.0)
            learning.step()
            schedule.step()
            step += 1
            seen = [0.98 * old + 0.02 * float(new) for old, new in zip(seen, (wanted, found, forgot, 0, 0), strict=True)]
            if step % 100 == 0:
                spent = time.monotonic() - started
                print(
                    f"  {step}/{total}: {spent / 60:.1f} min, {spent / step * (total - step) / 60:.0f} min left;"
                    f" wanted {seen[0]:.3f}, found {seen[1]:.3f}, forgot {seen[2]:.3f}  cpu {time.process_time():.0f}",
                    flush=True,
                )
        tuned = replace(weights, layers=[*weights.layers[:FROZEN], *(block.layer() for block in upper.blocks)])
        weight = head.weight.detach().numpy().T.copy()
        yield Tuned(tuned, (weight, head.bias.detach().numpy() - mean.numpy() @ weight))


def pooled_of(upper: Blocks, cached: _Cached, places: NDArray[np.intp]) -> Tensor:
    half, mask = cached[places]
    return pooled(upper(half, mask), mask)


def _batches(number: int, size: int, lengths: NDArray[np.intp], random: np.random.Generator) -> list[NDArray[np.intp]]:
    order = random.permutation(number)
    batches = []
    for start in range(0, number - size + 1, size * CHUNK):
        some = order[start : start + size * CHUNK]
        some = some[np.argsort(lengths[some], kind="stable")]
        batches += [some[at : at + size] for at in range(0, len(some) - size + 1, size)]
    return [batches[place] for place in random.permutation(len(batches))]


def _endless(number: int, size: int, lengths: NDArray[np.intp], random: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    while True:
        yield from _batches(number, size, lengths, random)
