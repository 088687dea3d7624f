"""`.h5ad` files and AnnData objects: counts of cells by genes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ancestral.core.errors import DataError
from ancestral.core.registry import nearest
from ancestral.core.specification import Kind
from ancestral.data.raw import Raw, ReadOptions, Rows, coded_labels

__all__ = ["is_anndata", "raw_from_anndata", "read_h5ad"]

_MOST_BYTES = 1 << 30


def read_h5ad(path: Path, options: ReadOptions) -> Raw:
    """The cells of a `.h5ad` file."""
    try:
        import anndata
    except ImportError as error:
        raise DataError(
            "expected anndata, which reads .h5ad files, got no such package",
            hint="pip install 'ancestral[bio]'",
        ) from error
    try:
        data = anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"expected an .h5ad file, got a damaged one: {path}",
            hint="copy or download the file again",
        ) from error
    return raw_from_anndata(data, options, f"file {path.name}")


def is_anndata(data: Any) -> bool:
    """Whether an object is an AnnData, without importing anndata."""
    return any(c.__name__ == "AnnData" for c in type(data).__mro__)


def raw_from_anndata(data: Any, options: ReadOptions, provenance: str) -> Raw:
    """The cells of an AnnData: `X` made dense, in the smallest type that holds its counts.

    Args:
        data: with `X`, `obs` and `var_names`.
        options: `label` is a column of `obs`; `drop` names genes.
        provenance: where the data are from.

    Raises:
        DataError: no `X`, or it would not fit in 1 GB, or an unknown column.
    """
    if data.X is None:
        raise DataError("expected counts in X, got an AnnData without X")
    genes = [str(name) for name in data.var_names]
    for gene in options.drop:
        if gene not in genes:
            raise DataError(f"expected a gene {gene!r}, got none", hint=nearest(gene, genes))
    kept = np.array([name not in options.drop for name in genes])
    x = data.X[:, np.flatnonzero(kept)] if options.drop else data.X
    values = _dense(x)
    labels, names = None, None
    if options.label is not None:
        if options.label not in data.obs.columns:
            have = [str(c) for c in data.obs.columns]
            raise DataError(
                f"expected a column {options.label!r} in obs, got none",
                hint=nearest(options.label, have) if have else "obs has no columns",
            )
        labels, names = coded_labels(np.asarray(data.obs[options.label]))
    whole = values.dtype.kind in "iu"
    return Raw(
        {"all": Rows(values, labels)},
        kind=Kind.COUNT if whole and values.min(initial=0) >= 0 else None,
        provenance=f"X of {provenance}: {values.shape[0]} cells, {values.shape[1]} genes",
        label_names=names,
    )


def _dense(x: Any) -> np.ndarray:
    """[cells, genes], whole numbers in the smallest type."""
    stored = x.data if hasattr(x, "toarray") else np.asarray(x)
    dtype = np.dtype(np.float32) if stored.dtype.kind == "f" else stored.dtype
    if stored.dtype.kind == "f" and not np.isfinite(stored).all():
        raise DataError(
            "expected finite numbers in X, got NaN or infinity",
            hint="counts have no missing cells; drop the cells or genes that have",
        )
    if stored.dtype.kind in "iuf" and bool((stored == np.floor(stored)).all()):
        low, high = stored.min(initial=0), stored.max(initial=0)
        choices = (np.uint8, np.int16, np.int32, np.int64)
        fits = (np.iinfo(c).min <= low and high <= np.iinfo(c).max for c in choices)
        dtype = np.dtype(next(c for c, ok in zip(choices, fits, strict=True) if ok))
    num_bytes = x.shape[0] * x.shape[1] * dtype.itemsize
    if num_bytes > _MOST_BYTES:
        raise DataError(
            f"expected at most {_MOST_BYTES >> 20} MB of counts in memory, got "
            f"{num_bytes >> 20} MB ({x.shape[0]} cells, {x.shape[1]} genes, {dtype})",
            hint="keep the few thousand most variable genes, or save X as a .npy file, "
            "which is streamed",
        )
    return x.astype(dtype).toarray() if hasattr(x, "toarray") else np.asarray(x, dtype=dtype)
