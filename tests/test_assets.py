"""Nothing unregistered is shipped, and nothing damaged is handed out."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

from synth import assets
from synth.assets.update import compare, refreshed
from synth.errors import AssetError


@pytest.mark.parametrize("asset", assets.registry(), ids=lambda asset: asset.name)
def test_every_asset_is_the_registered_one(asset):
    file = assets.path(asset.name)
    assert file.stat().st_size == asset.bytes
    assert hashlib.sha256(file.read_bytes()).hexdigest() == asset.sha256
    assert asset.licence and asset.source and asset.version


def test_checkout_and_registry_agree(root):
    values, missing = compare(root / "assets")
    assert missing == []
    table = tomllib.loads((root / "assets/registry.toml").read_text("utf-8"))
    registered = {n: (e["sha256"], e["bytes"]) for n, e in table.items() if not e.get("package")}
    assert values == registered, "run python assets/update.py"


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(AssetError, match="anny_face"):
        assets.path("no_such_asset")


@pytest.fixture
def one_asset(tmp_path, monkeypatch):
    """A registry with one file, `thing`, of three bytes."""

    def make(content: bytes | None, **changes: object) -> Path:
        sha256 = hashlib.sha256(b"abc").hexdigest()
        entry = {"file": "thing.npz", "version": "1", "sha256": sha256, "bytes": 3,
                 "licence": "CC0-1.0", "source": "test", **changes}  # fmt: skip
        lines = [f"{k} = {v!r}".replace("'", '"') for k, v in entry.items()]
        (tmp_path / "registry.toml").write_text("[thing]\n" + "\n".join(lines) + "\n")
        if content is not None:
            (tmp_path / "thing.npz").write_bytes(content)
        return tmp_path / "thing.npz"

    monkeypatch.setattr(assets, "FOLDER", tmp_path)
    for cached in (assets._entries, assets.path):
        cached.cache_clear()
    yield make
    for cached in (assets._entries, assets.path):
        cached.cache_clear()


def test_intact_file_is_handed_out(one_asset):
    file = one_asset(b"abc")
    assert assets.path("thing") == file
    assert assets.verified("thing") == {"thing": hashlib.sha256(b"abc").hexdigest()}


def test_damaged_file_is_refused_with_both_digests_and_a_remedy(one_asset):
    one_asset(b"abd")
    with pytest.raises(AssetError) as caught:
        assets.path("thing")
    message = str(caught.value)
    assert hashlib.sha256(b"abc").hexdigest() in message
    assert hashlib.sha256(b"abd").hexdigest() in message
    assert "reinstall" in message


def test_missing_file_and_missing_package_say_what_to_do(one_asset):
    one_asset(None)
    with pytest.raises(AssetError, match="thing.npz.*reinstall"):
        assets.path("thing")
    assets._entries.cache_clear()
    one_asset(None, package="no_such_package")
    with pytest.raises(AssetError, match="pip install no-such-package"):
        assets.path("thing")


def test_unknown_key_in_the_registry_is_an_error(one_asset):
    one_asset(b"abc", colour="red")
    with pytest.raises(AssetError, match="colour"):
        assets.registry()


def test_refresh_changes_digest_and_size_of_that_entry_only():
    text = '# head\n[a]\nsha256 = "1"\nbytes = 1\n\n[b]\nsha256 = "2"  \nbytes = 2\nnotes = "x"\n'
    new = refreshed(text, {"a": ("ff", 9), "zzz": ("00", 0)})
    assert new == text.replace('"1"', '"ff"').replace("bytes = 1", "bytes = 9")


def test_update_reports_what_is_not_registered(one_asset, tmp_path):
    one_asset(b"abc")
    (tmp_path / "stray.csv").write_text("1")
    values, missing = compare(tmp_path)
    assert values == {"thing": (hashlib.sha256(b"abc").hexdigest(), 3)}
    assert [m for m in missing if "stray.csv" in m] == missing
