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

import torch
from torch import nn

from alternating import measure, table
from ancestral.core import Batch, Kind, Precision, Specification
from ancestral.distributions import Bernoulli
from ancestral.inference.evidence import importance_sampled
from ancestral.inference.objectives import Variational
from ancestral.inference.posteriors import Amortized
from ancestral.models import (
    DiagonalGaussian,
    LatentVariableModel,
    NetworkConditional,
    StandardNormalPrior,
)
from ancestral.networks import DenseNetwork, InputFeatures
from ancestral.training import LossModule, TrainingConfig, train
from train_step import DIMS, HIDDEN, LATENT

SAMPLES = 5000


def fitted() -> tuple[LatentVariableModel, Amortized]:
    """A few hundred steps, so that posteriors are as sharp as those of a trained model."""
    from ancestral.data import TensorSource

    spec = Specification(Kind.BINARY, (DIMS,))
    torch.manual_seed(0)
    network = DenseNetwork(LATENT, (HIDDEN,), DIMS, nn.ReLU)
    model = LatentVariableModel(
        StandardNormalPrior(LATENT), NetworkConditional(network, Bernoulli((DIMS,)))
    )
    encoder = DiagonalGaussian(DenseNetwork(DIMS, (HIDDEN,), 2 * LATENT, nn.ReLU))
    posterior = Amortized(InputFeatures(spec), encoder)
    source = TensorSource(blobs(2000), spec)
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
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(DIMS, HIDDEN)
            self.loc, self.log_var = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)

        def forward(self, x):
            h = self.hidden(x).relu()
            return ModelOutput(embedding=self.loc(h), log_covariance=self.log_var(h))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIMS), nn.Sigmoid()
            )

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z))

    config = VAEConfig(input_dim=(DIMS,), latent_dim=LATENT, reconstruction_loss="bce")
    model = VAE(config, Encoder(), Decoder())
    data = x.float()
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
