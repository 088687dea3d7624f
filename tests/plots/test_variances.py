"""The picture of how noisy estimators are."""

from __future__ import annotations

from ancestral.plots import VariancePanel, estimator_variances, save


def test_every_estimator_has_a_dot_at_its_variance(tmp_path):
    first = VariancePanel("one", ("a", "b", "c"), (1e-3, 10.0, 0.1), (False, True, False))
    second = VariancePanel("two", ("d",), (2.0,), (False,))
    figure = estimator_variances([first, second])
    upper, lower = figure.axes
    assert [label.get_text() for label in upper.get_yticklabels()] == ["a", "b", "c"]
    assert upper.get_xscale() == lower.get_xscale() == "log"
    dots = [line for line in upper.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots] == [
        (1e-3, 0),
        (10.0, 1),
        (0.1, 2),
    ]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [False, True, False]
    top, bottom = upper.get_ylim()
    assert top > bottom  # the first name is above
    save(figure, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000
