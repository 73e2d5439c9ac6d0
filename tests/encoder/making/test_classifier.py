"""A classifier as transformers saves it answers the same without torch: a small BERT, made and taught here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf, softmax
from sklearn.linear_model import LogisticRegression

from encoder.classifier import Classifier
from encoder.making.classifier import export, tensors
from encoder.wordpiece import WordPieces

LINES = {
    "worry": ["不会丢了吧", "好担心啊", "怕收不到", "担心坏了", "会不会丢"],
    "anger": ["什么破店", "气死了", "骗人的店", "破店骗人", "气死我了"],
    "urge": ["快点发货", "怎么还没发", "快发", "还没到", "快点啊"],
    "neutral": ["多少钱", "有货吗", "什么颜色", "几号开店", "谢谢"],
}
LABELS = list(LINES)
SIGNS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
HIDDEN, HEADS, LAYERS, LENGTH = 32, 4, 2, 24
CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": LENGTH,
    "id2label": dict(enumerate(LABELS)),
}
Weights = dict[str, NDArray[np.float32]]


def pooled(weights: Weights, numbers: list[int]) -> NDArray[np.float32]:
    """What BERT's paper and its first implementation make of a text, written down plainly."""

    def linear(name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
        made: NDArray[np.float32] = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        return made

    def norm(name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
        even = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        made: NDArray[np.float32] = even * weights[f"{name}.weight"] + weights[f"{name}.bias"]
        return made

    at = "bert.embeddings"
    x = weights[f"{at}.word_embeddings.weight"][numbers] + weights[f"{at}.token_type_embeddings.weight"][0]
    x = norm(f"{at}.LayerNorm", x + weights[f"{at}.position_embeddings.weight"][: len(numbers)])
    for layer in range(LAYERS):
        at = f"bert.encoder.layer.{layer}"
        q, k, v = (
            linear(f"{at}.attention.self.{part}", x).reshape(len(x), HEADS, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        seen = softmax(q @ k.swapaxes(1, 2) / np.sqrt(HIDDEN / HEADS), axis=-1) @ v
        seen = linear(f"{at}.attention.output.dense", seen.swapaxes(0, 1).reshape(len(x), HIDDEN))
        x = norm(f"{at}.attention.output.LayerNorm", x + seen)
        wide = linear(f"{at}.intermediate.dense", x)
        wide = wide * (1 + erf(wide / np.sqrt(2))) / 2
        x = norm(f"{at}.output.LayerNorm", x + linear(f"{at}.output.dense", wide))
    made: NDArray[np.float32] = np.tanh(linear("bert.pooler.dense", x[:1]))[0]
    return made


def untaught(pieces: int) -> Weights:
    random = np.random.default_rng(0)
    at = "bert.encoder.layer"
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (pieces, HIDDEN),
        "bert.embeddings.position_embeddings.weight": (LENGTH, HIDDEN),
        "bert.embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "bert.pooler.dense.weight": (HIDDEN, HIDDEN),
    }
    for layer in range(LAYERS):
        shapes |= {f"{at}.{layer}.attention.self.{part}.weight": (HIDDEN, HIDDEN) for part in ("query", "key", "value")}
        shapes |= {
            f"{at}.{layer}.attention.output.dense.weight": (HIDDEN, HIDDEN),
            f"{at}.{layer}.intermediate.dense.weight": (4 * HIDDEN, HIDDEN),
            f"{at}.{layer}.output.dense.weight": (HIDDEN, 4 * HIDDEN),
        }
    made = {name: np.asarray(random.normal(0, 0.15, shape), np.float32) for name, shape in shapes.items()}
    made |= {
        name.replace(".weight", ".bias"): np.asarray(random.normal(0, 0.1, len(made[name])), np.float32)
        for name in shapes
        if "embeddings" not in name
    }
    norms = ["bert.embeddings.LayerNorm"]
    norms += [f"{at}.{n}.{part}.LayerNorm" for n in range(LAYERS) for part in ("attention.output", "output")]
    made |= {f"{name}.weight": np.ones(HIDDEN, np.float32) for name in norms}
    return made | {f"{name}.bias": np.zeros(HIDDEN, np.float32) for name in norms}


def save(file: Path, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """In the format of safetensors."""
    header, data = {}, b""
    for name, numbers in weights.items():
        header[name] = {
            "dtype": "F32",
            "shape": numbers.shape,
            "data_offsets": [len(data), len(data) + numbers.nbytes],
        }
        data += numbers.tobytes()
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    file.write_bytes(len(head).to_bytes(8, "little") + head + data)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    characters = sorted({c for lines in LINES.values() for line in lines for c in line})
    (folder / "vocab.txt").write_text("\n".join([*SIGNS, *characters]), "utf-8")
    pieces = WordPieces(folder / "vocab.txt", lower=True)
    weights = untaught(len(SIGNS) + len(characters))
    taught = [(line, label) for label, lines in LINES.items() for line in lines]
    features = [pooled(weights, list(pieces.numbered(line, LENGTH))) for line, _ in taught]
    head = LogisticRegression(C=100, max_iter=2000).fit(features, [LABELS.index(label) for _, label in taught])
    weights["classifier.weight"] = head.coef_.astype(np.float32)
    weights["classifier.bias"] = head.intercept_.astype(np.float32)
    save(folder / "model.safetensors", weights)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def test_it_answers_as_it_was_taught(source: Path, tmp_path: Path) -> None:
    export(source, tmp_path)
    classifier = Classifier(tmp_path)
    assert classifier.labels == tuple(LABELS)
    weights, pieces = dict(tensors(source / "model.safetensors")), WordPieces(source / "vocab.txt", lower=True)
    for label, lines in LINES.items():
        for line in lines:
            said = classifier.probabilities(line)
            assert LABELS[int(said.argmax())] == label
            plainly = pooled(weights, list(pieces.numbered(line, LENGTH)))
            logits = weights["classifier.weight"] @ plainly + weights["classifier.bias"]
            assert said == pytest.approx(softmax(logits), abs=0.1)  # whole numbers are rounded


def test_a_text_of_any_length_is_read(source: Path, tmp_path: Path) -> None:
    export(source, tmp_path)
    for text in ("", "😀", "丢" * 500):
        assert Classifier(tmp_path).probabilities(text).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("change", [{"model_type": "gpt2"}, {"hidden_act": "relu"}])
def test_another_kind_of_model_is_refused(source: Path, tmp_path: Path, change: dict[str, str]) -> None:
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | change))
    with pytest.raises(ValueError, match="bert with gelu"):
        export(tmp_path, tmp_path / "made")
