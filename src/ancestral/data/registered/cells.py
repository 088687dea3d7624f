"""Counts of single cells."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ancestral.data.download import Download
from ancestral.data.loaders.h5ad import read_h5ad
from ancestral.data.raw import Raw, ReadOptions
from ancestral.data.registered.row import Finder, RegisteredSet

__all__ = ["ROWS"]


def _read(find: Finder, options: ReadOptions, *, file: str, label: str) -> Raw:
    raw = read_h5ad(find(f"singlecell/{file}.h5ad"), ReadOptions(label=label))
    return replace(raw, provenance=f"{raw.provenance}; labels: {label}")


ROWS: dict[str, RegisteredSet] = {
    "worm-neuron": RegisteredSet(
        "4186 neurons of C. elegans, 13488 genes; label: cluster",
        "Comprehensive single-cell transcriptional profiling of a multicellular organism "
        "(Cao et al., 2017)",
        partial(_read, file="worm_neuron", label="cluster"),
    ),
    "mixology": RegisteredSet(
        "499 cells of 3 lines under 2 protocols, 15073 genes; label: cell line",
        "Benchmarking single cell RNA-sequencing analysis pipelines using mixture control "
        "experiments (Tian et al., 2019)",
        partial(_read, file="mixology_3lines_2protocols", label="cell_line"),
    ),
    "pbmc-cite": RegisteredSet(
        "400 blood cells of 2 batches, 15792 genes; label: batch",
        "Joint probabilistic modeling of single-cell multi-omic data with totalVI "
        "(Gayoso et al., 2021); a sample of two public 10x sets",
        partial(_read, file="pbmc_cite_400", label="batch"),
    ),
    "osmfish": RegisteredSet(
        "4530 cells of mouse cortex, 33 genes; label: type",
        "Spatial organization of the somatosensory cortex revealed by osmFISH "
        "(Codeluppi et al., 2018)",
        partial(_read, file="osmfish", label="str_labels"),
        downloads=(
            Download(
                "https://raw.githubusercontent.com/YosefLab/scVI-data/"
                "9a647afc8893604fa11024ddcd5fc5bb22b8e50e/smfish.h5ad",
                "49c6e5e0e00d963f6510b795d06d78752d24f8c8127c80c8563c73d7fa107ac6",
                "singlecell/osmfish.h5ad",
            ),
        ),
    ),
}
