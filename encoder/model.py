"""Asks the tuned encoder; needs no torch."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from encoder.text import plain

Vectors = NDArray[np.float32]

FOLDER = Path(__file__).parent / "files"
MODEL, PIECES, CARD = "encoder.onnx", "pieces.model", "card.json"

LONGEST = 48
"""Pieces that are read of a text, about 70 characters."""

TOGETHER = 32
REMEMBERED = 2048

HELD_BACK = 20
"""One line in so many."""

_log = logging.getLogger(__name__)


def held_back(text: str) -> bool:
    """Whether the encoder never learns from this line: from those one can tell how sure to be of it."""
    return int(hashlib.sha256(plain(text).encode()).hexdigest(), 16) % HELD_BACK == 0


def numbered(pieces: Any, texts: Sequence[str]) -> list[list[int]]:
    """The numbers of the pieces of each text, at most ``LONGEST``; ``pieces`` is a processor of sentencepiece."""
    lines = pieces.encode([plain(text) for text in texts], add_bos=True, add_eos=True)
    return [line if len(line) <= LONGEST else [*line[: LONGEST - 1], line[-1]] for line in lines]


class Encoder:
    """Made by :func:`load`."""

    def __init__(self, folder: Path) -> None:
        """Raises ImportError, OSError or ValueError where it cannot be used."""
        import onnxruntime
        from sentencepiece import SentencePieceProcessor

        card = json.loads((folder / CARD).read_text("utf-8"))
        data = {name: (folder / name).read_bytes() for name in (MODEL, PIECES)}
        for name, content in data.items():
            if hashlib.sha256(content).hexdigest() != card["sha256"][name]:
                raise ValueError(f"{name} is not the file that {CARD} speaks of")
        self.labels: tuple[str, ...] = tuple(card["intents"])
        self.name: str = card["sha256"][MODEL][:16]
        """Changes with the weights."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(data[MODEL], options, providers=["CPUExecutionProvider"])
        self._pieces: Any = SentencePieceProcessor(model_proto=data[PIECES])
        self._one = lru_cache(REMEMBERED)(lambda text: self._run([text]))

    def encode(self, texts: Sequence[str], kept: Path | None = None) -> Vectors:
        """A row of unit length (384 numbers) for each text, near to others that mean the same; their mean is about 0.

        What is in the file ``kept`` is not computed again; the file then holds these texts and no others.
        """
        if kept is None:
            return self._ask(texts)[0]
        keys = [hashlib.sha256(text.encode()).hexdigest()[:24] for text in texts]
        known = self._known(kept)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            known.update(zip(new, self._ask(list(new.values()))[0].astype(np.float16), strict=True))
        rows = {key: known[key] for key in dict.fromkeys(keys)}
        if new or len(rows) < len(known):
            kept.parent.mkdir(parents=True, exist_ok=True)
            draft = kept.with_name(f".{kept.name}.npz")
            np.savez(draft, name=self.name, keys=np.array(list(rows)), vectors=np.array(list(rows.values())))
            draft.replace(kept)
        return np.array([rows[key] for key in keys], dtype=np.float32).reshape(len(keys), -1)

    def intents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts × ``labels``: probabilities."""
        return self._ask(texts)[1]

    def _known(self, kept: Path) -> dict[str, NDArray[np.float16]]:
        try:
            with np.load(kept, allow_pickle=False) as file:
                if str(file["name"]) == self.name:
                    return dict(zip(file["keys"].tolist(), file["vectors"], strict=True))
        except (BadZipFile, EOFError, OSError, ValueError, LookupError):  # missing, or not ours: it is written anew
            pass
        return {}

    def _ask(self, texts: Sequence[str]) -> tuple[Vectors, NDArray[np.float32]]:
        if len(texts) == 1:
            vectors, intents = self._one(texts[0])
            return vectors.copy(), intents.copy()
        return self._run(texts)

    def _run(self, texts: Sequence[str]) -> tuple[Vectors, NDArray[np.float32]]:
        lines = numbered(self._pieces, texts)
        size, number = (output.shape[1] for output in self._session.get_outputs())
        vectors, intents = (np.empty((len(texts), width), dtype=np.float32) for width in (size, number))
        order = sorted(range(len(texts)), key=lambda place: len(lines[place]))
        for start in range(0, len(order), TOGETHER):
            some = order[start : start + TOGETHER]
            pieces = np.full((len(some), max(len(lines[place]) for place in some)), self._pieces.pad_id())
            for row, place in enumerate(some):
                pieces[row, : len(lines[place])] = lines[place]
            vectors[some], intents[some] = self._session.run(["vectors", "intents"], {"pieces": pieces})
        return vectors, intents


@cache
def load(folder: Path = FOLDER) -> Encoder | None:
    """The encoder of a folder, once; None where there is none that fits its card, and the log says so."""
    try:
        return Encoder(folder)
    except (ImportError, OSError, ValueError, LookupError, RuntimeError) as error:
        _log.warning("Going on without the encoder / 语义模型不可用: %s", error)
        return None
