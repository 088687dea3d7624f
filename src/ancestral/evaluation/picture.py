"""`Picture`: a figure with a name and a caption, and what pictures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ancestral.core import Batch, Specification
from ancestral.core.estimate import Kind as EstimateKind
from ancestral.data import Vocabulary
from ancestral.evaluation.gaps import Gaps
from ancestral.evaluation.information import Information

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Material", "Picture", "PictureSet", "Section"]


class Section(StrEnum):
    """Where on the page a picture stands; the value is the heading."""

    LEARNING = "Learning"
    SAMPLES = "Samples beside data"
    CONDITIONALS = "What the model expected"
    RECONSTRUCTIONS = "Reconstructions"
    INTERPOLATIONS = "Interpolations"
    LATENT = "Latent space"
    LABELS = "What codes say of labels"
    BOUND = "What the bound is made of"
    ODD = "What the model finds odd"
    LOG_PROB = "How log p is spread, and how far to trust it"


@dataclass(frozen=True)
class Picture:
    """A figure for the report and for the run's folder.

    Args:
        name: of the file, letters, digits and dashes.
        section: of the report.
        caption: what is seen, and how it was made.
        figure: drawn, not yet saved.
        is_vector: whether the page holds it as lines (SVG) rather than pixels (PNG).
    """

    name: str
    section: Section
    caption: str
    figure: Figure
    is_vector: bool = True


class PictureSet(NamedTuple):
    """What could be drawn, and why the rest could not, one sentence each."""

    drawn: list[Picture]
    omitted: list[str]


@dataclass(frozen=True)
class Material:
    """What pictures are drawn from, besides the model.

    Args:
        spec: of the data.
        rows: held-out rows, a few hundred to a few thousand.
        labels: [rows] integers, or None.
        label_names: of the codes 0, 1, ...; None writes the codes.
        history: records of the epochs, with `train/NAME` and `valid/NAME`.
        log_prob: values for each datum of up to two splits, for the histogram.
        log_prob_kind: what these values are of log p, and those of `row_log_prob`.
        row_log_prob: [rows], log p of `rows`, which colours the map where there are no labels.
        kl_per_dim: [latent] nats, or None.
        variance_of_means: [latent], over the data, or None; shown where there is no KL of each
            dimension.
        information: what the KL consists of, or None.
        gaps: what the bound loses, or None.
        khat: [rows] of the importance weights, or None.
        khat_threshold: above which log p of a datum is not to be trusted.
        vocabulary: of text.
    """

    spec: Specification
    rows: Batch
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] | None = None
    history: Sequence[Mapping[str, Any]] = ()
    log_prob: Mapping[str, np.ndarray] = field(default_factory=dict)
    log_prob_kind: EstimateKind = "exact"
    row_log_prob: np.ndarray | None = None
    kl_per_dim: Sequence[float] | None = None
    variance_of_means: np.ndarray | None = None
    information: Information | None = None
    gaps: Gaps | None = None
    khat: np.ndarray | None = None
    khat_threshold: float = 0.7
    vocabulary: Vocabulary | None = None
