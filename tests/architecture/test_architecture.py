"""Rules of the source that no linter knows."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "ancestral"
FILES = sorted(SOURCE.rglob("*.py"))
MOST_LINES = 400
HEAVY = ("torch", "matplotlib", "pandas", "sklearn", "numpy", "scipy", "anndata", "pyarrow")

every_file = pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(SOURCE).with_suffix(""))
)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(tree: ast.Module) -> set[str]:
    """Full names of what a file imports, such as `torch.nn` for `from torch import nn`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imports_from(path: Path, package: str) -> set[str]:
    return {n for n in imported(tree_of(path)) if n == package or n.startswith(package + ".")}


def in_folder(*folders: str) -> list[Path]:
    return [path for path in FILES if path.relative_to(SOURCE).parts[0] in folders]


def test_there_are_files():
    assert len(FILES) > 50


@every_file
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@every_file
def test_no_file_is_named_for_nothing(path):
    assert path.stem not in ("utils", "util", "helpers", "misc", "common")


@every_file
def test_public_names_are_listed_and_exist(path):
    tree = tree_of(path)
    if path.name == "__main__.py" or all(isinstance(n, ast.Expr) for n in tree.body):
        return  # nothing but a docstring
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
    ]
    assert len(listed) == 1, "expected one __all__"
    assert len(set(listed[0])) == len(listed[0])
    if path == SOURCE / "__init__.py":
        return  # its names are imported when they are used
    defined = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            defined |= {alias.asname or alias.name for alias in node.names}
    assert set(listed[0]) <= defined


@every_file
def test_every_file_says_what_it_is(path):
    assert ast.get_docstring(tree_of(path))


@pytest.mark.parametrize("path", in_folder("networks"), ids=lambda path: path.stem)
def test_networks_know_no_probability(path):
    assert not imports_from(path, "torch.distributions")
    assert not imports_from(path, "ancestral.distributions")


@pytest.mark.parametrize("path", in_folder("distributions"), ids=lambda path: path.stem)
def test_distributions_hold_no_weights(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef):
            bases = {ast.unparse(base) for base in node.bases}
            assert not bases & {"nn.Module", "Module", "torch.nn.Module"}, node.name
    assert not imports_from(path, "torch.nn") - {
        n for n in imports_from(path, "torch.nn") if n.startswith("torch.nn.functional")
    }


@pytest.mark.parametrize("path", in_folder("models"), ids=lambda path: path.stem)
def test_models_know_no_inference(path):
    assert not imports_from(path, "ancestral.inference")


@pytest.mark.parametrize("path", in_folder("recipes"), ids=lambda path: path.stem)
def test_recipes_only_assemble(path):
    tree = tree_of(path)
    assert not [n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    if path.stem.endswith("parts"):  # these name the type, and chain modules
        return
    assert not {n for n in imported(tree) if n.split(".")[0] == "torch"}


@every_file
def test_users_mistakes_never_meet_an_assert_with_a_message(path):
    # an assert states what the code knows; what a user got wrong has an error with a hint
    found = [n.lineno for n in ast.walk(tree_of(path)) if isinstance(n, ast.Assert) and n.msg]
    assert not found


@every_file
def test_heavy_optional_packages_are_imported_inside_functions(path):
    lazy = {"pandas", "anndata", "pyarrow", "sklearn", "tensorboard"}
    if path.relative_to(SOURCE).parts[0] != "plots":
        lazy.add("matplotlib")
    top = [n for n in tree_of(path).body if isinstance(n, ast.Import | ast.ImportFrom)]
    roots = {n.split(".")[0] for n in imported(ast.Module(top, []))}
    assert not roots & lazy


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys; import ancestral; "
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SOURCE.parent)},
    )
    assert result.stdout.strip() == ""


def test_lazy_names_are_the_listed_ones():
    import ancestral

    assert set(ancestral._HOMES) | {"__version__"} == set(ancestral.__all__)
    for name in ancestral.__all__:
        assert getattr(ancestral, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        ancestral.nothing  # noqa: B018


def test_layers():
    result = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        capture_output=True,
        text=True,
        cwd=SOURCE.parents[1],
        env={"PYTHONPATH": str(SOURCE.parent)},
    )
    assert result.returncode == 0, result.stdout
