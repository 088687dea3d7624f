"""Posterior collapse, produced and cured: autoregressive decoders on the embedded digits.

    python benchmarks/posterior_collapse.py [--epochs 40] [--only NAME]

One thread, the 8 x 8 digits, small networks; numbers are of the validation rows. `kl` is
KL(q(z | x) || p(z)) in nats; `log p` is importance sampling with 200 samples, a lower bound.
"""

import argparse

import torch

import ancestral
from ancestral.inference.evidence import Importance

NO_WARM_UP = {"kl_warm_up": 0}  # the recipes have one by default, which is a cure
MADE = NO_WARM_UP | {"decoder": "made", "latent_size": 16, "hidden_size": 128, "dropout": 0.0}
PIXELS = NO_WARM_UP | {
    "decoder": "pixel_cnn",
    "latent_size": 16,
    "hidden_size": 128,
    "channels": 16,
}
NEAR, FAR = {"num_layers": 1, "first_kernel_size": 3}, {"num_layers": 4, "first_kernel_size": 7}

VARIANTS = {
    "made, no cure": ("pixel_vae", MADE),
    "made, KL warm-up of 400 steps": ("pixel_vae", MADE | {"kl_warm_up": 400}),
    "made, 0.25 free nats a dimension": ("pixel_vae", MADE | {"free_nats": 0.25}),
    "pixel_cnn that sees all, no cure": ("pixel_vae", PIXELS | FAR),
    "pixel_cnn that sees all, KL warm-up": ("pixel_vae", PIXELS | FAR | {"kl_warm_up": 400}),
    "pixel_cnn that sees all, 0.25 free nats": ("pixel_vae", PIXELS | FAR | {"free_nats": 0.25}),
    "pixel_cnn that sees one pixel far": ("pixel_vae", PIXELS | NEAR),
    "vlae": ("vlae", NO_WARM_UP | {"latent_size": 16, "channels": 16, "flow_size": 64} | NEAR),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = ancestral.load_dataset("digits")
    print(f"{'':42s} {'ELBO':>8s} {'kl':>7s} {'log p':>8s} {'active':>7s}", flush=True)
    for name, (recipe, settings) in VARIANTS.items():
        if options.only and options.only not in name:
            continue
        training = {"epochs": options.epochs, "batch_size": 50, "learning_rate": 2e-3}
        model = ancestral.build(recipe, **settings, **training)
        model.fit(data.train, validation=data.valid)
        best = max(model.history_.records, key=lambda record: record["valid/bound"])
        log_p = model.score_samples(data.valid, Importance(200)).mean
        active = int((model.encode(data.valid).var(0) > 0.01).sum())
        print(
            f"{name:42s} {best['valid/bound']:8.2f} {best['valid/kl']:7.2f} {log_p:8.2f} "
            f"{active:4d}/16",
            flush=True,
        )


if __name__ == "__main__":
    main()
