"""Refresh sizes and digests in ``registry.toml`` from the files on disk.

``python assets/update.py``, or ``python -m synth.assets.update`` in an editable
install, after a build script rewrote an asset. Only entries that are already
registered change: licence and source are written by hand. Exits with 1 when a
shipped data file has no entry, or an entry has no file.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tomllib
from pathlib import Path

__all__ = ["compare", "main", "refreshed"]

# This file's own folder: also from a checkout whose package is installed elsewhere.
FOLDER = Path(__file__).resolve().parent
NOT_DATA = {".py", ".pyc", ".toml", ".md"}


def refreshed(text: str, values: dict[str, tuple[str, int]]) -> str:
    """`text` of a registry with the (sha256, bytes) of `values` put in, comments kept."""
    for name, (sha256, size) in values.items():
        section = re.search(rf"^\[{re.escape(name)}\]\n(?:(?!\[).*\n?)*", text, re.MULTILINE)
        if section is None:
            continue
        body = re.sub(r'^sha256 = ".*"$', f'sha256 = "{sha256}"', section[0], flags=re.MULTILINE)
        body = re.sub(r"^bytes = \d+$", f"bytes = {size}", body, flags=re.MULTILINE)
        text = text[: section.start()] + body + text[section.end() :]
    return text


def compare(folder: Path = FOLDER) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """(sha256, bytes) of each registered file of `folder`, and what is missing on either side."""
    table = tomllib.loads((folder / "registry.toml").read_text("utf-8"))
    own = {name: folder / e["file"] for name, e in table.items() if not e.get("package")}
    values = {
        name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size)
        for name, file in own.items()
        if file.is_file()
    }
    data = {f for f in folder.rglob("*") if f.is_file() and f.suffix not in NOT_DATA}
    missing = [f"{name}: no file {file}" for name, file in own.items() if name not in values]
    missing += [f"not registered: {file}" for file in sorted(data - set(own.values()))]
    return values, missing


def main() -> int:
    """Rewrite the registry; the exit code."""
    values, missing = compare()
    registry = FOLDER / "registry.toml"
    registry.write_text(refreshed(registry.read_text("utf-8"), values), "utf-8")
    print("\n".join(missing) or f"{len(values)} entries are up to date", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
