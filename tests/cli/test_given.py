"""Runs whose rows are given their class: classes by name, other files, prompts."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ancestral.cli import main
from ancestral.cli.data_choice import DataChoice
from ancestral.core import DataError


def write(path, classes, num_rows=60):
    rng = np.random.default_rng(0)
    lines = ["a,b,class"]
    for i in range(num_rows):
        name = classes[i % len(classes)]
        a = int(rng.random() < (0.9 if name == classes[0] else 0.1))
        lines.append(f"{a},{int(rng.random() < 0.5)},{name}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def contexts(data):
    return data.train.rows(slice(None)).context


@pytest.fixture(scope="module")
def run(shared):
    """A network on a table, given the column of classes."""
    folder = shared / "given"
    path = write(shared / "given.csv", ["dog", "cat", "eel"])
    words = ["fit", "fvsbn", path, "--label", "class", "--given", "label", "--epochs", "1"]
    assert main([*words, "--quiet", "--no-report", "--out", str(folder)]) == 0
    return folder


def test_classes_of_other_data_are_matched_by_name(tmp_path):
    first = DataChoice(write(tmp_path / "a.csv", ["cat", "dog", "eel"]), "class", given="label")
    spec = first.read().spec
    assert spec.context == ("cat", "dog", "eel")
    other = DataChoice(write(tmp_path / "b.csv", ["eel", "dog"]), "class", given="label")
    data = other.read(like=spec)
    assert data.label_names == ("dog", "eel")
    assert contexts(data)[:, 0].sum() == 0
    assert torch.equal(contexts(data).argmax(1), torch.from_numpy(data.train.labels) + 1)
    strange = DataChoice(write(tmp_path / "c.csv", ["dog", "elk"]), "class", given="label")
    with pytest.raises(DataError, match="classes cat, dog, eel, got 'elk'\n\nhint"):
        strange.read(like=spec)


def test_classes_that_are_numbers_need_not_begin_at_nought(tmp_path):
    rows = np.random.default_rng(0).integers(0, 2, (20, 3)).astype(np.uint8)
    labels = np.arange(20) % 2 * 8 - 1
    np.savez(tmp_path / "a.npz", train=rows, train_labels=labels)
    data = DataChoice(str(tmp_path / "a.npz"), given="label").read()
    assert data.spec.context == ("-1", "7")
    assert torch.equal(contexts(data)[:, 1] == 1, torch.from_numpy(data.train.labels == 7))
    np.savez(tmp_path / "b.npz", train=rows, train_labels=labels + 1)
    with pytest.raises(DataError, match="classes -1, 7, got '0'"):
        DataChoice(str(tmp_path / "b.npz"), given="label").read(like=data.spec)


def test_a_class_without_training_rows_is_refused(tmp_path):
    rows = np.zeros((20, 3), np.uint8)
    rows[::2] = 1
    labels = np.arange(20) % 2
    parts = {"train": rows, "train_labels": labels, "valid": rows, "valid_labels": labels + 1}
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(DataError, match="got 2 in valid\n\nhint"):
        DataChoice(str(tmp_path / "a.npz"), given="label").read()


def test_a_run_on_a_table_is_asked_about_another(cli, run, tmp_path):
    other = write(tmp_path / "other.csv", ["cat", "dog"])
    answer = cli("evaluate", run, other, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["log_prob"]["kind"] == "exact"
    (tmp_path / "plain.csv").write_text("a,b\n" + "0,1\n1,0\n" * 30)
    cli("evaluate", run, tmp_path / "plain.csv").refuses("class")


def test_resuming_with_another_choice_leaves_the_run(cli, run, shared, fingerprint):
    before = fingerprint(run)
    words = ("fit", "fvsbn", shared / "given.csv", "--label", "class", "--out", run, "--resume")
    cli(*words, "--quiet", "--no-report").refuses("given was cat, dog, eel")
    assert fingerprint(run) == before


def test_samples_are_counted_before_they_are_drawn(cli, run, tmp_path):
    for more in ((), ("--prompt", "a"), ("--length", "3")):
        answer = cli("sample", run, "--num", 0, "--out", tmp_path / "s.npz", *more)
        answer.refuses("expected at least 1 sample, got 0")


def test_wavenet_has_no_conditioning_of_each_site(cli):
    cli("fit", "wavenet", "digits", "--conditioning", "local").refuses("unknown option")
