"""PixelDefend: a classifier, attacks on it, and what detection and purification make of them.

    python benchmarks/pixel_defend.py --data digits --run runs/pd-digits
    python benchmarks/pixel_defend.py --data mnist --run runs/pd-mnist --minutes 30

The run is a density model of clean images: it is loaded if it is there, and else a
`gated_pixel_cnn` of `--levels` grey levels is trained for `--minutes` and kept there. The
classifier sees the training images too. Attacks know the classifier (white box), not the model;
the last table is of the adaptive attack, which knows both. P-values are calibrated on validation
images, of which neither saw one.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from attacks import Pgd, accuracy, classifier, fgsm, predict
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

import ancestral
from ancestral.core import Kind, Specification
from ancestral.data import Dataset, Source, TensorSource
from ancestral.estimator import DensityEstimator
from ancestral.plots import CaptionedRow, captioned_rows, save

EPOCHS = {"digits": 40, "mnist": 3}  # of the classifier
LEVELS = {"digits": 17, "mnist": 16}  # of the density model
OPTIONS = {  # of its recipe and training
    "digits": {},
    "mnist": {"channels": 20, "num_layers": 6, "batch_size": 32, "averaging": 0.998},
}
THRESHOLD = 0.05  # of p-values
CALIBRATING = 2000  # validation images
PICTURED = 8


@dataclass(frozen=True)
class Images:
    """Images from 0 to 1, and their classes."""

    x: Tensor
    labels: Tensor

    @staticmethod
    def of(source: Source) -> Images:
        top = (source.spec.num_levels or 2) - 1
        assert source.labels is not None
        x = torch.cat([batch.x for batch in source.ordered(1000)]) / top
        return Images(x, torch.as_tensor(source.labels))

    def first(self, num: int) -> Images:
        return Images(self.x[:num], self.labels[:num])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=EPOCHS, default="digits")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--epsilon", type=float, default=0.3)
    parser.add_argument("--num", type=int, default=1000, help="test images to attack")
    parser.add_argument("--levels", type=int, help="grey levels of a model that is to be trained")
    parser.add_argument("--minutes", type=float, default=5.0, help="of its training")
    parser.add_argument("--method", default="auto", help="of purification")
    parser.add_argument("--boldness", type=float, help="of purification")
    parser.add_argument("--adaptive", type=int, default=100, help="images of the adaptive attack")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = ancestral.load_dataset(options.data)
    train, valid, test = (Images.of(s) for s in (data.train, data.valid, data.test))
    levels = options.levels or LEVELS[options.data]
    model = density_model(data, options.run, levels, options.minutes)
    network = classifier(train.x, train.labels, epochs=EPOCHS[options.data])
    share = accuracy(network, test.x, test.labels)
    print(f"classifier: {share:.2%} of {len(test.x):,} clean test images right", flush=True)
    some = test.first(options.num)
    attacked = {
        "clean": some.x,
        "FGSM": fgsm(network, some.x, some.labels, options.epsilon),
        "PGD": Pgd(options.epsilon)(network, some.x, some.labels),
    }
    purified = compare(model, network, some, attacked, valid, options)
    if options.adaptive:
        adaptive(model, network, some.first(options.adaptive), options)
    if options.picture is not None:
        draw(network, some, attacked, purified, options.picture)


def density_model(data: Dataset, run: Path, levels: int, minutes: float) -> DensityEstimator:
    """The model of the run, trained first if there is none."""
    if (run / "model.safetensors").exists():
        return ancestral.load(run)
    spec = Specification(Kind.LEVELS, data.spec.shape, num_levels=levels)

    def rounded(source: Source) -> TensorSource:
        x = (Images.of(source).x * (levels - 1)).round()
        return TensorSource(x.numpy().astype(np.uint8), spec)

    training = OPTIONS[data.name] | {"max_minutes": minutes, "seed": 1}
    model = ancestral.build("gated_pixel_cnn", **training)
    model.fit(rounded(data.train), validation=rounded(data.valid), folder=run)
    return model


def compare(
    model: DensityEstimator,
    network: nn.Module,
    clean: Images,
    attacked: dict[str, Tensor],
    valid: Images,
    options: argparse.Namespace,
) -> dict[str, Tensor]:
    """Detection and accuracy for each attack; prints a table, gives all images purified."""
    print(f"{len(clean.x):,} test images, epsilon {options.epsilon:g}, method {options.method}")
    print(f"{'':8s}{'given':>9s}{'rounded':>9s}{'all':>9s}{'detected':>10s}{'AUROC':>8s}"
          f"{'p < ' + str(THRESHOLD):>10s}{'seconds':>9s}")  # fmt: skip
    scores = model.rounded_log_prob(clean.x.numpy()).value.numpy()
    usual = valid.first(CALIBRATING).x.numpy()
    purified = {}
    for name, x in attacked.items():
        start = time.perf_counter()
        purified[name] = torch.as_tensor(
            model.purify(
                x.numpy(), options.epsilon, method=options.method, boldness=options.boldness
            )
        )
        seconds = time.perf_counter() - start
        p_values = model.low_p_values(x.numpy(), calibration=usual)
        found = torch.as_tensor(p_values < THRESHOLD)
        only_found = torch.where(found[:, None, None], purified[name], x)
        own = model.rounded_log_prob(x.numpy()).value.numpy()
        area = roc_auc_score(np.repeat([0, 1], len(own)), -np.concatenate((scores, own)))
        shares = [accuracy(network, y, clean.labels)
                  for y in (x, x.round(), purified[name], only_found)]  # fmt: skip
        print(f"{name:8s}" + "".join(f"{share:9.1%}" for share in shares[:3])
              + f"{shares[3]:10.1%}{area:8.4f}{float(found.float().mean()):10.1%}{seconds:9.0f}",
              flush=True)  # fmt: skip
    return purified


def adaptive(
    model: DensityEstimator, network: nn.Module, some: Images, options: argparse.Namespace
) -> None:
    """The attack that knows the defence, and what is left."""

    def defence(x: Tensor) -> Tensor:
        return torch.as_tensor(
            model.purify(
                x.numpy(), options.epsilon, method=options.method, boldness=options.boldness
            )
        )

    attack = Pgd(options.epsilon, num_steps=20, step_size=0.03)
    x = attack(network, some.x, some.labels, defence)
    share = accuracy(network, defence(x), some.labels)
    scores = [model.rounded_log_prob(y.numpy()).value.numpy() for y in (some.x, x)]
    area = roc_auc_score(np.repeat([0, 1], len(x)), -np.concatenate(scores))
    print(f"adaptive PGD through the purifier (BPDA, 20 steps), {len(x)} images: accuracy "
          f"{share:.1%}, detection AUROC {area:.4f}", flush=True)  # fmt: skip


def draw(
    network: nn.Module,
    clean: Images,
    attacked: dict[str, Tensor],
    purified: dict[str, Tensor],
    path: Path,
) -> None:
    """Images, attacked and purified, with what the classifier says of them."""

    def row(x: Tensor, label: str) -> CaptionedRow:
        answers = predict(network, x[:PICTURED])
        wrong = (answers != clean.labels[:PICTURED]).numpy()
        return CaptionedRow(x[:PICTURED].numpy(), [str(int(a)) for a in answers], wrong, label)

    rows = [row(clean.x, "clean"), row(purified["clean"], "purified")]
    for name in ("FGSM", "PGD"):
        rows += [row(attacked[name], name), row(purified[name], "purified")]
    save(captioned_rows(rows), path)


if __name__ == "__main__":
    main()
