"""Asks a text classifier that was made elsewhere with transformers and brought here as ONNX; needs no torch.

A folder holds ``model.onnx`` (takes ``input_ids`` and perhaps ``attention_mask`` and ``token_type_ids``; gives
``logits``), ``vocab.txt`` and ``config.json``. ``python -m encoder.making.classifier`` writes it, and so does
``optimum-cli export onnx --task text-classification``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoder.wordpiece import WordPieces

MODEL, VOCABULARY, CONFIG, TOKENIZER = "model.onnx", "vocab.txt", "config.json", "tokenizer_config.json"

LONGEST = 128
"""Pieces that are read of a text."""


class Classifier:
    """Raises ImportError, OSError, LookupError or ValueError where the folder cannot be used."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        config = json.loads((folder / CONFIG).read_text("utf-8"))
        names = {int(number): str(name) for number, name in config["id2label"].items()}
        self.labels: tuple[str, ...] = tuple(names[number] for number in range(len(names)))
        tokenizer = folder / TOKENIZER
        spelling = json.loads(tokenizer.read_text("utf-8")) if tokenizer.exists() else {}
        self._pieces = WordPieces(folder / VOCABULARY, lower=bool(spelling.get("do_lower_case", True)))
        self._longest = min(LONGEST, int(config.get("max_position_embeddings", LONGEST)))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / MODEL), options, providers=["CPUExecutionProvider"]
        )
        self._takes = {one.name for one in self._session.get_inputs()}

    def probabilities(self, text: str) -> NDArray[np.float32]:
        """Of each of ``labels``."""
        numbers = np.array([self._pieces.numbered(text, self._longest)], dtype=np.int64)
        given = {
            "input_ids": numbers,
            "attention_mask": np.ones_like(numbers),
            "token_type_ids": np.zeros_like(numbers),
        }
        (logits,) = self._session.run(["logits"], {name: given[name] for name in given if name in self._takes})
        spread = np.exp(logits[0] - logits[0].max())
        found: NDArray[np.float32] = spread / spread.sum()
        return found
