"""Missing cells of the breast cancer table: error of one guess, and coverage of intervals.

scikit-learn's table, 569 x 30, standardised, half of its cells missing completely at random, as in
Mattei & Frellsen (2019), MIWAE, table 1. Beside the library's models: the mean of each column, and
scikit-learn's IterativeImputer (as it is, and drawing from its posterior for the intervals).

    python benchmarks/imputation.py --masks 0 1 2 --recipes miwae vae ppca
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer

import ancestral

LEVEL = 0.9
DRAWS = 200


def rows_with_gaps(mask_seed: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    x = load_breast_cancer().data
    x = (x - x.mean(0)) / x.std(0)
    return x, np.random.default_rng(mask_seed).random(x.shape) < share


def by_recipe(name: str, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, str, float]:
    """Best guesses, interval bounds [2, rows, columns], what was done, seconds to train."""
    start = time.perf_counter()
    model = ancestral.build(name, seed=seed).fit(x)
    seconds = time.perf_counter() - start
    found = model.impute_samples(x, DRAWS, seed=seed)
    bounds = torch.stack(found.interval(LEVEL)).numpy()
    return found.completed(model.spec_).numpy(), bounds, found.method, seconds


def by_columns(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, str, float]:
    guess = SimpleImputer().fit_transform(x)
    bounds = np.nanquantile(x, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    return guess, np.repeat(bounds[:, None], len(x), 1), "", 0.0


def by_iteration(x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, str, float]:
    start = time.perf_counter()
    guess = IterativeImputer(random_state=seed).fit_transform(x)
    seconds = time.perf_counter() - start
    draws = [
        IterativeImputer(random_state=seed + i, sample_posterior=True).fit_transform(x)
        for i in range(20)
    ]
    ordered = np.sort(draws, 0)  # the extremes of 20 draws are 1/21 and 20/21
    return guess, ordered[[0, -1]], "20 draws", seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipes", nargs="*", default=["miwae", "vae", "ppca"])
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")  # IterativeImputer does not converge, and says so
    print(f"{'mask':>4}  {'method':20}  {'MSE':>6}  {'cover':>6}  {'train s':>7}  how")
    for mask in options.masks:
        x, gone = rows_with_gaps(mask, options.share)
        gaps = np.where(gone, np.nan, x)
        ways = {"mean of the column": lambda g=gaps: by_columns(g)}
        ways["IterativeImputer"] = lambda g=gaps, m=mask: by_iteration(g, m)
        for name in options.recipes:
            ways[name] = lambda n=name, g=gaps, m=mask: by_recipe(n, g, m)
        for name, way in ways.items():
            guess, (low, high), how, seconds = way()
            error = float(((guess - x)[gone] ** 2).mean())
            inside = float(((low <= x) & (x <= high))[gone].mean())
            row = f"{mask:>4}  {name:20}  {error:6.3f}  {inside:6.3f}  {seconds:7.1f}  {how}"
            print(row, flush=True)


if __name__ == "__main__":
    main()
