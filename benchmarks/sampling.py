"""Seconds to draw samples of autoregressive models, against one pass of the network for each site.

Beside them: one pass over as many rows, which is what their likelihood costs, and the floor, which
is the matrix products of the weights in use and nothing else. All variants give the same samples
for the same noise. Weights are random: times do not depend on them, passes of Jacobi do.

    python benchmarks/sampling.py [--only made nade ...] [--threads 2] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.distributions import Bernoulli, Categorical, site_head
from ancestral.models import AutoregressiveModel, SamplingMethod
from ancestral.networks.causal import (
    NADE,
    CausalNetwork,
    DilatedConvolutional,
    GatedConvolutions,
    MaskedDense,
    OneHot,
    Plain,
    RecurrentCausal,
    doubling,
)


@dataclass(frozen=True)
class Subject:
    """A model, how many samples, and what a hand-written loop would be.

    Args:
        network: with random weights.
        num_codes: of a site.
        rows: samples.
        floor: the matrix products alone.
        naive_passes: passes that are timed; the rest are extrapolated, since each costs the same.
        methods: of sampling, besides naive.
        peers: other ways to draw as many.
    """

    network: CausalNetwork
    num_codes: int
    rows: int
    floor: Callable[[], None]
    naive_passes: int = 4
    methods: tuple[SamplingMethod, ...] = (SamplingMethod.CACHED,)
    peers: dict[str, Callable[[], None]] = field(default_factory=dict)
    naive: bool = True
    likelihood: bool = True

    @property
    def model(self) -> AutoregressiveModel:
        sites, width = self.network.num_sites, self.network.width
        shape = (sites * width,)
        family = Bernoulli(shape) if self.num_codes == 2 else Categorical(shape, self.num_codes)
        return AutoregressiveModel(self.network, site_head(family, sites, width), shape).eval()


def products(weights: list[Tensor], rows: int, times: int = 1) -> Callable[[], None]:
    """Each weight [out, in] with as many inputs, one after the other, `times` times."""
    pairs = [(w, torch.randn(rows, w.shape[1])) for w in weights]

    def run() -> None:
        for _ in range(times):
            for weight, x in pairs:
                x @ weight.T

    return run


def matrices(network: nn.Module) -> list[Tensor]:
    """The weights as matrices."""
    return [p.detach().flatten(1) for p in network.parameters() if p.ndim > 1 and len(p) > 1]


def made() -> Subject:
    network = MaskedDense(784, 1, Plain(), hidden_sizes=[500])
    methods = (SamplingMethod.CACHED, SamplingMethod.JACOBI)
    weights = [torch.randn(500, 784), torch.randn(784, 500), torch.randn(784, 784)]
    return Subject(network, 2, 64, products(weights, 64), naive_passes=100, methods=methods)


def nade() -> Subject:
    network = NADE(784, 1, Plain(), 500)
    weights = [torch.randn(500, 784), torch.randn(784, 500)]
    methods = (SamplingMethod.CACHED, SamplingMethod.JACOBI)
    return Subject(network, 2, 64, products(weights, 64), methods=methods)


def gated_pixel_cnn(rows: int, naive: bool) -> Subject:
    network = GatedConvolutions(
        (28, 28, 1), 1, Plain(), size=64, num_layers=8, kernel_size=3, first_kernel_size=7
    )
    methods = [SamplingMethod.CACHED, SamplingMethod.ROW_JACOBI]
    methods += [SamplingMethod.JACOBI] if naive else []
    floor = products(matrices(network), rows * 784)
    return Subject(network, 2, rows, floor, 3, tuple(methods), naive=naive)


def wavenet(layers: int, rows: int, naive: bool) -> Subject:
    network = DilatedConvolutional(
        8000,
        256,
        OneHot(256),
        dilations=doubling(10, layers // 10),
        channels=64,
        skip_channels=256,
    )
    weights = [w for w in matrices(network) if w.shape[1] <= 512]
    floor = products(weights, rows * 8000)
    return Subject(network, 256, rows, floor, 2, naive=naive, likelihood=naive)


def char_rnn() -> Subject:
    rows, sites, size = 64, 1000, 512
    network = RecurrentCausal(sites, 65, OneHot(65), hidden_size=size, num_layers=3)
    gates = [torch.randn(4 * size, size) for _ in range(5)] + [torch.randn(65, size)]
    peers = {"a plain step loop of nn.LSTM": plain_lstm(rows, sites, size)}
    return Subject(network, 65, rows, products(gates, rows, sites), 1, peers=peers, naive=False)


def plain_lstm(rows: int, sites: int, size: int) -> Callable[[], None]:
    """What a user would write: embed, one step of the network, softmax, draw."""
    embedding = nn.Embedding(65, 64)
    lstm = nn.LSTM(64, size, num_layers=3, batch_first=True)
    output = nn.Linear(size, 65)

    @torch.no_grad()
    def run() -> None:
        state = None
        code = torch.zeros(rows, 1, dtype=torch.int64)
        for _ in range(sites):
            h, state = lstm(embedding(code), state)
            code = torch.multinomial(F.softmax(output(h[:, -1]), -1), 1)

    return run


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "made": made,
    "nade": nade,
    "gated_pixel_cnn": lambda: gated_pixel_cnn(16, naive=True),
    "gated_pixel_cnn, 64 samples": lambda: gated_pixel_cnn(64, naive=False),
    "wavenet, 30 layers": lambda: wavenet(30, 1, naive=True),
    "wavenet, 20 layers": lambda: wavenet(20, 1, naive=False),
    "wavenet, 10 layers": lambda: wavenet(10, 1, naive=False),
    "wavenet, 30 layers, 16 streams": lambda: wavenet(30, 16, naive=False),
    "char_rnn": char_rnn,
}


@dataclass
class Variant:
    """Something to time, whose seconds count `scale` times."""

    run: Callable[[], None]
    scale: float = 1.0
    seconds: list[float] = field(default_factory=list)


def variants(subject: Subject) -> Iterator[tuple[str, Variant]]:
    model, network = subject.model, subject.network
    uniforms = model.uniforms(subject.rows)
    x = model.sample(subject.rows)

    @torch.no_grad()
    def passes() -> None:
        sites = model.to_sites(x)
        for t in range(subject.naive_passes):
            features = network(sites)
            sites[:, t] = model.head.site(t).draw(features[:, t], uniforms[:, t])

    @torch.no_grad()
    def likelihood() -> None:
        model.log_prob(x)

    if subject.naive:
        scale = network.num_sites / subject.naive_passes
        yield "one pass for each site", Variant(passes, scale)
    for name, run in subject.peers.items():
        yield name, Variant(run)
    for method in subject.methods:
        drawn = model.draw(uniforms, method=method)
        counted = f", {drawn.num_passes} passes" if drawn.num_passes else ""
        yield (
            f"ancestral, {str(method).replace('_', ' ')}{counted}",
            Variant(lambda method=method: model.draw(uniforms, method=method) and None),
        )
    if subject.likelihood:
        yield "their likelihood: one pass", Variant(likelihood)
    yield "floor: matrix products", Variant(subject.floor)


def measure(found: dict[str, Variant], rounds: int) -> None:
    """In turn, in rotating order, after one warm-up round."""
    names = list(found)
    for number in range(-1, rounds):
        shift = max(0, number) % len(names)
        for name in names[shift:] + names[:shift]:
            start = time.perf_counter()
            found[name].run()
            if number >= 0:
                spent = time.perf_counter() - start
                found[name].seconds.append(spent * found[name].scale)


def table(found: dict[str, Variant], subject: Subject) -> str:
    names = list(found)
    first = found[names[0]].seconds
    steps = subject.network.num_sites
    lines = [
        f"| | seconds | us a step | times as fast as {names[0]} | over the rounds |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name in names:
        own = found[name].seconds
        ratios = sorted(a / b for a, b in zip(first, own, strict=True))
        middle = statistics.median(own)
        lines.append(
            f"| {name} | {middle:.4g} | {middle / steps * 1e6:,.1f} "
            f"| {statistics.median(ratios):,.1f} | {ratios[0]:,.1f} to {ratios[-1]:,.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=list(SUBJECTS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.only:
        torch.manual_seed(0)
        subject = SUBJECTS[name]()
        found = dict(variants(subject))
        measure(found, options.rounds)
        print(f"\n{name}: {subject.rows} samples of {subject.network.num_sites:,} sites, ", end="")
        print(f"{options.threads} threads\n\n{table(found, subject)}", flush=True)


if __name__ == "__main__":
    main()
