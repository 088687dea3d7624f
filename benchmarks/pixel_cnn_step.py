"""Images a second while training a Gated PixelCNN on 28 x 28 pixels: 64 maps, 8 layers.

Against a straightforward one (whole kernels under masks, float32, channels first, Adam), and the
floor: the same matrix products alone.

    python benchmarks/pixel_cnn_step.py [--batch 64] [--threads 2] [--rounds 5] [--no-compile]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable

import torch
from alternating import measure, table
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core import Kind, Specification
from ancestral.data import TensorSource
from ancestral.recipes.pixel_cnn import gated_pixel_cnn
from ancestral.training import LossModule, TrainingConfig, train

SIDE, CHANNELS, LAYERS = 28, 64, 8
SPEC = Specification(Kind.BINARY, (SIDE, SIDE))


def rows(num_rows: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(num_rows, SIDE, SIDE, generator=generator) < 0.2).to(torch.uint8)


class MaskedConv2d(nn.Conv2d):
    """A whole kernel, multiplied by its mask in each pass."""

    def __init__(self, inputs: int, outputs: int, height: int, width: int, own: str) -> None:
        super().__init__(inputs, outputs, (height, width), padding=(height // 2, width // 2))
        mask = torch.ones(height, width)
        mask[height // 2 + 1 :] = 0
        if own == "row above":  # vertical, first layer
            mask[height // 2] = 0
        elif height == 1:
            mask[0, width // 2 + (own == "pixel") :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class PlainLayer(nn.Module):
    """As in figure 2 of van den Oord et al. (2016b); the vertical stack moves down one row."""

    def __init__(self, inputs: int, size: int, kernel: int, *, first: bool) -> None:
        super().__init__()
        above, left = ("row above", "left") if first else ("row", "pixel")
        self.vertical = MaskedConv2d(inputs, 2 * size, kernel, kernel, above)
        self.horizontal = MaskedConv2d(inputs, 2 * size, 1, kernel, left)
        self.link = nn.Conv2d(2 * size, 2 * size, 1)
        self.output = nn.Conv2d(size, size, 1)
        self.first = first

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        above = self.vertical(v)
        a, b = (self.horizontal(h) + self.link(above)).chunk(2, 1)
        out = self.output(torch.tanh(a) * torch.sigmoid(b))
        c, d = above.chunk(2, 1)
        return torch.tanh(c) * torch.sigmoid(d), out if self.first else out + h


class PlainGatedPixelCnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [PlainLayer(1, CHANNELS, 7, first=True)]
            + [PlainLayer(CHANNELS, CHANNELS, 3, first=False) for _ in range(LAYERS - 1)]
        )
        self.hidden = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.last = nn.Conv2d(CHANNELS, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h)
        return self.last(F.relu(self.hidden(F.relu(h))))


def plain_loop(x: Tensor, batch_size: int) -> Callable[[], None]:
    model = PlainGatedPixelCnn()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = torch.utils.data.TensorDataset(x.float().unsqueeze(1))
    loader = torch.utils.data.DataLoader(data, batch_size=batch_size, shuffle=True)

    def run() -> None:
        total = 0.0
        for (batch,) in loader:
            logits = model(batch)
            loss = F.binary_cross_entropy_with_logits(logits, batch, reduction="sum") / len(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()

    return run


def ours(x: Tensor, batch_size: int, **options) -> Callable[[], None]:
    source = TensorSource(x, SPEC)
    parts = gated_pixel_cnn(SPEC, channels=CHANNELS, num_layers=LAYERS)
    module = LossModule(parts.objective, parts.model, None)
    config = TrainingConfig(epochs=1, batch_size=batch_size, **options)
    return lambda: train(module, source, config) and None


def floor(x: Tensor, batch_size: int, dtype: torch.dtype) -> Callable[[], None]:
    """The matrix products of forward and backward, as products of flat matrices, nothing else."""
    num_pixels, p = batch_size * SIDE * SIDE, CHANNELS
    first = [(21, 2 * p), (2 * p, 2 * p), (3, 2 * p), (p, p)]
    later = [(6 * p, 2 * p), (2 * p, 2 * p), (2 * p, 2 * p), (p, p)]
    shapes = first + later * (LAYERS - 1) + [(p, p), (p, 1)]
    unlike = set(shapes)
    inputs = {i: torch.randn(num_pixels, i, dtype=dtype) for i, _ in unlike}
    outputs = {o: torch.randn(num_pixels, o, dtype=dtype) for _, o in unlike}
    weights = {shape: torch.randn(shape, dtype=dtype) for shape in unlike}

    def run() -> None:
        for _ in range(0, len(x), batch_size):
            for i, o in shapes:
                inputs[i] @ weights[i, o]
                inputs[i].T @ outputs[o]
                if i > 21:  # nobody needs the gradient of the image
                    outputs[o] @ weights[i, o].T

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[64])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=3, help="of each variant in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-compile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    for batch_size in options.batch:
        x = rows(options.steps * batch_size)
        torch.manual_seed(0)
        reference = "plain loop (masks, float32, Adam)"
        variants = {reference: plain_loop(x, batch_size)}
        variants["ancestral, float32"] = ours(x, batch_size, precision="float32")
        variants["ancestral, bf16"] = ours(x, batch_size, precision="bf16")
        if not options.no_compile:
            variants["ancestral, bf16 + compile"] = ours(
                x, batch_size, precision="bf16", compile=True
            )
        variants["floor: matrix products, float32"] = floor(x, batch_size, torch.float32)
        variants["floor: matrix products, bf16"] = floor(x, batch_size, torch.bfloat16)
        timings = measure(variants, reference, options.rounds)
        print(f"\nbatch {batch_size}, {options.threads} threads, torch {torch.__version__}\n")
        print(table(timings, len(x), "images"), flush=True)


if __name__ == "__main__":
    main()
