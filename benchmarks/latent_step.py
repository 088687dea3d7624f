"""A step of training of latent-variable recipes, against the matrix products in it alone.

The products of a step are recorded as they pass torch's dispatcher (shapes, strides, types), and
then run again on numbers by chance, with nothing between them. Three ratios, from one process in
which all variants run in turn:

- `iwae` with K = 50: step time over that of its decoder's products alone (the bar: 1.5);
- each recipe: step time over that of all products of its step;
- each recipe: step time over that of `vae`, beside the same ratio of products.

    python benchmarks/latent_step.py [--batch 100] [--samples 50] [--threads 1] [--rounds 5]
        [--recipes vae iwae ...] [--precision float32]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import subject
import torch
from alternating import Timing, measure
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import ancestral
from ancestral.core import AncestralError, Batch, Precision, matrix_products
from ancestral.data import TensorSource
from ancestral.estimator import Assembly
from ancestral.estimator.preparing import initialize
from ancestral.inference.bounds import ImportanceWeighted
from ancestral.inference.gradients import DoublyReparameterized, Pathwise, StickTheLanding
from ancestral.inference.objectives import Variational
from ancestral.models import LatentVariableModel
from ancestral.training.loop import LossModule
from ancestral.training.optimizer import AdamW

aten = torch.ops.aten
_OPERANDS = {
    aten.mm.default: (0, 1),
    aten.addmm.default: (1, 2),
    aten.bmm.default: (0, 1),
    aten.baddbmm.default: (1, 2),
}


class Recorder(TorchDispatchMode):
    """Keeps the shapes of all matrix products inside."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _OPERANDS:
            self.products.append(tuple(_alike(args[i]) for i in _OPERANDS[func]))
        return func(*args, **(kwargs or {}))


def _alike(x: Tensor) -> Tensor:
    size = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True))
    return torch.rand(size).to(x.dtype).as_strided(x.shape, x.stride())


def products_alone(work: Callable[[], None], precision: Precision) -> Callable[[], None]:
    """What remains of some work if only its matrix products are done."""
    with Recorder() as recorder:
        work()
    products = recorder.products
    weight = nn.Parameter(torch.zeros(1))

    def run() -> None:
        with torch.no_grad(), matrix_products(precision, weight):
            for a, b in products:
                a @ b

    return run


def step(parts: Assembly, batch: Batch, precision: Precision) -> Callable[[], None]:
    """Loss, gradient, and the optimiser's move."""
    module = LossModule(parts.objective, parts.model, parts.posterior).train()
    optimizer = AdamW([p for p in module.parameters() if p.requires_grad], 0.0)
    weight = next(module.parameters())

    def run() -> None:
        with matrix_products(precision, weight):
            loss = module(batch, 10_000)
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step(1e-4)

    return run


def decoding(
    model: LatentVariableModel, size: int, batch: Batch, samples: int, precision: Precision
) -> Callable[[], None]:
    """Log p(x | z) of K codes for each datum, forward and backward."""
    z = torch.randn(samples, len(batch), size, requires_grad=True)
    weight = next(model.parameters())

    def run() -> None:
        with matrix_products(precision, weight):
            value = model.log_likelihood(batch.x, z)
        value.sum().backward()

    return run


def tutorial(objective: Variational) -> Assembly:
    """The 784-500-20 networks of the tutorials."""
    model, posterior = subject.ours()
    return Assembly(model, objective, posterior)


def variants(samples: int, recipes: list[str], source: TensorSource) -> dict[str, Assembly]:
    found = {
        "784-500-20, ELBO": tutorial(Variational()),
        f"784-500-20, IWAE-{samples}": tutorial(
            Variational(ImportanceWeighted(samples), Pathwise())
        ),
        f"784-500-20, IWAE-{samples}, DReG": tutorial(
            Variational(ImportanceWeighted(samples), DoublyReparameterized())
        ),
        "784-500-20, stick the landing": tutorial(Variational(gradient=StickTheLanding())),
    }
    for name in recipes:
        recipe = ancestral.REGISTRY[name]
        more = {"num_samples": samples} if name == "iwae" else {}
        try:
            options = recipe.resolved(more, source.spec, 50_000)
            parts = recipe.build(source.spec, options)
            initialize(parts, source, 0)
        except AncestralError as error:
            print(f"{name} is left out: {error.message}")
            continue
        found[f"`{name}`" + (f", K = {samples}" if more else "")] = parts
    return found


def _range(timing: Timing) -> str:
    return f"{1 / timing.high:.2f} to {1 / timing.low:.2f}"


def main() -> None:
    latent = [n for n, r in ancestral.REGISTRY.items() if "latent" in r.tags and n != "ppca"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--recipes", nargs="*", default=latent)
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    precision = Precision(options.precision)
    x = (torch.rand(500, subject.DIMS) < 0.2).to(torch.uint8)
    source = TensorSource(x, subject.SPEC)
    batch = source.rows(torch.arange(options.batch))
    print(
        f"\nbatch {options.batch}, {options.threads} threads, {precision}, "
        f"torch {torch.__version__}\n"
    )
    assemblies = variants(options.samples, options.recipes, source)
    steps, floors = {}, {}
    for name, parts in assemblies.items():
        steps[name] = step(parts, batch, precision)
        steps[name]()  # lazy layers, caches
        floors[name] = products_alone(steps[name], precision)
    model, _ = subject.ours()
    decoder = decoding(model, subject.LATENT, batch, options.samples, precision)
    alone = products_alone(decoder, precision)
    iwae = f"784-500-20, IWAE-{options.samples}"
    timing = measure({"floor": alone, "step": steps[iwae]}, "floor", options.rounds)["step"]
    print(
        f"{iwae}: a step takes {1 / timing.speedup:.2f} times its decoder's products "
        f"({_range(timing)})\n"
    )
    print("| | step, ms | over its products | over ELBO | products over ELBO's |")
    print("| --- | ---: | ---: | ---: | ---: |")
    plain = "784-500-20, ELBO"
    for name in assemblies:
        reference = "`vae`" if name.startswith("`") and "`vae`" in assemblies else plain
        timings = measure(
            {
                "reference": steps[reference],
                "floor of it": floors[reference],
                "step": steps[name],
                "floor": floors[name],
            },
            "reference",
            options.rounds,
        )
        own, floor = timings["step"], timings["floor"]
        of_products = floor.seconds / timings["floor of it"].seconds
        print(
            f"| {name} | {1e3 * own.seconds:.1f} | {own.seconds / floor.seconds:.2f} | "
            f"{1 / own.speedup:.2f} | {of_products:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
