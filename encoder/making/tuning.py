"""Tunes the upper half of the encoder on two things at once: what a line wants, and which answer a question is for.

Learning intents alone makes the vectors forget what intents do not tell apart; so the same vector must also find the
answer of a question, and still tell what the untuned encoder said of the line.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from encoder.making.network import DROPOUT, Blocks, embedded, padded, pooled
from encoder.making.vocabulary import SPECIAL
from encoder.making.weights import Array, Weights

FROZEN = 6
EPOCHS = 5
LINES, QUESTIONS = 32, 16
"""Of a step."""

RATE, HEADS_RATE = 3e-4, 2e-3
WARM = 0.06
SMOOTHING = 0.1
SHARPNESS = 16.0
FINDING, REMEMBERING = 0.5, 1.0
"""Weights of finding answers, and of telling what the untuned encoder said, beside the intents."""

TOLD = 50
"""Steps between two words about how far it is."""

CHUNK = 50
"""Steps whose lines are sorted by their length, so that few pieces are filler."""

PAD = SPECIAL["<pad>"]

Places = NDArray[np.intp]


@dataclass(frozen=True)
class Tuned:
    weights: Weights
    mean: Array
    head: tuple[Array, Array]  # numbers × intents, and a bias


@dataclass(frozen=True)
class Task:
    """Lines (numbers of pieces) and what each is, as a number."""

    lines: Sequence[Sequence[int]]
    truth: Places


class Halfway:
    """What the lower half makes of each line, and the vector of the untuned encoder; computed once."""

    def __init__(self, weights: Weights, lines: Sequence[Sequence[int]]) -> None:
        lower = Blocks(weights.layers[:FROZEN], weights.heads).eval().bfloat16()
        upper = Blocks(weights.layers[FROZEN:], weights.heads).eval().bfloat16()
        starts = np.cumsum([0, *map(len, lines)])
        self.lengths = np.diff(starts)
        self._starts = torch.from_numpy(starts)
        self._half = torch.empty((int(starts[-1]), weights.words.shape[1]), dtype=torch.bfloat16)
        self.raw = torch.empty((len(lines), weights.words.shape[1]))
        order = np.argsort(self.lengths, kind="stable")
        done, begun = 0, time.monotonic()
        with torch.no_grad():
            for number, start in enumerate(range(0, len(order), 64)):
                some = order[start : start + 64]
                numbers = padded([list(lines[place]) for place in some], PAD)
                mask = numbers != PAD
                half = lower(embedded(weights, numbers).bfloat16(), mask)
                self.raw[some] = pooled(upper(half, mask).float(), mask)
                for place, row in zip(some, half, strict=True):
                    self._half[starts[place] : starts[place + 1]] = row[: self.lengths[place]]
                done += int(self.lengths[some].sum())
                if number % TOLD == TOLD - 1:
                    left = (time.monotonic() - begun) * (int(starts[-1]) - done) / done / 60
                    print(f"  read {start} of {len(order)} lines, {left:.0f} min left", flush=True)
        self.mean = self.raw.mean(0)
        self.raw -= self.mean

    def __getitem__(self, places: Places) -> tuple[Tensor, Tensor]:
        """Lines × pieces × numbers, and where there is a piece."""
        lengths = torch.from_numpy(self.lengths[places])
        at = torch.arange(int(lengths.max()))
        mask = at < lengths[:, None]
        rows = torch.where(mask, self._starts[torch.from_numpy(places)][:, None] + at, 0)
        return self._half[rows], mask


class Networks(nn.Module):
    """What learns: the upper layers, and what reads their vectors."""

    def __init__(self, weights: Weights, intents: Task, answers: Task, halfway: Halfway) -> None:
        super().__init__()
        self.truths = torch.from_numpy(intents.truth), torch.from_numpy(answers.truth)
        self.own = len(intents.lines)
        self.halfway = halfway
        size = weights.words.shape[1]
        self.upper = Blocks(weights.layers[FROZEN:], weights.heads)
        self.twin = Blocks(weights.layers[FROZEN:], weights.heads).bfloat16()  # computes, in half the time
        self.head, self.remember = nn.Linear(size, int(intents.truth.max()) + 1), nn.Linear(size, size)
        nn.init.zeros_(self.head.weight)
        nn.init.eye_(self.remember.weight)
        near = functional.normalize(halfway.raw[self.own :], dim=1)
        sums = torch.zeros(int(answers.truth.max()) + 1, size).index_add_(0, self.truths[1], near)
        self.prototypes = nn.Parameter(functional.normalize(sums, dim=1))

    def losses(self, mine: Places, theirs: Places) -> tuple[Tensor, Tensor, Tensor]:
        """Of some lines of the intents and of some questions: how badly they are told apart, and what is forgotten."""
        places = np.concatenate([mine, theirs + self.own])
        half, mask = self.halfway[places]
        vectors = pooled(self.twin(half, mask).float(), mask) - self.halfway.mean
        intents, answers = (
            truth[torch.from_numpy(some)] for truth, some in zip(self.truths, (mine, theirs), strict=True)
        )
        scores = self.head(functional.dropout(vectors[: len(mine)], DROPOUT))
        wanted = functional.cross_entropy(scores, intents, label_smoothing=SMOOTHING)
        asked = functional.normalize(vectors[len(mine) :], dim=1)
        scores = SHARPNESS * asked @ functional.normalize(self.prototypes, dim=1).T
        found = functional.cross_entropy(scores, answers, label_smoothing=SMOOTHING)
        forgot = 1 - functional.cosine_similarity(self.remember(vectors), self.halfway.raw[places]).mean()
        return wanted, found, forgot

    def tuned(self, weights: Weights) -> Tuned:
        layers = [*weights.layers[:FROZEN], *(block.layer() for block in self.upper.blocks)]
        weight, mean = self.head.weight.detach().numpy().T.copy(), self.halfway.mean.numpy()
        return Tuned(replace(weights, layers=layers), mean, (weight, self.head.bias.detach().numpy() - mean @ weight))


def tune(weights: Weights, intents: Task, answers: Task, halfway: Halfway) -> Tuned:
    """Says how far it is, and how long it will take."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    networks = Networks(weights, intents, answers, halfway)
    networks.train()
    masters, twins = list(networks.upper.parameters()), list(networks.twin.parameters())
    heads = [*networks.head.parameters(), *networks.remember.parameters(), networks.prototypes]
    learning = torch.optim.AdamW(
        [{"params": masters, "lr": RATE}, {"params": heads, "lr": HEADS_RATE}], weight_decay=0.01, fused=True
    )
    total = len(intents.lines) // LINES * EPOCHS
    schedule = torch.optim.lr_scheduler.LambdaLR(
        learning, lambda step: min((step + 1) / (WARM * total), max(0.0, (total - step) / ((1 - WARM) * total)))
    )
    lines = _endless(halfway.lengths[: len(intents.lines)], LINES, random)
    questions = _endless(halfway.lengths[len(intents.lines) :], QUESTIONS, random)
    begun, seen = time.monotonic(), np.zeros(3)
    for step in range(1, total + 1):
        wanted, found, forgot = networks.losses(next(lines), next(questions))
        learning.zero_grad()
        networks.twin.zero_grad()
        torch.autograd.backward(wanted + FINDING * found + REMEMBERING * forgot)
        for master, twin in zip(masters, twins, strict=True):
            master.grad = None if twin.grad is None else twin.grad.float()
        nn.utils.clip_grad_norm_(masters, 1.0)
        learning.step()
        schedule.step()
        with torch.no_grad():
            for master, twin in zip(masters, twins, strict=True):
                twin.copy_(master)
        seen += [float(part.detach()) for part in (wanted, found, forgot)]
        if step % TOLD == 0:
            left = (time.monotonic() - begun) / step * (total - step) / 60
            wants, finds, forgets = seen / TOLD
            print(
                f"  step {step} of {total}, {left:.0f} min left / 约剩 {left:.0f} 分钟: losses {wants:.2f} for intents,"
                f" {finds:.2f} for answers, {forgets:.2f} for what was known",
                flush=True,
            )
            seen = np.zeros(3)
    return networks.tuned(weights)


def _batches(lengths: Places, size: int, random: np.random.Generator) -> list[Places]:
    order = random.permutation(len(lengths))
    batches = []
    for start in range(0, len(order) - size + 1, size * CHUNK):
        some = order[start : start + size * CHUNK]
        some = some[np.argsort(lengths[some], kind="stable")]
        batches += [some[at : at + size] for at in range(0, len(some) - size + 1, size)]
    return [batches[place] for place in random.permutation(len(batches))]


def _endless(lengths: Places, size: int, random: np.random.Generator) -> Iterator[Places]:
    while True:
        yield from _batches(lengths, size, random)
