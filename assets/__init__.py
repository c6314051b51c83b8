"""Data the package uses: every file with its version, sha256, licence and source.

``registry.toml`` names them; `path` hands a file out only after its digest was
compared, once per process. ``python -m synth.assets.update`` refreshes sizes and
digests after a build script has rewritten a file.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from synth.errors import AssetError

__all__ = ["Asset", "digest", "locate", "path", "registry", "verified"]

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Asset:
    """One entry of the registry.

    Attributes
    ----------
    name : str
        What `path` takes.
    file : str
        Path below this folder, or below the folder of `package`.
    version : str
    sha256 : str
        Hex digest of the file.
    bytes : int
        Size of the file.
    licence : str
        SPDX expression where there is one, otherwise in words.
    source : str
        Where the data came from and who made it.
    notes : str
        What a user must know before relying on it.
    build : str
        Command that rebuilds the file, if the repository has one.
    package : str
        Import name of the package that ships the file; empty for our own.
    optional : bool
        Whether the package works without it.
    """

    name: str
    file: str
    version: str
    sha256: str
    bytes: int
    licence: str
    source: str
    notes: str = ""
    build: str = ""
    package: str = ""
    optional: bool = False


@cache
def _entries() -> dict[str, Asset]:
    table = tomllib.loads((FOLDER / "registry.toml").read_text("utf-8"))
    known = {f.name for f in fields(Asset)}
    for name, entry in table.items():
        if unknown := sorted(set(entry) - known):
            raise AssetError(f"registry.toml [{name}]: expected keys of Asset, got {unknown}")
    return {name: Asset(name=name, **entry) for name, entry in table.items()}


def registry() -> list[Asset]:
    """Every registered asset, in the registry's order."""
    return list(_entries().values())


def digest(file: Path) -> str:
    """Hex SHA-256 of a file's bytes; AssetError where it cannot be read."""
    try:
        with open(file, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise AssetError(f"{file}: expected a readable file, got {error.strerror}") from error


def verified(name: str) -> dict[str, str]:
    """``{name: sha256}`` of an asset that `path` has verified, for records and run files."""
    path(name)
    return {name: _entry(name).sha256}


def _entry(name: str) -> Asset:
    try:
        return _entries()[name]
    except KeyError:
        raise AssetError(
            f"asset: expected one of {sorted(_entries())}, got {name!r}; "
            "`synth assets list` describes them"
        ) from None


def locate(asset: Asset) -> Path:
    """Where the asset's file should be; unverified, and the file may be absent."""
    if not asset.package:
        return FOLDER / asset.file
    # find_spec, not import: face_recognition_models needs pkg_resources to be imported.
    spec = importlib.util.find_spec(asset.package)
    if spec is None or not spec.submodule_search_locations:
        distribution = asset.package.replace("_", "-")
        raise AssetError(
            f"{asset.name}: expected the package {asset.package}, which ships this file, "
            f"got none; pip install {distribution}"
        )
    return Path(spec.submodule_search_locations[0]) / asset.file


@cache
def path(name: str) -> Path:
    """Path of a registered file whose SHA-256 was checked.

    The digest is computed on the first call in a process only.

    Parameters
    ----------
    name : str
        Name in ``registry.toml``.

    Raises
    ------
    AssetError
        If the name is not registered, the file is absent, or its digest is not
        the registered one.
    """
    asset = _entry(name)
    file = locate(asset)
    remedy = "reinstall " + (asset.package.replace("_", "-") or "synth-affect")
    if asset.build:
        remedy += f", or rebuild it with `{asset.build}` and `python -m synth.assets.update`"
    if not file.is_file():
        raise AssetError(f"{name}: expected the file {file}, got none; {remedy}")
    got = digest(file)
    if got != asset.sha256:
        raise AssetError(
            f"{name}: expected sha256 {asset.sha256} ({asset.bytes} bytes), got {got} "
            f"({file.stat().st_size} bytes) in {file}; {remedy}"
        )
    return file
