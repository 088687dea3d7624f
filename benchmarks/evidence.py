"""Images a second and memory of importance-sampled log p, 5,000 samples an image.

The 784-500-20 variational autoencoder of `train_step.py`; against Pythae's `get_nll` as it comes,
where it is installed, and the decoder's matrix products alone.

    python benchmarks/evidence.py [--images 20] [--threads 1] [--rounds 5]
"""

from __future__ import annotations

import argparse
import importlib.util
import threading
import warnings
from collections.abc import Callable

import subject
import torch
from alternating import measure, table
from subject import DIMS, HIDDEN, LATENT, pythae_vae

from ancestral.core import Batch, Precision
from ancestral.data import TensorSource
from ancestral.inference.evidence import importance_sampled
from ancestral.inference.objectives import Variational
from ancestral.inference.posteriors import Amortized
from ancestral.models import LatentVariableModel
from ancestral.training import LossModule, TrainingConfig, train

SAMPLES = 5000


def fitted() -> tuple[LatentVariableModel, Amortized]:
    """A few hundred steps, so that posteriors are as sharp as those of a trained model."""
    torch.manual_seed(0)
    model, posterior = subject.ours()
    source = TensorSource(blobs(2000), subject.SPEC)
    train(LossModule(Variational(), model, posterior), source, TrainingConfig(epochs=15))
    return model.eval(), posterior.eval()


def blobs(num_rows: int) -> torch.Tensor:
    """Binary images with structure: a bright disc somewhere."""
    generator = torch.Generator().manual_seed(1)
    centre = torch.rand(num_rows, 2, 1, 1, generator=generator) * 16 + 6
    grid = torch.arange(28.0)
    down, right = grid.reshape(1, 28, 1), grid.reshape(1, 1, 28)
    distance = (down - centre[:, 0]) ** 2 + (right - centre[:, 1]) ** 2
    disc = (distance < 30).float() * 0.9 + 0.02
    return (torch.rand(disc.shape, generator=generator) < disc).to(torch.uint8).flatten(1)


def pythae_get_nll(x: torch.Tensor) -> Callable[[], None]:
    model, data = pythae_vae(), x.float()
    return lambda: model.get_nll(data, n_samples=SAMPLES) and None


def floor(num_images: int) -> Callable[[], None]:
    first, second = torch.randn(HIDDEN, LATENT), torch.randn(DIMS, HIDDEN)
    z, h = torch.randn(1000, LATENT), torch.randn(1000, HIDDEN)

    def run() -> None:
        for _ in range(num_images * SAMPLES // 1000):
            z @ first.T
            h @ second.T

    return run


def peak_memory(run: Callable[[], None]) -> float:
    """Megabytes of resident memory that a run adds at its peak."""
    import psutil

    process = psutil.Process()
    before, peak, done = process.memory_info().rss, 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    run()
    done.set()
    watcher.join()
    return max(0, peak - before) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    model, posterior = fitted()
    x = blobs(2000 + options.images)[2000:]
    batch = Batch(x.float())

    def ours(precision: Precision) -> Callable[[], None]:
        def run() -> None:
            importance_sampled(model, posterior, [batch], num_samples=SAMPLES, precision=precision)

        return run

    variants = {
        "ancestral, float32": ours(Precision.FLOAT32),
        "ancestral, bf16": ours(Precision.BF16),
        "floor: the decoder's products, float32": floor(options.images),
    }
    reference = "ancestral, float32"
    if importlib.util.find_spec("pythae") is not None:
        reference = "Pythae get_nll"
        variants = {reference: pythae_get_nll(x), **variants}
    memory = {name: peak_memory(run) for name, run in variants.items() if "floor" not in name}
    timings = measure(variants, reference, options.rounds)
    print(f"\n{SAMPLES} samples an image, {options.threads} threads\n")
    print(table(timings, options.images, "images"))
    print("\nmemory added at the peak, MB:", {k: round(v) for k, v in memory.items()})
    many = [Batch(blobs(3000)[2000:2400].float())]
    exact = importance_sampled(model, posterior, many, num_samples=SAMPLES)
    rounded = importance_sampled(
        model, posterior, many, num_samples=SAMPLES, precision=Precision.BF16
    )
    difference = rounded.value - exact.value
    print(
        f"bf16 - float32 over 400 images, same noise: mean {difference.mean():+.5f} nats, "
        f"worst {difference.abs().max():.4f}; log p {exact.mean:.2f}"
    )


if __name__ == "__main__":
    main()
