"""Images a second while training a 784-500-20 variational autoencoder.

Against the plain loop a user would write, other libraries' trainers (as far as they are
installed), and the floor: the same matrix products alone.

    python benchmarks/train_step.py [--batch 100 1000] [--threads 2] [--rounds 7] [--no-compile]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import logging
import tempfile
import warnings
from collections.abc import Callable

import subject
import torch
from alternating import measure, table
from subject import DIMS, HIDDEN, LATENT, PlainVae, pythae_vae
from torch.nn import functional as F

from ancestral.data import TensorSource
from ancestral.inference.objectives import Variational
from ancestral.training import LossModule, TrainingConfig, train


def rows(num_rows: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(num_rows, DIMS, generator=generator) < 0.2).to(torch.uint8)


def plain_loop(x: torch.Tensor, batch_size: int) -> Callable[[], None]:
    model = PlainVae()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = torch.utils.data.TensorDataset(x.float())
    loader = torch.utils.data.DataLoader(data, batch_size=batch_size, shuffle=True)

    def run() -> None:
        total = 0.0
        for (batch,) in loader:
            logits, loc, log_var = model(batch)
            cross_entropy = F.binary_cross_entropy_with_logits(logits, batch, reduction="sum")
            kl = -0.5 * (1 + log_var - loc.square() - log_var.exp()).sum()
            loss = (cross_entropy + kl) / len(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()

    return run


def ours(x: torch.Tensor, batch_size: int, **options) -> Callable[[], None]:
    source = TensorSource(x, subject.SPEC)
    module = LossModule(Variational(), *subject.ours())
    config = TrainingConfig(epochs=1, batch_size=batch_size, **options)
    return lambda: train(module, source, config) and None


def floor(x: torch.Tensor, batch_size: int) -> Callable[[], None]:
    """The matrix products of forward and backward, float32, and nothing else."""
    data = x.float()
    sizes = [(DIMS, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, DIMS)]
    weights = [torch.randn(o, i) for i, o in sizes]
    inputs = [torch.randn(batch_size, i) for i, _ in sizes]
    outputs = [torch.randn(batch_size, o) for _, o in sizes]

    def run() -> None:
        for _ in range(0, len(data), batch_size):
            for number, (w, a, g) in enumerate(zip(weights, inputs, outputs, strict=True)):
                a @ w.T
                g.T @ a
                if number:
                    g @ w

    return run


def pythae(x: torch.Tensor, batch_size: int) -> Callable[[], None]:
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    model = pythae_vae()
    labels = torch.zeros(len(x))
    training = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        num_epochs=1,
        learning_rate=1e-3,
        per_device_train_batch_size=batch_size,
        no_cuda=True,
    )
    logging.disable(logging.CRITICAL)
    trainer = BaseTrainer(model, BaseDataset(x.float(), labels), training_config=training)
    trainer.prepare_training()

    def run() -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            trainer.train_step(1)

    return run


def pyro(x: torch.Tensor, batch_size: int) -> Callable[[], None]:
    import pyro
    import pyro.distributions as dist
    from pyro.infer import SVI, Trace_ELBO
    from pyro.optim import Adam

    pyro.clear_param_store()
    vae = PlainVae()
    data = torch.utils.data.TensorDataset(x.float())
    loader = torch.utils.data.DataLoader(data, batch_size=batch_size, shuffle=True)

    def model(batch):
        pyro.module("vae", vae)
        with pyro.plate("data", len(batch)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(batch), LATENT), 1.0).to_event(1))
            logits = vae.decoder(z)
            pyro.sample("x", dist.Bernoulli(logits=logits).to_event(1), obs=batch)

    def guide(batch):
        pyro.module("vae", vae)
        with pyro.plate("data", len(batch)):
            h = vae.hidden(batch).relu()
            scale = (0.5 * vae.log_var(h)).exp()
            pyro.sample("z", dist.Normal(vae.loc(h), scale).to_event(1))

    svi = SVI(model, guide, Adam({"lr": 1e-3}), Trace_ELBO())

    def run() -> None:
        for (batch,) in loader:
            svi.step(batch)

    return run


def lightning(x: torch.Tensor, batch_size: int) -> Callable[[], None]:
    import lightning as L

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.vae = PlainVae()

        def training_step(self, batch, _):
            (x,) = batch
            logits, loc, log_var = self.vae(x)
            cross_entropy = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            kl = -0.5 * (1 + log_var - loc.square() - log_var.exp()).sum()
            return (cross_entropy + kl) / len(x)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    module = Module()
    data = torch.utils.data.TensorDataset(x.float())
    loader = torch.utils.data.DataLoader(data, batch_size=batch_size, shuffle=True)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    def run() -> None:
        trainer = L.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, loader)

    return run


def numpyro(x: torch.Tensor, batch_size: int) -> Callable[[], None]:
    """An epoch as one compiled scan: the fastest way of that library."""
    import jax
    import jax.numpy as jnp
    import optax

    data = jnp.asarray(x.numpy(), dtype=jnp.float32)
    keys = jax.random.split(jax.random.PRNGKey(0), 5)
    sizes = [(DIMS, HIDDEN), (HIDDEN, LATENT), (HIDDEN, LATENT), (LATENT, HIDDEN), (HIDDEN, DIMS)]
    start = [
        (jax.random.normal(k, s) / s[0] ** 0.5, jnp.zeros(s[1]))
        for k, s in zip(keys, sizes, strict=True)
    ]
    optimizer = optax.adam(1e-3)
    num_batches = len(x) // batch_size
    shapes = (num_batches, batch_size)

    def elbo(params, key, batch):
        import numpyro.distributions as dist

        h = jax.nn.relu(batch @ params[0][0] + params[0][1])
        loc = h @ params[1][0] + params[1][1]
        scale = jnp.exp(0.5 * (h @ params[2][0] + params[2][1]))
        q = dist.Normal(loc, scale)
        z = q.sample(key)
        g = jax.nn.relu(z @ params[3][0] + params[3][1])
        logits = g @ params[4][0] + params[4][1]
        likelihood = dist.BernoulliLogits(logits).log_prob(batch).sum(-1)
        ratio = dist.Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)
        return -(likelihood + ratio.sum(-1)).mean()

    @jax.jit
    def epoch(params, state, key):
        order = jax.random.permutation(key, len(x))[: num_batches * batch_size].reshape(shapes)

        def step(carry, index):
            params, state, key = carry
            key, use = jax.random.split(key)
            gradient = jax.grad(elbo)(params, use, data[index])
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(params, updates), state, key), None

        (params, state, key), _ = jax.lax.scan(step, (params, state, key), order)
        return params, state, key

    held = [start, optimizer.init(start), jax.random.PRNGKey(1)]

    def run() -> None:
        held[:] = jax.block_until_ready(epoch(*held))

    return run


PEERS = {"Pythae": pythae, "Pyro": pyro, "Lightning": lightning, "NumPyro, jit of a scan": numpyro}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=100, help="of each variant in each round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    for batch_size in options.batch:
        x = rows(options.steps * batch_size)
        torch.manual_seed(0)
        reference = "plain loop (Adam, DataLoader, loss.item())"
        variants = {reference: plain_loop(x, batch_size)}
        variants["ancestral, float32"] = ours(x, batch_size, precision="float32")
        variants["ancestral, default"] = ours(x, batch_size)
        variants["ancestral, bf16"] = ours(x, batch_size, precision="bf16")
        if not options.no_compile:
            variants["ancestral, bf16 + compile"] = ours(
                x, batch_size, precision="bf16", compile=True
            )
        variants["floor: matrix products, float32"] = floor(x, batch_size)
        for name, make in {} if options.no_peers else PEERS.items():
            module = name.split(",", maxsplit=1)[0].lower()
            if importlib.util.find_spec(module) is not None:
                variants[name] = make(x, batch_size)
        timings = measure(variants, reference, options.rounds)
        print(f"\nbatch {batch_size}, {options.threads} threads, torch {torch.__version__}\n")
        print(table(timings, len(x), "images"), flush=True)


if __name__ == "__main__":
    main()
