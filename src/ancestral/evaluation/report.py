"""`write_report`: one self-contained page about a run."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from ancestral.core.estimate import Kind
from ancestral.evaluation.page import document
from ancestral.evaluation.picture import Picture, PictureSet, Section
from ancestral.evaluation.result import (
    ErrorOfReconstruction,
    Evaluation,
    Number,
    log_prob_name,
)
from ancestral.evaluation.words import counted
from ancestral.plots import png_fragment, save, svg_fragment

__all__ = ["ReportContent", "ReportTable", "write_report"]

_MINUS = "\N{MINUS SIGN}"
_SIGNS: Mapping[Kind, str] = {
    "exact": "",
    "lower_bound": "\N{GREATER-THAN OR EQUAL TO}\N{NO-BREAK SPACE}",
    "upper_bound": "\N{LESS-THAN OR EQUAL TO}\N{NO-BREAK SPACE}",
    "unbiased": "\N{ALMOST EQUAL TO}\N{NO-BREAK SPACE}",
    "consistent": "\N{ALMOST EQUAL TO}\N{NO-BREAK SPACE}",
}


@dataclass(frozen=True)
class ReportTable:
    """Rows that belong to a section, and how to read them.

    Args:
        head: of each column; that of the first may be empty.
        rows: texts, the first of each names the row.
        sentence: without its full stop.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    sentence: str


@dataclass(frozen=True)
class ReportContent:
    """All that a report says; plain text throughout.

    Args:
        title: such as "vae on binarized-mnist".
        evaluation: the numbers, or None before there are any.
        model: sentences about the model.
        data: sentences about the data: kind and reason, split, binarisation, missing cells.
        pictures: what `draw_pictures` returned.
        tables: beneath the pictures of a section.
        configuration: options of the run; nested mappings are written with dots.
        references: BibTeX entries of the parts in use.
        footer: such as version, date and command line.
    """

    title: str
    evaluation: Evaluation | None = None
    model: Sequence[str] = ()
    data: Sequence[str] = ()
    pictures: PictureSet = field(default_factory=lambda: PictureSet([], []))
    tables: Mapping[Section, ReportTable] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    references: Sequence[str] = ()
    footer: str = ""


def write_report(path: Path, content: ReportContent) -> None:
    """Write the page, and beside it each picture as `pictures/NAME.png`.

    The page is one file without scripts that loads nothing, so it can be mailed and printed.

    Args:
        path: of the page, such as `runs/vae/report.html`; written under a temporary name first.
        content: what it says.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for picture in content.pictures.drawn:
        save(picture.figure, path.parent / "pictures" / f"{picture.name}.png")
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(document(content.title, _body(content)), encoding="utf-8")
    os.replace(temporary, path)


def _body(content: ReportContent) -> str:
    evaluation = content.evaluation
    parts = [f"<h1>{escape(content.title)}</h1>"]
    if evaluation is not None:
        parts += [_lead(evaluation), _headline(evaluation)]
        parts += [
            f'<p class="warning" role="note">{escape(_sentence(w))}</p>'
            for w in evaluation.warnings
        ]
        parts.append(_verdict(evaluation))
        parts.append(_list(evaluation.notes))
    parts.append(_section("The model", _paragraphs(content.model)))
    parts.append(_section("The data", _paragraphs(content.data)))
    parts.append(_gallery(content.pictures, content.tables))
    if evaluation is not None:
        parts.append(_section("All numbers", _numbers_table(evaluation)))
    parts.append(_section("Configuration", _table(_flattened(content.configuration))))
    if content.references:
        entries = escape("\n\n".join(entry.strip() for entry in content.references))
        details = f"<details><summary>BibTeX</summary><pre>{entries}</pre></details>"
        parts.append(_section("References", details))
    if content.footer:
        parts.append(f"<footer>{escape(content.footer)}</footer>")
    return "\n".join(part for part in parts if part)


def _gallery(pictures: PictureSet, tables: Mapping[Section, ReportTable]) -> str:
    """All pictures by section, with tables, and the reasons for those that are missing."""
    parts = []
    for section in Section:
        found = [p for p in pictures.drawn if p.section is section]
        why_not = _paragraphs(pictures.omitted) if section is Section.SAMPLES else ""
        # a section of several figures may be parted between columns, one of a single may not
        name = "long" if len(found) > 1 else "short"
        inside = why_not + "".join(map(_picture, found))
        if section in tables:
            inside += _columns(tables[section])
        parts.append(_section(section, inside, name))
    return f'<div class="pictures">{"".join(parts)}</div>' if any(parts) else ""


def _lead(evaluation: Evaluation) -> str:
    setting = evaluation.setting
    text = f"Recipe {setting.recipe}, on {counted(evaluation.n, 'datum', 'data')} of the "
    text += f"{setting.split} split of "
    text += setting.data
    if setting.binarization:
        text += f" (binarised: {setting.binarization})"
    return f'<p class="lead">{escape(text)}.</p>'


def _headline(evaluation: Evaluation) -> str:
    """The few numbers that matter, each with its meaning."""
    cards = []
    if evaluation.log_prob is not None:
        number = evaluation.log_prob
        name = log_prob_name(number.kind)
        heading = name if number.kind == "exact" else f"{name[0].upper()}{name[1:]}"
        meaning = f"Mean over the data. {number.in_words().capitalize()}. Higher is better."
        value = f"{_SIGNS[number.kind]}{_with_error(number)}"
        cards.append(_card(heading, value, "nats per datum", meaning))
    if evaluation.bits_per_dim is not None:
        meaning = "The same in bits for each cell of a datum. Lower is better."
        cards.append(_card("Bits per dimension", _text(evaluation.bits_per_dim, 3), "", meaning))
    if evaluation.per_symbol is not None:
        symbol = evaluation.per_symbol
        value = f"{_text(symbol.nats, 3)} ± {_text(symbol.std_error, 3)}"
        meaning = f"-log p for each symbol: {symbol.in_words()}. Lower is better."
        cards.append(_card("Nats per symbol", value, "", meaning))
    if evaluation.elbo is not None and evaluation.reconstruction is not None:
        meaning = (
            f"The bound that variational inference trains: reconstruction "
            f"{_text(evaluation.reconstruction)} minus KL {_text(evaluation.kl)}."
        )
        cards.append(_card("ELBO", _with_error(evaluation.elbo), "nats per datum", meaning))
    if evaluation.reconstruction_error is not None:
        error = evaluation.reconstruction_error
        value = _with_error(error)
        meaning = "Mean of -log p(x | z) at the code of x. Not a likelihood. Lower is better."
        cards.append(_card("Reconstruction error", value, "nats per datum", meaning))
    if evaluation.active_units is not None:
        value = f"{evaluation.active_units} of {evaluation.latent_size}"
        verdict = (evaluation.collapse or "").split(":")[0].capitalize()
        cards.append(_card("Active latent units", value, "", f"{verdict}."))
    if evaluation.information is not None:
        known = evaluation.information
        value = f"\N{GREATER-THAN OR EQUAL TO} {known.at_least}"
        meaning = (
            "Mutual information of x and z: what a code says of its datum. At most "
            f"{_text(known.mutual_information_at_most, 1)}; {known.num_rows:,} rows can show "
            f"{_text(known.limit, 1)}."
        )
        cards.append(_card("Information in z", value, "nats", meaning))
    return f'<dl class="numbers">{"".join(cards)}</dl>'


def _verdict(evaluation: Evaluation) -> str:
    """On the latent variables; as a warning it stands on the page already."""
    if evaluation.collapse is None or evaluation.collapse in evaluation.warnings:
        return ""
    return f"<p>{escape(_sentence(evaluation.collapse))}</p>"


def _card(name: str, value: str, unit: str, meaning: str) -> str:
    small = f" <small>{escape(unit)}</small>" if unit else ""
    number = f'<span class="value"><b>{escape(value)}</b>{small}</span>'
    return (
        f"<div><dt>{escape(name)}</dt><dd>{number}"
        f'<div class="meaning">{escape(meaning)}</div></dd></div>'
    )


def _columns(found: ReportTable) -> str:
    """A table whose columns have names, and what it says."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in found.head)
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in found.rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
    return f"{table}<p>{escape(_sentence(found.sentence))}</p>"


def _numbers_table(evaluation: Evaluation) -> str:
    entries = evaluation.to_dict()
    for shown_elsewhere in ("kl_per_dim", "collapse", "warnings", "notes", "fingerprint"):
        entries.pop(shown_elsewhere, None)
    return _table([row for row in _flattened(entries) if row[1] not in ("", "None")])


def _with_error(number: Number | ErrorOfReconstruction) -> str:
    # a narrow card may break the line before the sign, not after it
    return f"{_text(number.value)} ±\N{NO-BREAK SPACE}{_text(number.std_error)}"


def _text(value: float | None, digits: int = 2) -> str:
    if value is None or not math.isfinite(value):
        return "unknown"
    return f"{value:,.{digits}f}".replace("-", _MINUS)


def _section(heading: str, inside: str, name: str = "text") -> str:
    if not inside:
        return ""
    return f'<section class="{name}">\n<h2>{escape(heading)}</h2>\n{inside}\n</section>'


def _paragraphs(sentences: Iterable[str]) -> str:
    return "".join(f"<p>{escape(s)}</p>" for s in sentences)


def _list(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(_sentence(s))}</li>" for s in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _picture(picture: Picture) -> str:
    fragment = svg_fragment if picture.is_vector else png_fragment
    return fragment(picture.figure, picture.name, picture.caption)


def _flattened(options: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            rows += _flattened(value, f"{prefix}{name}.")
        else:
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            rows.append((f"{prefix}{name}", shown))
    return rows


def _table(rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(
        f'<tr><th scope="row">{_breakable(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows
    )
    return f"<table><tbody>{lines}</tbody></table>"


def _breakable(name: str) -> str:
    """A dotted name that may be broken after its dots and underscores, on narrow screens."""
    return escape(name).replace(".", ".<wbr>").replace("_", "_<wbr>")
