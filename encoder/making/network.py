"""The encoder in torch, for tuning: a BERT whose lower layers stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from encoder.making.weights import Array, Layer, Weights

DROPOUT = 0.1
EPSILON = 1e-12


def _linear(weight: Array, bias: Array) -> nn.Linear:
    made = nn.Linear(*weight.shape)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(weight.T.copy()))
        made.bias.copy_(torch.from_numpy(bias))
    return made


def _norm(weight: Array, bias: Array) -> nn.LayerNorm:
    made = nn.LayerNorm(len(weight), eps=EPSILON)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(weight))
        made.bias.copy_(torch.from_numpy(bias))
    return made


class Block(nn.Module):
    def __init__(self, layer: Layer, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.attended = _linear(*layer.qkv), _linear(*layer.attended)
        self.wide, self.narrow = _linear(*layer.wide), _linear(*layer.narrow)
        self.attended_norm, self.narrow_norm = _norm(*layer.attended_norm), _norm(*layer.narrow_norm)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        lines, length, size = x.shape
        q, k, v = self.qkv(x).view(lines, length, 3, self.heads, size // self.heads).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).reshape(x.shape)
        x = self.attended_norm(x + functional.dropout(self.attended(seen), DROPOUT, self.training))
        wide = functional.gelu(self.wide(x))
        y: Tensor = self.narrow_norm(x + functional.dropout(self.narrow(wide), DROPOUT, self.training))
        return y

    def layer(self) -> Layer:
        """As numbers again."""

        def pair(module: Any) -> tuple[Array, Array]:
            weight, bias = (part.detach().float().numpy() for part in (module.weight, module.bias))
            return (weight.T if weight.ndim == 2 else weight).copy(), bias.copy()

        names = ("qkv", "attended", "attended_norm", "wide", "narrow", "narrow_norm")
        return Layer(*(pair(getattr(self, name)) for name in names))


class Blocks(nn.Module):
    """Some layers, one upon the other."""

    def __init__(self, layers: list[Layer], heads: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(layer, heads) for layer in layers])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``x``: lines × pieces × numbers; ``mask``: lines × pieces, False where there is no piece."""
        bias = torch.zeros(mask.shape, dtype=x.dtype).masked_fill(~mask, -1e9)[:, None, None, :]
        for block in self.blocks:
            x = block(x, bias)
        return x


def embedded(weights: Weights, numbers: Tensor) -> Tensor:
    words = torch.from_numpy(weights.words)[numbers] + torch.from_numpy(weights.positions)[: numbers.shape[1]]
    scale, bias = (torch.from_numpy(part) for part in weights.norm)
    return functional.layer_norm(words, words.shape[-1:], scale, bias, EPSILON)


def pooled(x: Tensor, mask: Tensor) -> Tensor:
    """The mean over the pieces of each line."""
    counted = mask.unsqueeze(-1).to(x.dtype)
    return (x * counted).sum(1) / counted.sum(1)


def padded(lines: list[list[int]], filler: int) -> Tensor:
    longest = max(map(len, lines))
    return torch.from_numpy(np.array([line + [filler] * (longest - len(line)) for line in lines], dtype=np.int64))
