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
    """The rows of the catalogue, in its order."""
    tree = _parsed("recipes/catalogue.py")
    homes = {
        alias.asname or alias.name: node.module or ""
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    rows = [
        _recipe(node, homes)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _is_name(node.func, "Recipe")
    ]
    return {row.name: row for row in rows}


@cache
def training_options() -> tuple[tuple[DeclaredOption, ...], str]:
    """The fields of `TrainingConfig`, and its docstring."""
    tree = _parsed("training/config.py")
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    choices = {
        name: {
            statement.targets[0].id: ast.literal_eval(statement.value)
            for statement in node.body
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        }
        for name, node in classes.items()
        if any(_is_name(base, "StrEnum") for base in node.bases)
    }
    config = classes["TrainingConfig"]
    options = tuple(
        DeclaredOption(
            field.target.id, _type(field.annotation, choices), _value(field.value, choices)
        )
        for field in config.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.value
    )
    return options, ast.get_docstring(config) or ""


def argument_help(doc: str) -> str:
    """The lines below `Args:` of a Google-style docstring.

    Example:
        >>> argument_help("Do.\\n\\nArgs:\\n    size: of it.\\n\\nRaises:\\n    Error: no.")
        '    size: of it.'
    """
    _, _, rest = inspect.cleandoc(doc).partition("Args:\n")
    lines = []
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        lines.append(line)
    return "\n".join(lines).rstrip()


def _recipe(row: ast.Call, homes: dict[str, str]) -> DeclaredRecipe:
    name, summary, function, reference = row.args[:4]
    assert isinstance(function, ast.Name)
    home = homes[function.id].removeprefix("ancestral.").replace(".", "/") + ".py"
    definition = next(
        node
        for node in _parsed(home).body
        if isinstance(node, ast.FunctionDef) and node.name == function.id
    )
    arguments = zip(definition.args.kwonlyargs, definition.args.kw_defaults, strict=True)
    training = next((k.value for k in row.keywords if k.arg == "training"), None)
    return DeclaredRecipe(
        ast.literal_eval(name),
        ast.literal_eval(summary),
        ast.literal_eval(reference),
        tuple(DeclaredOption(a.arg, _type(a.annotation, {}), _value(d, {})) for a, d in arguments),
        {} if training is None else ast.literal_eval(training),
        ast.get_docstring(definition) or "",
    )


def _parsed(path: str) -> ast.Module:
    return ast.parse((_PACKAGE / path).read_text(encoding="utf-8"))


def _type(node: ast.expr | None, choices: dict[str, dict[str, str]]) -> Any:
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.BinOp):
        return _type(node.left, choices) | _type(node.right, choices)
    assert isinstance(node, ast.Name)
    if node.id in choices:
        return Literal[tuple(choices[node.id].values())]
    return _TYPES[node.id]


def _value(node: ast.expr | None, choices: dict[str, dict[str, str]]) -> Any:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return choices[node.value.id][node.attr]
    assert node is not None
    return ast.literal_eval(node)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
