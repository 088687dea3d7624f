"""A small classifier of images, and attacks on it: the other side of `pixel_defend.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Defence", "Pgd", "accuracy", "classifier", "fgsm", "predict"]

_BATCH = 128
_ROWS = 500  # looked at together where no gradient is asked for

Defence = Callable[[Tensor], Tensor]
"""[rows, height, width] from 0 to 1 -> the same, purified."""


def classifier(x: Tensor, labels: Tensor, *, epochs: int, seed: int = 0) -> nn.Module:
    """Two convolutions and two dense layers, trained on clean images by Adam.

    Args:
        x: [rows, height, width] from 0 to 1.
        labels: [rows] int64.
        epochs: passes over the rows.
        seed: of weights and permutations.

    Returns:
        A module in evaluation mode, [rows, height, width] -> [rows, 10] logits.
    """
    torch.manual_seed(seed)
    small = x.shape[-1] < 16
    stride, kernel = (1, 3) if small else (2, 5)
    features = nn.Sequential(
        nn.Unflatten(1, (1, x.shape[1])),
        nn.Conv2d(1, 32, kernel, stride=stride, padding=kernel // 2),
        nn.ReLU(),
        nn.Conv2d(32, 64, kernel, stride=2, padding=kernel // 2),
        nn.ReLU(),
        nn.Flatten(),
    )
    size = features(x[:1]).shape[1]
    network = nn.Sequential(features, nn.Linear(size, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    steps = epochs * -(-len(x) // _BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(_BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(x[rows]), labels[rows]).backward()
            optimizer.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def predict(network: nn.Module, x: Tensor) -> Tensor:
    """The likeliest class of each image, [rows]."""
    with torch.no_grad():
        return torch.cat([network(part).argmax(1) for part in x.split(_ROWS)])


def accuracy(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    """Share of the images that are told right."""
    return float((predict(network, x) == labels).float().mean())


def fgsm(network: nn.Module, x: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """One step of length epsilon in each pixel, uphill for the loss (Goodfellow et al., 2015)."""
    return (x + epsilon * _slope(network, x, labels).sign()).clamp(0, 1)


@dataclass(frozen=True)
class Pgd:
    """Projected gradient ascent on the loss from a random start (Madry et al., 2018).

    Args:
        epsilon: half the side of the cube around each image, in units of white.
        num_steps: of ascent.
        step_size: in each pixel; 2.5 epsilon / num_steps reaches all of the cube.
        seed: of the start.
    """

    epsilon: float
    num_steps: int = 40
    step_size: float = 0.01
    seed: int = 0

    def __call__(
        self, network: nn.Module, x: Tensor, labels: Tensor, defence: Defence | None = None
    ) -> Tensor:
        """Attacked images.

        Args:
            network: classifier.
            x: [rows, height, width] from 0 to 1.
            labels: of the images.
            defence: what stands before the classifier, and is attacked along with it: the
                gradient at its output is taken for that at its input (BPDA with the identity,
                Athalye et al., 2018), since a projection leaves images nearly where they are. Of
                all iterates the one at which the pipeline is wrong is kept; None: the classifier
                stands alone.
        """
        torch.manual_seed(self.seed)
        at = (x + torch.empty_like(x).uniform_(-self.epsilon, self.epsilon)).clamp(0, 1)
        best, fooled = at, torch.zeros(len(x), dtype=torch.bool)
        for _ in range(self.num_steps):
            seen = at if defence is None else defence(at)
            if defence is not None:
                wrong = (predict(network, seen) != labels) & ~fooled
                best = torch.where(wrong[:, None, None], at, best)
                fooled |= wrong
            uphill = at + self.step_size * _slope(network, seen, labels).sign()
            at = torch.minimum(torch.maximum(uphill, x - self.epsilon), x + self.epsilon)
            at = at.clamp(0, 1)
        return at if defence is None else torch.where(fooled[:, None, None], best, at)


def _slope(network: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """Of the loss of each image, at the image."""
    slopes = []
    for rows, of_rows in zip(x.split(_ROWS), labels.split(_ROWS), strict=True):
        at = rows.detach().clone().requires_grad_()
        loss = F.cross_entropy(network(at), of_rows, reduction="sum")
        slopes.append(torch.autograd.grad(loss, at)[0])
    return torch.cat(slopes)
