"""Brings a text classifier of the BERT family, as transformers saves it, where the bot can ask it: as ONNX, in int8.

``python -m encoder.making.classifier SOURCE FOLDER`` reads ``config.json``, ``vocab.txt`` and ``model.safetensors`` of
``SOURCE`` and fills ``FOLDER``, which ``WORRY_MODEL`` may then name. App environment; needs no torch.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, checker, helper

from encoder.classifier import CONFIG, MODEL, TOKENIZER, VOCABULARY
from encoder.making.graph import OPSET, Graph
from encoder.making.weights import Array, Layer

WEIGHTS = "model.safetensors"

_NUMBERS = {"F32": np.float32, "F16": np.float16, "F64": np.float64}


def tensors(file: Path) -> Mapping[str, Array]:
    """Of a file in the format of safetensors: the length of a header in JSON, the header, the numbers.

    Raises ValueError for numbers of another kind than floats.
    """
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    found = {}
    for name, told in header.items():
        if name == "__metadata__" or told["dtype"].startswith("I"):  # places, which are known
            continue
        if told["dtype"] not in _NUMBERS:
            raise ValueError(f"{file.name}: {name} is in {told['dtype']}; save the model in float32")
        begin, end = told["data_offsets"]
        numbers = np.frombuffer(data[start + begin : start + end], _NUMBERS[told["dtype"]])
        found[name] = numbers.reshape(told["shape"]).astype(np.float32)
    return found


def export(source: Path, folder: Path) -> None:
    """Raises OSError, ValueError or LookupError where ``source`` is no classifier of the BERT family."""
    config = json.loads((source / CONFIG).read_text("utf-8"))
    if config.get("model_type") != "bert" or config.get("hidden_act", "gelu") != "gelu":
        raise ValueError(f"{source}: a model of type bert with gelu, not {config.get('model_type')}")
    made = graph(tensors(source / WEIGHTS), config)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL).write_bytes(made.SerializeToString())
    for name in (CONFIG, VOCABULARY, TOKENIZER):
        if name != TOKENIZER or (source / name).exists():
            shutil.copyfile(source / name, folder / name)


def graph(weights: Mapping[str, Array], config: Mapping[str, Any]) -> ModelProto:
    """Takes ``input_ids`` (1 × pieces); gives ``logits`` (1 × labels)."""

    def linear(name: str) -> tuple[Array, Array]:
        return np.ascontiguousarray(weights[f"{name}.weight"].T), weights[f"{name}.bias"]

    def norm(name: str) -> tuple[Array, Array]:
        return weights[f"{name}.weight"], weights[f"{name}.bias"]

    def layer(at: str) -> Layer:
        parts = [linear(f"{at}.attention.self.{part}") for part in ("query", "key", "value")]
        return Layer(
            (np.concatenate([w for w, _ in parts], axis=1), np.concatenate([b for _, b in parts])),
            linear(f"{at}.attention.output.dense"),
            norm(f"{at}.attention.output.LayerNorm"),
            linear(f"{at}.intermediate.dense"),
            linear(f"{at}.output.dense"),
            norm(f"{at}.output.LayerNorm"),
        )

    drawn = Graph()

    def constant(value: NDArray[Any]) -> str:
        return drawn.constant(value)

    words = drawn.add("Gather", constant(weights["bert.embeddings.word_embeddings.weight"]), "input_ids", axis=0)
    positions = weights["bert.embeddings.position_embeddings.weight"]
    places = positions + weights["bert.embeddings.token_type_embeddings.weight"][0]
    length = drawn.add("Shape", "input_ids", start=1, end=2)
    zero, one = constant(np.array([0])), constant(np.array([1]))
    there = drawn.add("Slice", constant(places), zero, length, zero, one)
    x = drawn.norm(drawn.add("Add", words, there), *norm("bert.embeddings.LayerNorm"))
    nothing_hidden = constant(np.zeros((1, 1, 1, 1), dtype=np.float32))  # one text at a time has no filler
    for number in range(config["num_hidden_layers"]):
        x = drawn.layer(x, layer(f"bert.encoder.layer.{number}"), nothing_hidden, config["num_attention_heads"])
    first = drawn.add("Gather", x, constant(np.array(0)), axis=1)
    pooled = drawn.add("Tanh", drawn.linear(first, *linear("bert.pooler.dense")))
    weight, bias = linear("classifier")
    logits = drawn.add("Add", drawn.add("MatMul", pooled, constant(weight)), constant(bias))
    drawn.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    whole = helper.make_graph(
        drawn.nodes,
        "classifier",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "pieces"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(bias)])],
        drawn.initializers,
    )
    written = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    checker.check_model(written)
    return written


def main() -> int:
    if len(sys.argv) != 3:
        print("python -m encoder.making.classifier SOURCE FOLDER", file=sys.stderr)
        return 2
    try:
        export(Path(sys.argv[1]), Path(sys.argv[2]))
    except (OSError, ValueError, LookupError) as error:
        print(f"It cannot be exported / 无法导出: {error}", file=sys.stderr)
        return 1
    print(f"WORRY_MODEL={sys.argv[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
