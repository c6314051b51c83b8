"""Experiments from TOML files.

Every table is a dataclass of `synth.experiments.definition`; an unknown key, a missing one
or a name that nothing has is an error that says where. Files that come with the package are
called by their name.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth.errors import UsageError
from synth.experiments.checks import check_definition
from synth.experiments.definition import Condition, Definition, FaceTest, Root, SetSpec

__all__ = ["available", "load_definition", "read_definition"]

FOLDER = Path(__file__).parent / "definitions"


def available() -> dict[str, Path]:
    """Name -> file of the experiments that come with the package."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def load_definition(name: str) -> Definition:
    """The experiment of that name, or of a TOML file.

    Raises
    ------
    UsageError
        If there is none, or the file is not one; the message names the key.
    """
    known = available()
    path = known.get(name, Path(name))
    if not path.is_file() or (name not in known and path.suffix != ".toml"):
        raise UsageError(
            f"experiment: expected one of {', '.join(known)} or a .toml file, got {name!r}; "
            "`synth experiment list` tells what they ask"
        )
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"experiment: expected a TOML file, got {path} ({error})") from None
    return read_definition(path.stem, tables)


def read_definition(name: str, tables: Mapping[str, Any]) -> Definition:
    """The experiment of parsed TOML.

    Raises
    ------
    UsageError
        As `load_definition`.
    """
    given: dict[str, Any] = dict(tables)
    for table, kind in (("roots", Root), ("sets", SetSpec), ("conditions", Condition),
                        ("tests", FaceTest)):  # fmt: skip
        entries = given.get(table, {})
        if not isinstance(entries, Mapping):
            raise UsageError(f"{name}: expected tables [{table}.NAME], got {table} = {entries!r}")
        given[table] = {
            key: _built(kind, f"{name}: [{table}.{key}]", values) for key, values in entries.items()
        }
    definition: Definition = _built(Definition, name, {**given, "name": name})
    check_definition(definition)
    return definition


def _built(kind: Any, where: str, values: Any) -> Any:
    """A dataclass of a table; lists become tuples, each value has the type of its field."""
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: expected a table, got {values!r}")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := sorted(set(values) - set(fields)):
        raise UsageError(
            f"{where}: expected keys among {', '.join(fields)}, got {', '.join(unknown)}"
        )
    needed = [n for n, f in fields.items()
              if f.default is f.default_factory is dataclasses.MISSING]  # fmt: skip
    if missing := [n for n in needed if n not in values]:
        raise UsageError(f"{where}: expected a value for {', '.join(missing)}, got none")
    return kind(**{n: _value(where, n, str(fields[n].type), v) for n, v in values.items()})


def _value(where: str, name: str, kind: str, value: Any) -> Any:
    if kind.startswith("tuple"):
        value = [value] if isinstance(value, str) else value
        good = isinstance(value, list) and all(isinstance(v, str) for v in value)
        wanted = "a list of texts"
    elif kind.startswith("dict"):
        good, wanted = isinstance(value, Mapping), "a table"
        if good and kind.endswith("float]"):
            good = all(_is_number(v) and v > 0 for v in value.values())
            wanted = "a table of numbers above 0"
    elif kind.startswith("float"):
        good, wanted = _is_number(value), "a number"
    elif kind == "int":
        good, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    else:
        wanted = {"str": "a text", "bool": "true or false"}[kind]
        good = isinstance(value, {"str": str, "bool": bool}[kind])
    if not good:
        raise UsageError(f"{where}: {name}: expected {wanted}, got {value!r}")
    return tuple(value) if kind.startswith("tuple") else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
