"""Nats, bits per dimension, diagnostics, comparison, pictures and the report."""

from ancestral.evaluation.compare import ComparisonRow, Cost, compare
from ancestral.evaluation.comparison_page import comparison_page, comparison_picture
from ancestral.evaluation.diagnostics import LatentUse, VariationalTerms, variational_terms
from ancestral.evaluation.evaluate import evaluate
from ancestral.evaluation.fingerprint import Fingerprint, fingerprint, refuse_other_rows
from ancestral.evaluation.gaps import Gap, Gaps, GapsOptions, measure_gaps
from ancestral.evaluation.information import Information, estimate_information
from ancestral.evaluation.latents import posterior_means
from ancestral.evaluation.picture import Material, Picture, PictureSet, Section
from ancestral.evaluation.pictures import draw_pictures
from ancestral.evaluation.probe import Probe, ProbeRows, probe
from ancestral.evaluation.report import ReportContent, ReportTable, write_report
from ancestral.evaluation.result import Bounds, Evaluation, Number, Setting
from ancestral.evaluation.simulated import evaluate_simulated

__all__ = [
    "Bounds",
    "ComparisonRow",
    "Cost",
    "Evaluation",
    "Fingerprint",
    "Gap",
    "Gaps",
    "GapsOptions",
    "Information",
    "LatentUse",
    "Material",
    "Number",
    "Picture",
    "PictureSet",
    "Probe",
    "ProbeRows",
    "ReportContent",
    "ReportTable",
    "Section",
    "Setting",
    "VariationalTerms",
    "compare",
    "comparison_page",
    "comparison_picture",
    "draw_pictures",
    "estimate_information",
    "evaluate",
    "evaluate_simulated",
    "fingerprint",
    "measure_gaps",
    "posterior_means",
    "probe",
    "refuse_other_rows",
    "variational_terms",
    "write_report",
]
