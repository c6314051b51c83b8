"""``run.toml``: every setting of a run, written beside its output and readable again."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth.errors import UsageError
from synth.image_files import write_atomic

__all__ = ["RUN_FILE", "Tables", "differences", "open_run", "read_run_file", "run_toml"]

RUN_FILE = "run.toml"
#: Tables that decide the pictures: a resumed run must agree on them. What else a
#: run file holds (workers, folders, library versions) may differ.
DECIDING = ("settings", "assets")

Tables = Mapping[str, Mapping[str, Any]]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):  # a JSON string is a TOML basic string, DEL excepted
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    raise TypeError(f"value: expected str, number, bool or a list of these, got {type(value)}")


def run_toml(tables: Tables) -> str:
    """A run file with the given tables; settings that are None are left out."""
    lines = ["# Written by synth. `synth generate --config run.toml --output NEW` repeats the run."]
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        for key, value in table.items():
            if value is not None:
                bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
                lines.append(f"{key if bare else json.dumps(key)} = {_value(value)}")
    return "\n".join(lines) + "\n"


def read_run_file(path: Path) -> dict[str, dict[str, Any]]:
    """The tables of a run file.

    Raises
    ------
    UsageError
        If it is not readable TOML, or has keys outside a table.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"config: expected a TOML file, got {path} ({error})") from None
    if loose := sorted(key for key, value in tables.items() if not isinstance(value, dict)):
        raise UsageError(
            f"config: expected tables such as [settings] in {path}, got the bare keys "
            f"{', '.join(loose)}; put them below [settings]"
        )
    return tables


def differences(old: Tables, new: Tables) -> list[str]:
    """What decides the pictures and is not the same: ``"seed = 1 (was 0)"``."""
    found = []
    for table in DECIDING:
        before = {k: v for k, v in old.get(table, {}).items() if v is not None}
        now = {k: v for k, v in new.get(table, {}).items() if v is not None}
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key):
                found.append(f"{key} = {now.get(key)} (was {before.get(key)})")
    return found


def open_run(root: Path, tables: Tables, command: str) -> bool:
    """Make the folder of a run with its run file, or check that it holds this run.

    Parameters
    ----------
    root : Path
    tables : mapping of mappings
        See `run_toml`.
    command : str
        For the first line, such as ``"synth train"``.

    Returns
    -------
    bool
        Whether the run was begun before.

    Raises
    ------
    UsageError
        If the folder holds another run or foreign files, or cannot be written.
    """
    path = root / RUN_FILE
    if path.exists():
        if different := differences(read_run_file(path), tables):
            raise UsageError(
                f"output: expected the settings of the run in {root}, got "
                f"{'; '.join(different[:4])}; choose another --output"
            )
        return True
    head = f"# Written by {command}. The same command on this folder goes on with the run.\n"
    try:
        if root.is_dir() and any(not p.name.startswith(".") for p in root.iterdir()):
            raise UsageError(
                f"output: expected an empty folder or an earlier run, got {root} with other "
                "files; choose another --output"
            )
        root.mkdir(parents=True, exist_ok=True)
        write_atomic(path, (head + run_toml(tables).split("\n", 1)[1]).encode())
    except OSError as error:
        raise UsageError(
            f"output: expected a folder that can be written, got {root} "
            f"({error.strerror or error}); choose another --output"
        ) from None
    return False
