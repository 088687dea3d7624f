"""Tables."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ancestral.core.errors import OptionError
from ancestral.core.specification import Kind
from ancestral.data.download import Download
from ancestral.data.loaders.csv import read_csv
from ancestral.data.loaders.npz import load_arrays
from ancestral.data.raw import Raw, ReadOptions, Rows
from ancestral.data.registered.row import Finder, RegisteredSet
from ancestral.data.tables import take_label, without_columns

__all__ = ["NUM_WINE_FOLDS", "ROWS", "read_wine_fold"]

NUM_WINE_FOLDS = 10
_BROWNLEE = (
    "https://raw.githubusercontent.com/jbrownlee/Datasets/"
    "d20fcb6402ae34e653d4513b00f39257bb37ed7f/"
)
_RDATASETS = (
    "https://raw.githubusercontent.com/vincentarelbundock/Rdatasets/"
    "1dcc2bf5f955cc1224a3e1307256e1fe86b68dae/csv/"
)
_WINE = (
    "fixed_acidity",
    "volatile_acidity",
    "citric_acid",
    "residual_sugar",
    "chlorides",
    "free_sulfur_dioxide",
    "total_sulfur_dioxide",
    "density",
    "ph",
    "sulphates",
    "alcohol",
    "quality",
)
_BOSTON = (
    "crim",
    "zn",
    "indus",
    "chas",
    "nox",
    "rm",
    "age",
    "dis",
    "rad",
    "tax",
    "ptratio",
    "b",
    "lstat",
    "medv",
)
_RNADE = "RNADE: the real-valued neural autoregressive density-estimator (Uria et al., 2013)"


def _table(
    find: Finder,
    options: ReadOptions,
    *,
    file: str,
    names: tuple[str, ...] | None = None,
    label: str | None = None,
    drop: tuple[str, ...] = (),
    kinds: tuple[tuple[str, Kind], ...] = (),
    note: str = "",
) -> Raw:
    """A CSV file; columns are real numbers but for those in `kinds`."""
    raw = read_csv(find(f"tabular/{file}"), ReadOptions())
    frame = raw.parts["all"].values
    if names is not None:
        frame = frame.set_axis(list(names), axis=1)
    frame, labels, label_names = take_label(without_columns(frame, drop), label)
    return Raw(
        {"all": Rows(frame, labels)},
        kind=Kind.REAL,
        kinds=dict(kinds),
        provenance=f"{file}{'; ' + note if note else ''}",
        label_names=label_names,
    )


def read_wine_fold(find: Finder, options: ReadOptions, *, fold: int) -> Raw:
    """Red wine with one of the ten folds of the RNADE authors as the test rows.

    Args:
        find: where files are.
        options: of reading.
        fold: 1 to 10.
    """
    if not 1 <= fold <= NUM_WINE_FOLDS:
        raise OptionError(f"expected a fold from 1 to {NUM_WINE_FOLDS}, got {fold}")
    arrays = load_arrays(find("tabular/red_wine_rnade_folds.npz"))
    others = [arrays[f"fold_{k}"] for k in range(1, NUM_WINE_FOLDS + 1) if k != fold]
    parts = {"train": Rows(np.concatenate(others)), "test": Rows(arrays[f"fold_{fold}"])}
    text = f"red wine, fold {fold} of the RNADE authors' ten as the test rows"
    return Raw(parts, Kind.REAL, provenance=text)


def _breast_cancer(find: Finder, options: ReadOptions) -> Raw:
    from sklearn.datasets import load_breast_cancer

    data: Any = load_breast_cancer(as_frame=True)
    frame, labels, _ = take_label(data.frame, "target")
    names = tuple(str(n) for n in data.target_names)
    text = "Wisconsin diagnostic breast cancer, as scikit-learn has it"
    return Raw({"all": Rows(frame, labels)}, Kind.REAL, provenance=text, label_names=names)


_UCI = "UCI machine learning repository"
_RED = partial(_table, file="winequality-red.csv", names=_WINE, label="quality")
_WHITE = partial(_table, file="winequality-white.csv", names=_WINE, label="quality")
_CORTEZ = "Modeling wine preferences by data mining (Cortez et al., 2009)"

ROWS: dict[str, RegisteredSet] = {
    "wine-red": RegisteredSet(
        "11 chemical measures of 1599 red wines",
        _CORTEZ,
        _RED,
        downloads=(
            Download(
                _BROWNLEE + "winequality-red.csv",
                "c9614512e980f1cbd221c796daa97f00c4898c3cd1716863abac60f6cd1a522e",
                "tabular/winequality-red.csv",
            ),
        ),
    ),
    "wine-white": RegisteredSet(
        "11 chemical measures of 4898 white wines",
        _CORTEZ,
        _WHITE,
        downloads=(
            Download(
                _BROWNLEE + "winequality-white.csv",
                "659d419fff887f225bf977d20520bb64a64cae203e460087f809721d4430ba27",
                "tabular/winequality-white.csv",
            ),
        ),
    ),
    "wine-red-folds": RegisteredSet(
        "red wine with the RNADE authors' folds; fold 1 tests (load_folds gives all ten)",
        _RNADE,
        partial(read_wine_fold, fold=1),
    ),
    "boston": RegisteredSet(
        "14 measures of 506 districts of Boston; one column encodes race: benchmarks only",
        "Hedonic housing prices and the demand for clean air (Harrison & Rubinfeld, 1978)",
        partial(
            _table,
            file="boston_housing.csv",
            names=_BOSTON,
            kinds=(("chas", Kind.BINARY), ("rad", Kind.COUNT)),
            note="all columns (RNADE keeps 10)",
        ),
    ),
    "parkinsons": RegisteredSet(
        "21 measures of 5875 voices of people with Parkinson's disease, centred",
        "Accurate telemonitoring of Parkinson's disease progression (Tsanas et al., 2010)",
        partial(
            _table,
            file="parkinsons_telemonitoring_centred.csv.gz",
            note="every column has its mean subtracted; all columns (RNADE keeps 15)",
        ),
    ),
    "ionosphere": RegisteredSet(
        "32 radar returns of 351 pulses; label: good or bad",
        f"{_UCI} (Sigillito et al., 1989)",
        partial(
            _table,
            file="ionosphere.csv",
            label="column_35",
            drop=("column_1", "column_2"),
            note="without the two discrete columns, as in RNADE",
        ),
    ),
    "iris": RegisteredSet(
        "4 measures of 150 irises; label: species",
        "The use of multiple measurements in taxonomic problems (Fisher, 1936)",
        partial(_table, file="iris.csv", label="Species", drop=("rownames",)),
        downloads=(
            Download(
                _RDATASETS + "datasets/iris.csv",
                "398fadb8f48750d386d670e0b15c65944919682373bcaba59650c33eb5474362",
                "tabular/iris.csv",
            ),
        ),
    ),
    "faithful": RegisteredSet(
        "duration of and wait for 272 eruptions of Old Faithful, minutes",
        "A look at some data on the Old Faithful geyser (Azzalini & Bowman, 1990)",
        partial(_table, file="faithful.csv", drop=("rownames",)),
        downloads=(
            Download(
                _RDATASETS + "datasets/faithful.csv",
                "5043db1e2c51c8e8fd67e0868c768ae589770cc76ad0ac0c5b7afd1fca31fc57",
                "tabular/faithful.csv",
            ),
        ),
    ),
    "galaxies": RegisteredSet(
        "velocities of 82 galaxies, km/s",
        "Density estimation with confidence sets exemplified by superclusters (Roeder, 1990)",
        partial(
            _table,
            file="galaxies.csv",
            drop=("rownames",),
            note="the copy of R's MASS, with its known misprint 26690 for 26960",
        ),
        downloads=(
            Download(
                _RDATASETS + "MASS/galaxies.csv",
                "5c094d8beb8ecc980493de62e9fd4d2cf7f891b07aed6b1c55a5b42879f498d0",
                "tabular/galaxies.csv",
            ),
        ),
    ),
    "breast-cancer": RegisteredSet(
        "30 measures of 569 cell nuclei; label: malignant or benign",
        f"{_UCI} (Wolberg et al., 1993)",
        _breast_cancer,
    ),
}
