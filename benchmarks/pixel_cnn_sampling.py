"""Images a second drawn from a Gated PixelCNN of 28 x 28 pixels: 64 maps, 8 layers, one thread.

Against a pass of the network for each pixel, which is 784 times the reference, one pass.

    python benchmarks/pixel_cnn_sampling.py [--batch 16 64] [--rounds 5]
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from alternating import measure, table

from ancestral.core import Kind, Specification
from ancestral.models import AutoregressiveModel, SamplingMethod
from ancestral.recipes.pixel_cnn import gated_pixel_cnn

PIXELS = 28 * 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    parts = gated_pixel_cnn(Specification(Kind.BINARY, (28, 28)), channels=64, num_layers=8)
    model = parts.model.eval().requires_grad_(False)
    assert isinstance(model, AutoregressiveModel)
    for batch_size in options.batch:
        uniforms = model.uniforms(batch_size)
        x = torch.rand(batch_size, 28, 28).round()
        reference = "one pass: log p of as many images"
        variants = {
            reference: partial(model.log_prob, x),
            "cached": partial(model.draw, uniforms, method=SamplingMethod.CACHED),
        }
        timings = measure(variants, reference, options.rounds)
        print(f"\nbatch {batch_size}, 1 thread, torch {torch.__version__}\n")
        print(table(timings, batch_size, "images"))
        naive = PIXELS * timings["cached"].speedup
        print(f"\ncached against a pass for each pixel: {naive:,.0f} times", flush=True)


if __name__ == "__main__":
    main()
