"""The pieces of words that are kept of the quarter of a million that the encoder came with."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sentencepiece import SentencePieceProcessor
from sentencepiece import sentencepiece_model_pb2 as model

from encoder.making.weights import Weights
from encoder.text import plain

ROWS = 28_000
SHORT = 4
"""Letters of a Latin piece that is kept though no line uses it: of such, any word can be put together."""

SPECIAL = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}

_SPACE = "▁"  # stands for one
_OURS = re.compile(r"[a-z0-9\u4e00-\u9fff]+|[^\w]+")


def kept(weights: Weights, lines: Iterable[str]) -> list[int]:
    """Rows, the special ones first: what the ``lines`` use, what is Chinese, marks, and the likeliest Latin pieces."""
    everything = SentencePieceProcessor(model_proto=tokenizer(weights.pieces, weights.scores.tolist()))
    used = {row for pieces in everything.encode([plain(line) for line in lines]) for row in pieces}
    chinese, latin = [], []
    for row, piece in enumerate(weights.pieces):
        word = piece.replace(_SPACE, "")
        if row in SPECIAL.values() or row in used or plain(word) != word or not _OURS.fullmatch(word or " "):
            continue
        if not word.isascii():
            chinese.append(row)
        elif len(word) <= SHORT:
            latin.append(row)
    latin.sort(key=lambda row: (len(weights.pieces[row].replace(_SPACE, "")) > 1, -weights.scores[row]))
    return [*SPECIAL.values(), *sorted((*(used - {*SPECIAL.values()}), *chinese, *latin)[: ROWS - len(SPECIAL)])]


def tokenizer(pieces: list[str], scores: list[float]) -> bytes:
    """A model of sentencepiece whose numbers are the places in ``pieces``."""
    kinds = model.ModelProto.SentencePiece
    made = model.ModelProto()
    for row, (piece, score) in enumerate(zip(pieces, scores, strict=True)):
        special = kinds.UNKNOWN if row == SPECIAL["<unk>"] else kinds.CONTROL
        made.pieces.add(piece=piece, score=score, type=special if row in SPECIAL.values() else kinds.NORMAL)
    made.trainer_spec.model_type = model.TrainerSpec.UNIGRAM
    made.trainer_spec.vocab_size = len(pieces)
    for name, field in (("<s>", "bos"), ("<pad>", "pad"), ("</s>", "eos"), ("<unk>", "unk")):
        setattr(made.trainer_spec, f"{field}_id", SPECIAL[name])
        setattr(made.trainer_spec, f"{field}_piece", name)
    made.normalizer_spec.name = "identity"  # encoder.text did it
    made.normalizer_spec.add_dummy_prefix = True
    made.normalizer_spec.remove_extra_whitespaces = True
    made.normalizer_spec.escape_whitespaces = True
    data: bytes = made.SerializeToString()
    return data
