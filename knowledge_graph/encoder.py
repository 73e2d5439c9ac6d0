"""Sentences as vectors, near each other where they mean the same.

The default encoder is our own: a mean of vectors for characters, pairs and pieces of words, learned from groups of
lines that mean the same (the ways of asking for an answer, the lines of an intent). ``make train`` makes it, in the
layout of sentence-transformers; asking it needs only numpy. ``ENCODER`` names another directory or a hub model, which
sentence-transformers then loads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import settings
from knowledge_graph.text import cut, features

Vectors = NDArray[np.float32]

DIMENSIONS = 128
EPOCHS = 6
BATCH = 512
SCALE = 20.0
RARE = 2
"""A feature that stands in fewer lines is not learned."""

UNKNOWN = "[UNK]"


class Encoder(Protocol):
    def encode(self, texts: Sequence[str]) -> Vectors:
        """A row of unit length for each text."""


def pieces(text: str) -> str:
    """The features of a text as words between spaces, which is what our encoder's tokenizer takes."""
    return " ".join(feature.replace(" ", "_") for feature in features(cut(text)))


class StaticEncoder:
    """Our own encoder."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError or ValueError when there is none in the folder."""
        from safetensors.numpy import load_file

        vocabulary = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
        self._rows: dict[str, int] = vocabulary
        self._weights: Vectors = load_file(folder / "model.safetensors")["embedding.weight"]

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self._weights.shape[1]), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            rows = [self._rows[piece] for piece in pieces(text).split() if piece in self._rows]
            if rows:
                vector += self._weights[rows].mean(axis=0)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        result: Vectors = (vectors / np.where(length > 0, length, 1)).astype(np.float32)
        return result


class HubEncoder:
    """Any model of sentence-transformers; loads torch."""

    def __init__(self, name: str) -> None:
        from sentence_transformers import SentenceTransformer

        self._model: Any = SentenceTransformer(name, device="cpu")

    def encode(self, texts: Sequence[str]) -> Vectors:
        found: Vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return found


def load(folder: Path) -> Encoder | None:
    """The encoder that ``ENCODER`` names, else the one in ``folder``; None where none was trained."""
    if name := settings.encoder():
        return _from_hub(name)
    try:
        return StaticEncoder(folder)
    except (ImportError, OSError, ValueError):
        return None


@cache
def _from_hub(name: str) -> HubEncoder:
    """Once: it takes seconds."""
    return HubEncoder(name)


def train(groups: Sequence[Sequence[str]], folder: Path) -> None:
    """Learns that the lines of a group mean the same, and stores the encoder. Raises ImportError without torch.

    Multiple negatives ranking: of a batch of pairs, each line must be nearer to its own partner than to all others.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    cuts = [[pieces(line).split() for line in group] for group in groups if len(group) > 1]
    counts = Counter(piece for group in cuts for line in group for piece in set(line))
    known = sorted(piece for piece, count in counts.items() if count >= RARE)
    vocabulary = {UNKNOWN: 0} | {piece: row + 1 for row, piece in enumerate(known)}
    lines = [[[vocabulary[piece] for piece in line if piece in vocabulary] or [0] for line in group] for group in cuts]

    random = np.random.default_rng(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # its steps are too small to be shared: with two it took ten times as long
    bag = torch.nn.EmbeddingBag(len(vocabulary), DIMENSIONS, mode="mean", sparse=True)
    torch.nn.init.normal_(bag.weight, std=0.1)
    learning = torch.optim.SparseAdam(bag.parameters(), lr=0.02)

    def vectors(batch: Sequence[Sequence[int]]) -> Any:
        flat = torch.tensor([row for line in batch for row in line])
        starts = torch.tensor([0, *np.cumsum([len(line) for line in batch])[:-1].tolist()])
        return torch.nn.functional.normalize(bag(flat, starts), dim=1)

    for _ in range(EPOCHS):
        pairs = [
            (group_number, group[one], group[other])
            for group_number, group in enumerate(lines)
            for one, other in zip(random.permutation(len(group)), random.permutation(len(group)), strict=True)
            if one != other
        ]
        order = random.permutation(len(pairs))
        for start in range(0, len(order), BATCH):
            batch = [pairs[place] for place in order[start : start + BATCH]]
            same = torch.tensor([number for number, _, _ in batch])
            scores = SCALE * vectors([one for _, one, _ in batch]) @ vectors([other for _, _, other in batch]).T
            twins = (same[:, None] == same[None, :]) & ~torch.eye(len(batch), dtype=torch.bool)
            loss = torch.nn.functional.cross_entropy(scores.masked_fill(twins, -1e4), torch.arange(len(batch)))
            learning.zero_grad()
            torch.autograd.backward(loss)
            learning.step()  # type: ignore[no-untyped-call]

    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    module = StaticEmbedding(tokenizer, embedding_weights=bag.weight.detach().numpy())
    SentenceTransformer(modules=[module], device="cpu").save(str(folder))
