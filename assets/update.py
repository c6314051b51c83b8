"""Refresh sizes and digests in ``registry.toml`` from the files on disk.

``python -m synth.assets.update`` after a build script rewrote an asset, in an
editable install or a checkout. Only entries that are already registered change:
licence and source are written by hand. Exits with 1 when a shipped data file has
no entry or an entry has no file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from synth.assets import FOLDER, digest, locate, registry

__all__ = ["data_files", "main", "refreshed"]

_NOT_DATA = {".py", ".pyc", ".toml", ".md"}


def data_files() -> Iterator[Path]:
    """Every data file below the assets folder."""
    for file in sorted(FOLDER.rglob("*")):
        if file.is_file() and file.suffix not in _NOT_DATA:
            yield file


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


def main() -> int:
    """Rewrite the registry; the exit code."""
    values, missing = {}, []
    for asset in registry():
        if asset.package:
            continue
        file = locate(asset)
        if file.is_file():
            values[asset.name] = (digest(file), file.stat().st_size)
        else:
            missing.append(f"{asset.name}: no file {asset.file}")
    target = FOLDER / "registry.toml"
    target.write_text(refreshed(target.read_text("utf-8"), values), "utf-8")
    listed = {locate(asset) for asset in registry() if not asset.package}
    missing += [f"not registered: {f.relative_to(FOLDER)}" for f in data_files() if f not in listed]
    print("\n".join(missing) or f"{len(values)} entries are up to date", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
