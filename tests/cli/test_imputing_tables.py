"""`ancestral impute` on tables of text: what was there stays as it was, byte for byte."""

from __future__ import annotations

import csv
import gzip
import io

import numpy as np
import pytest

from ancestral.cli.imputed_table import CellFormat, read_table
from ancestral.core import Column, DataError, Kind

# a byte order mark, semicolons, quotes of all kinds, carriage returns, blank lines, numbers
# written in many ways, a column that the model does not know, and no line end at the end
PEOPLE = (
    "\ufeffid;colour;when;height; visits ;note\r\n"
    '007;"red";2020-01-01;1.50;61;"a ""quoted""; note"\r\n'
    ";;2020-13-77;1e2;;\r\n"
    "\r\n"
    '012;"blue";;-170.25;058;"two\nlines"\r\n'
    'NA; NA;x; ? ;"60";  spaced \r\n'
    '013;"green";y;170.5;;z'
)
GAPS = {(1, "colour"), (1, "visits"), (3, "colour"), (3, "height"), (4, "visits")}


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "strange.csv"
    path.write_bytes(PEOPLE.replace(" ? ", "?").encode())
    return path


def parsed(content: bytes, delimiter=";"):
    return list(
        csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter)
    )


def test_everything_but_the_gaps_is_as_it_was(cli, table_run, people, tmp_path):
    out = tmp_path / "filled.csv"
    answer = cli("impute", table_run, people, "--out", out, "--draws", 5)
    assert answer.code == 0, answer.err
    before, after = people.read_bytes(), out.read_bytes()
    assert after.startswith(b"\xef\xbb\xbfid;colour;when;height; visits ;note\r\n007;")
    table, filled = read_table(people, 5), read_table(out, 5)
    assert (table.head, table.ends) == (filled.head, filled.ends)
    names = [name.strip() for name in table.names]
    for i, (row, other) in enumerate(zip(table.rows, filled.rows, strict=True)):
        for name, cell, new in zip(names, row, other, strict=True):
            if (i, name) not in GAPS:
                assert new == cell
    cells = dict(zip(names, filled.rows[1], strict=True))
    assert cells["colour"] in ('"red"', '"green"', '"blue"')  # as all others are quoted
    assert cells["visits"].isdigit()
    assert cells["id"] == ""  # which the model knows nothing of
    cells = dict(zip(names, filled.rows[3], strict=True))
    assert cells["colour"].startswith(' "')
    whole, _, decimals = cells["height"].lstrip("-").partition(".")
    assert whole.isdigit()
    assert len(decimals) == 2
    assert before.count(b"\r\n") == after.count(b"\r\n")


def test_draws_one_below_the_other(cli, table_run, people, tmp_path):
    out, long = tmp_path / "filled.csv", tmp_path / "long.csv"
    words = ("--out", out, "--draws", 20, "--out-draws", long)
    answer = cli("impute", table_run, people, *words)
    assert answer.out == f"{out}\n{long}\n"
    head, *rows = parsed(long.read_bytes())
    assert head[:4] == ["draw", "row", "id", "colour"]
    assert [row[:2] for row in rows] == [
        [str(d), str(r)] for d in range(1, 21) for r in range(1, 6)
    ]
    original = parsed(people.read_bytes())[1:]
    original = [row for row in original if row]
    heights = set()
    for row in rows:
        i = int(row[1]) - 1
        for name, cell, new in zip(head[2:], original[i], row[2:], strict=True):
            if (i, name.strip()) not in GAPS:
                assert new == cell
        if i == 3:
            heights.add(row[2 + 3])
    assert len(heights) > 10
    answer = cli(
        "impute",
        table_run,
        people,
        "--out",
        out,
        "--overwrite",
        "--draws",
        7,
        "--out-draws",
        tmp_path / "draws.npz",
    )
    with np.load(tmp_path / "draws.npz") as arrays:
        assert arrays["draws"].shape == (5, 7, 3)
        known = ~np.isnan(arrays["data"])
        for i in range(7):
            assert (arrays["draws"][:, i][known] == arrays["data"][known]).all()


def test_tabs_gzip_and_no_header(cli, table_run, table, tmp_path):
    lines = table.read_text().splitlines()
    tabs = tmp_path / "people.tsv"
    tabs.write_text("\n".join(line.replace(",", "\t") for line in lines[:20]) + "\n")
    assert cli("impute", table_run, tabs, "--out", tmp_path / "filled.tsv").code == 0
    assert (tmp_path / "filled.tsv").read_text().splitlines()[0] == "height\tvisits\tcolour\tclass"
    packed = tmp_path / "people.csv.gz"
    packed.write_bytes(gzip.compress("\n".join(lines[:20]).encode()))
    assert cli("impute", table_run, packed, "--out", tmp_path / "filled.csv").code == 0
    plain = (tmp_path / "filled.csv").read_text().splitlines()
    for line, new in zip(lines[:20], plain, strict=True):
        cells, other = line.split(","), new.split(",")
        assert other[1:] == cells[1:]
        assert other[0] == cells[0] or cells[0] == ""


def test_hidden_cells_are_filled_in_and_labels_stay(cli, table_run, table, tmp_path):
    """Of the run's own table, with its label column; hidden cells count as gaps."""
    out = tmp_path / "x.csv"
    answer = cli("impute", table_run, "--hide", 0.5, "--out", out, "--num", 30)
    assert answer.code == 0
    assert "30 of 120 rows" in answer.err
    found, before = parsed(out.read_bytes(), ","), parsed(table.read_bytes(), ",")
    assert len(found) == 31
    assert [row[3] for row in found] == [row[3] for row in before[:31]]
    assert all(cell for row in found for cell in row)
    changed = sum(
        a != b for x, y in zip(found, before, strict=False) for a, b in zip(x, y, strict=True)
    )
    assert changed > 20


def test_arrays_become_tables_too(cli, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).round(3)
    x[:, 2] = np.round(10 * x[:, 2])
    x[::4, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    words = ("--latent-size", 1, "--quiet", "--no-report", "--out", tmp_path / "run")
    assert cli("fit", "ppca", tmp_path / "x.npy", *words).code == 0
    answer = cli(
        "impute",
        tmp_path / "run",
        "--out",
        tmp_path / "y.csv",
        "--draws",
        1,
        "--out-draws",
        tmp_path / "long.csv",
    )
    assert answer.code == 0, answer.err
    head, *rows = parsed((tmp_path / "y.csv").read_bytes(), ",")
    assert head == ["column_1", "column_2", "column_3"]
    filled = np.array(rows, dtype=float)
    known = ~np.isnan(x)
    np.testing.assert_allclose(filled[known], x[known], rtol=1e-6)
    assert len(parsed((tmp_path / "long.csv").read_bytes(), ",")) == 61


def test_how_cells_are_written():
    real, count = Column("r", Kind.REAL), Column("n", Kind.COUNT)
    assert CellFormat(real, ("1", "-2")).text(2.6) == "3"
    assert CellFormat(real, ("1.5", "2.25")).text(-0.001) == "0.00"
    assert CellFormat(real, ("1.5e3", "2e-4", "3.25e1")).text(1234.5) == "1.23e+03"
    assert CellFormat(real, ()).text(1 / 3) == "0.333333"
    assert CellFormat(count, ("1.0", "2.0")).text(7.0) == "7.0"
    assert CellFormat(count, ("0012", "0345")).text(7.0) == "0007"
    assert CellFormat(count, ("0", "12")).text(7.0) == "7"
    assert CellFormat(count, ('"1"', '"22"')).text(7.0) == '"7"'
    assert CellFormat(Column("p", Kind.POSITIVE), ("0.10", "0.2")).text(0.0004) == "0.01"
    names = Column("c", Kind.CATEGORICAL, 3, ("a", "b, c", 'd"e'))
    assert CellFormat(names, ("a",)).text(1.0) == '"b, c"'
    assert CellFormat(names, ("a",)).text(2.0) == '"d""e"'
    assert CellFormat(names, ("a",), ";").text(1.0, "  ") == "  b, c"


def test_what_is_refused(cli, table_run, people, tmp_path):
    out = tmp_path / "filled.csv"
    cli("impute", table_run, people, "--out", out, "--out-draws", out).refuses("two files")
    cli("impute", table_run, people, "--out", out, "--out-draws", tmp_path / "x.png").refuses(
        "expected an --out that ends in"
    )
    cli("impute", table_run, people, "--out", out, "--method", "gibbs").refuses("--method")
    cli(
        "impute", table_run, people, "--out", out, "--method", "importance", "--num-sweeps", 9
    ).refuses("has no sweeps")
    cli("impute", table_run, people, "--out", out, "--num-sweeps", 2).refuses("at least 8 sweeps")
    cli("impute", table_run, people, "--out", out, "--draws", 0).refuses("at least 1 draw")
    assert not out.exists()
    with pytest.raises(DataError, match="expected 9 rows"):
        read_table(people, 9)
