"""Figures from plain arrays; the only importer of matplotlib, which is imported when drawing."""

from ancestral.plots.captions import CaptionedRow, captioned_rows
from ancestral.plots.curves import CurvePanel, learning_curves
from ancestral.plots.differences import Difference, differences
from ancestral.plots.export import png_fragment, save, svg_fragment
from ancestral.plots.histograms import khat_histogram, log_prob_histogram
from ancestral.plots.images import (
    ImageRow,
    heat,
    image_grids,
    image_rows,
    latent_plane,
    mosaic,
)
from ancestral.plots.latents import coloured_map, kl_bars, labelled_map
from ancestral.plots.odd_images import odd_images
from ancestral.plots.odd_series import odd_series
from ancestral.plots.parts import Part, SplitBar, split_bars
from ancestral.plots.rate_distortion import RatePoint, rate_distortion_plane
from ancestral.plots.score_histograms import score_strips
from ancestral.plots.series import series_rows
from ancestral.plots.tables import (
    Marginal,
    column_means,
    correlation_matrices,
    marginals,
)
from ancestral.plots.text import coloured_text
from ancestral.plots.variances import VariancePanel, estimator_variances

__all__ = [
    "CaptionedRow",
    "CurvePanel",
    "Difference",
    "ImageRow",
    "Marginal",
    "Part",
    "RatePoint",
    "SplitBar",
    "VariancePanel",
    "captioned_rows",
    "coloured_map",
    "coloured_text",
    "column_means",
    "correlation_matrices",
    "differences",
    "estimator_variances",
    "heat",
    "image_grids",
    "image_rows",
    "khat_histogram",
    "kl_bars",
    "labelled_map",
    "latent_plane",
    "learning_curves",
    "log_prob_histogram",
    "marginals",
    "mosaic",
    "odd_images",
    "odd_series",
    "png_fragment",
    "rate_distortion_plane",
    "save",
    "score_strips",
    "series_rows",
    "split_bars",
    "svg_fragment",
]
