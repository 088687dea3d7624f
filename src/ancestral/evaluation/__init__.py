"""Nats, bits per dimension, diagnostics, comparison, pictures and the report."""

from ancestral.evaluation.compare import ComparisonRow, compare
from ancestral.evaluation.diagnostics import LatentUse, VariationalTerms, variational_terms
from ancestral.evaluation.evaluate import evaluate
from ancestral.evaluation.gaps import Gap, Gaps, GapsOptions, measure_gaps
from ancestral.evaluation.information import Information, estimate_information
from ancestral.evaluation.latents import posterior_means
from ancestral.evaluation.picture import Material, Picture, PictureSet, Section
from ancestral.evaluation.pictures import draw_pictures
from ancestral.evaluation.report import ReportContent, write_report
from ancestral.evaluation.result import Bounds, Evaluation, Number, Setting
from ancestral.evaluation.simulated import evaluate_simulated

__all__ = [
    "Bounds",
    "ComparisonRow",
    "Evaluation",
    "Gap",
    "Gaps",
    "GapsOptions",
    "Information",
    "LatentUse",
    "Material",
    "Number",
    "Picture",
    "PictureSet",
    "ReportContent",
    "Section",
    "Setting",
    "VariationalTerms",
    "compare",
    "draw_pictures",
    "estimate_information",
    "evaluate",
    "evaluate_simulated",
    "measure_gaps",
    "posterior_means",
    "variational_terms",
    "write_report",
]
