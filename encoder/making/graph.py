"""Writes the encoder as ONNX: weights in whole numbers of seven bits, a scale for each of their columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from encoder.making.vocabulary import SPECIAL
from encoder.making.weights import Array, Layer, Weights

OPSET = 17
EPSILON = 1e-12
LIMIT = 63
"""Seven bits, so that no sum of two products overflows on processors without VNNI."""


@dataclass
class Graph:
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)

    def constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"n{len(self.nodes)}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def linear(self, x: str, weight: Array, bias: Array) -> str:
        """``weight``: inputs × outputs. What comes in is made whole numbers on the way."""
        scale = (np.abs(weight).max(axis=0) / LIMIT).astype(np.float32)
        whole = np.rint(weight / scale).astype(np.int8)
        small, factor, zero = self.add("DynamicQuantizeLinear", x, outputs=3)
        product = self.add("MatMulInteger", small, self.constant(whole), zero)
        real = self.add("Cast", product, to=TensorProto.FLOAT)
        scaled = self.add("Mul", real, self.add("Mul", factor, self.constant(scale)))
        return str(self.add("Add", scaled, self.constant(bias)))

    def norm(self, x: str, scale: Array, bias: Array) -> str:
        return str(
            self.add("LayerNormalization", x, self.constant(scale), self.constant(bias), axis=-1, epsilon=EPSILON)
        )

    def layer(self, x: str, layer: Layer, hidden: str, heads: int) -> str:
        size = len(layer.attended[1])
        split = self.constant(np.array([0, 0, 3, heads, size // heads]))
        joined = self.constant(np.array([0, 0, size]))
        numbers = self.add("Reshape", self.linear(x, *layer.qkv), split)
        turned = self.add("Transpose", numbers, perm=[2, 0, 3, 1, 4])
        parts = [self.add("Gather", turned, self.constant(np.array(place)), axis=0) for place in range(3)]
        keys = self.add("Transpose", parts[1], perm=[0, 1, 3, 2])
        root = self.constant(np.array(1 / np.sqrt(size / heads), dtype=np.float32))
        near = self.add("Add", self.add("Mul", self.add("MatMul", parts[0], keys), root), hidden)
        seen = self.add("MatMul", self.add("Softmax", near, axis=-1), parts[2])
        seen = self.add("Reshape", self.add("Transpose", seen, perm=[0, 2, 1, 3]), joined)
        x = self.norm(self.add("Add", x, self.linear(seen, *layer.attended)), *layer.attended_norm)
        wide = self.linear(x, *layer.wide)
        half, one, two = (self.constant(np.array(n, dtype=np.float32)) for n in (0.5, 1, np.sqrt(2)))
        bent = self.add("Add", self.add("Erf", self.add("Div", wide, two)), one)
        wide = self.add("Mul", self.add("Mul", wide, bent), half)
        return self.norm(self.add("Add", x, self.linear(wide, *layer.narrow)), *layer.narrow_norm)


def model(weights: Weights, mean: Array, head: tuple[Array, Array]) -> ModelProto:
    """Takes ``pieces`` (lines × pieces); gives ``vectors`` of unit length, and ``intents``, the probability of each.

    ``mean`` is subtracted before a vector gets its length; ``head``: numbers × intents, and a bias.
    """
    graph = Graph()
    scale = np.abs(weights.words).max(axis=1, keepdims=True).astype(np.float32) / 127 + 1e-12
    table = graph.constant(np.rint(weights.words / scale).astype(np.int8))
    words = graph.add("Cast", graph.add("Gather", table, "pieces", axis=0), to=TensorProto.FLOAT)
    words = graph.add("Mul", words, graph.add("Gather", graph.constant(scale), "pieces", axis=0))
    length = graph.add("Shape", "pieces", start=1, end=2)
    zero, first = graph.constant(np.array([0])), graph.constant(np.array([1]))
    places = graph.add("Slice", graph.constant(weights.positions), zero, length, zero, first)
    x = graph.norm(graph.add("Add", words, places), *weights.norm)
    empty = graph.add("Equal", "pieces", graph.constant(np.array(SPECIAL["<pad>"])))
    filler = graph.add("Cast", empty, to=TensorProto.FLOAT)
    far = graph.add("Mul", filler, graph.constant(np.array(-1e9, dtype=np.float32)))
    hidden = graph.add("Unsqueeze", far, graph.constant(np.array([1, 2])))
    for layer in weights.layers:
        x = graph.layer(x, layer, hidden, weights.heads)
    there = graph.add("Sub", graph.constant(np.array(1, dtype=np.float32)), filler)
    column = graph.add("Unsqueeze", there, graph.constant(np.array([2])))
    total = graph.add("ReduceSum", graph.add("Mul", x, column), first, keepdims=0)
    pooled = graph.add("Div", total, graph.add("ReduceSum", there, first, keepdims=1))
    centred = graph.add("Sub", pooled, graph.constant(mean))
    square = graph.add("ReduceSum", graph.add("Mul", centred, centred), first, keepdims=1)
    vectors = graph.add("Div", centred, graph.add("Sqrt", square))
    scores = graph.add("Add", graph.add("MatMul", pooled, graph.constant(head[0])), graph.constant(head[1]))
    chances = graph.add("Softmax", scores, axis=-1)
    for name, made in (("vectors", vectors), ("intents", chances)):
        graph.nodes.append(helper.make_node("Identity", [made], [name]))
    made = helper.make_graph(
        graph.nodes,
        "encoder",
        [helper.make_tensor_value_info("pieces", TensorProto.INT64, ["lines", "pieces"])],
        [
            helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["lines", len(mean)]),
            helper.make_tensor_value_info("intents", TensorProto.FLOAT, ["lines", len(head[1])]),
        ],
        graph.initializers,
    )
    written = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    checker.check_model(written)
    return written
