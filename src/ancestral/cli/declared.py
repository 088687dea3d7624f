"""Recipes and options as their source declares them, read without running it.

Help, lists and refusals need only names, defaults and docstrings; importing the recipes imports
torch, which takes longer than a person waits for help. A test compares what is read here with
what is imported.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

__all__ = ["DeclaredOption", "DeclaredRecipe", "argument_help", "recipes", "training_options"]

_PACKAGE = Path(__file__).parent.parent
_CATALOGUES = tuple(f"ancestral.recipes.catalogue.{part}" for part in ("latent", "sequential"))
_TYPES = {"int": int, "float": float, "str": str, "bool": bool}


@dataclass(frozen=True)
class DeclaredOption:
    """A keyword argument of a recipe, or a field of the training configuration.

    Attributes:
        name: as in Python.
        type: to read the value as.
        default: when it is not given.
    """

    name: str
    type: Any
    default: Any


@dataclass(frozen=True)
class DeclaredRecipe:
    """A row of the catalogue of recipes.

    Attributes:
        name: as on the command line.
        summary: one line.
        reference: authors, year, title.
        options: keyword arguments of its function.
        training: its defaults of training options, where they differ from the library's.
        doc: docstring of its function.
    """

    name: str
    summary: str
    reference: str
    options: tuple[DeclaredOption, ...]
    training: dict[str, Any]
    doc: str


@cache
def recipes() -> dict[str, DeclaredRecipe]:
    """The rows of the catalogues, in their order."""
    rows = [
        _recipe(node, tree)
        for tree in map(_module, _CATALOGUES)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _is_name(node.func, "Recipe")
    ]
    return {row.name: row for row in rows}


@cache
def training_options() -> tuple[tuple[DeclaredOption, ...], str]:
    """The fields of `TrainingConfig`, and its docstring."""
    config, tree = _definition("TrainingConfig", _module("ancestral.training.config"))
    options = tuple(
        DeclaredOption(field.target.id, _type(field.annotation, tree), _value(field.value, tree))
        for field in config.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    )
    return options, ast.get_docstring(config) or ""


def argument_help(doc: str) -> str:
    r"""The lines below `Args:` of a Google-style docstring.

    Example:
        >>> argument_help("Do.\n\nArgs:\n    size: of it.\n\nRaises:\n    Error: no.")
        '    size: of it.'
    """
    _, _, rest = inspect.cleandoc(doc).partition("Args:\n")
    lines = []
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        lines.append(line)
    return "\n".join(lines).rstrip()


def _recipe(row: ast.Call, tree: ast.Module) -> DeclaredRecipe:
    name, summary, function, reference = row.args[:4]
    assert isinstance(function, ast.Name)
    definition, home = _definition(function.id, tree)
    assert isinstance(definition, ast.FunctionDef)
    arguments = zip(definition.args.kwonlyargs, definition.args.kw_defaults, strict=True)
    training = next((k.value for k in row.keywords if k.arg == "training"), None)
    return DeclaredRecipe(
        ast.literal_eval(name),
        ast.literal_eval(summary),
        ast.literal_eval(reference),
        tuple(
            DeclaredOption(a.arg, _type(a.annotation, home), _value(d, home)) for a, d in arguments
        ),
        {} if training is None else ast.literal_eval(training),
        ast.get_docstring(definition) or "",
    )


def _type(node: ast.expr | None, tree: ast.Module) -> Any:
    """An annotation as a type; an enumeration as its values."""
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.BinOp):
        return _type(node.left, tree) | _type(node.right, tree)
    assert isinstance(node, ast.Name)
    return (
        _TYPES[node.id] if node.id in _TYPES else Literal[tuple(_members(node.id, tree).values())]
    )


def _value(node: ast.expr | None, tree: ast.Module) -> Any:
    """A default: a literal, or a member of an enumeration."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return _members(node.value.id, tree)[node.attr]
    assert node is not None
    return ast.literal_eval(node)


def _members(enumeration: str, tree: ast.Module) -> dict[str, str]:
    definition, _ = _definition(enumeration, tree)
    return {
        line.targets[0].id: ast.literal_eval(line.value)
        for line in definition.body
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)
    }


def _definition(name: str, tree: ast.Module) -> tuple[ast.ClassDef | ast.FunctionDef, ast.Module]:
    """The class or function that a name in a module stands for, and the module it is in."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node, tree
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _definition(alias.name, _module(node.module or ""))
    raise LookupError(f"no definition of {name}")


@cache
def _module(name: str) -> ast.Module:
    path = _PACKAGE.parent / name.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
