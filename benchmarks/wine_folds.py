"""RNADE and a Gaussian on red wine, over the ten folds of the RNADE authors.

    ANCESTRAL_DATA=DATA python benchmarks/wine_folds.py [--folds 1 2 ...] [--option NAME=VALUE ...]

For each fold RNADE is fitted with its recipe's defaults, or the options given, to nine tenths of
the other nine folds, stopped by the remaining tenth, and scored once on the fold; the Gaussian
is fitted to all of the nine. As in the paper, numbers are log densities, in nats, of data that
were standardised by the mean and deviation of the nine folds. A Markdown row for each model shows
the mean over the folds and its standard error.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

import ancestral
from ancestral.data import Dataset, load_folds

PUBLISHED = {"gaussian": "-13.18", "rnade": "-9.36 (Gaussians), -9.46 (Laplacians)"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(1, 11)))
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    options = dict(item.split("=", 1) for item in arguments.option)
    options = {name: _value(text) for name, text in options.items()}
    folds = load_folds("wine-red-folds")
    scores: dict[str, list[float]] = {"gaussian": [], "rnade": []}
    kinds = {"gaussian": "exact"}
    seconds = 0.0
    for number in arguments.folds:
        data = folds[number - 1]
        started = time.perf_counter()
        model = ancestral.build("rnade", seed=arguments.seed, **options)
        model.fit(data.train, validation=data.valid)
        seconds += time.perf_counter() - started
        estimate = model.score_samples(data.test)
        kinds["rnade"] = estimate.kind
        scores["rnade"].append(estimate.mean + float(np.log(_nine(data).std(0)).sum()))
        scores["gaussian"].append(_gaussian(data))
        line = ", ".join(f"{name} {values[-1]:.3f}" for name, values in scores.items())
        print(f"fold {number}: {line}", flush=True)
    print("| model | log p, nats | kind | folds | minutes | published |")
    print("| --- | ---: | --- | ---: | ---: | --- |")
    for name, values in scores.items():
        error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        minutes = f"{seconds / 60:.1f}" if name == "rnade" else ""
        print(
            f"| {name} | {np.mean(values):.3f} ± {error:.3f} | {kinds[name]} | {len(values)} "
            f"| {minutes} | {PUBLISHED[name]} |"
        )


def _nine(data: Dataset) -> np.ndarray:
    """The nine folds that are not tested, [rows, 11]."""
    return np.concatenate([_rows(data, "train"), _rows(data, "valid")])


def _gaussian(data: Dataset) -> float:
    """Mean log density of the test fold under the nine folds' mean and covariance."""
    train, test = _nine(data), _rows(data, "test")
    loc, scale = train.mean(0), train.std(0)
    train, test = (train - loc) / scale, (test - loc) / scale
    covariance = train.T @ train / len(train)
    _, log_det = np.linalg.slogdet(covariance)
    squares = (test * np.linalg.solve(covariance, test.T).T).sum(1)
    return float(-0.5 * (squares + log_det + test.shape[1] * np.log(2 * np.pi)).mean())


def _rows(data: Dataset, split: str) -> np.ndarray:
    return data.splits[split].rows(slice(None)).x.double().numpy()


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


if __name__ == "__main__":
    main()
