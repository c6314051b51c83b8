"""Modules import from lower layers or their own folder, never sideways or up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Room (module or package below `synth`) -> layer; `docs/architecture.md` draws it.
LAYERS = {
    "": 0, "errors": 0, "types": 0, "optional": 0, "seeds": 0, "versions": 0,
    "affect": 1, "assets": 1, "camera": 1, "color": 1, "image_files": 1, "image_metadata": 1,
    "images": 1, "metrics": 1, "runfile": 1, "shares": 1, "threads": 1, "crops": 1, "harmonic": 1,
    "archives": 1, "meshes": 1, "tables": 1, "video": 1, "workers": 1,
    "acceptance": 2, "blending": 2, "corpora": 2, "expressions": 2, "landmarks": 2, "models": 2,
    "morphable": 2, "motion": 2, "paths": 2, "records": 2, "render": 2, "samples": 2,
    "targets": 2,
    "acting": 3, "editing": 3, "fitting": 3, "morphing": 3, "parts": 3, "provenance": 3,
    "nuisance": 3, "plans": 3, "quality": 3, "recognition": 3, "routes": 3, "sequence_videos": 3,
    "settings": 3, "testing": 3, "translation": 3,
    "building": 4, "evaluation": 4, "folds_build": 4, "pipeline": 4, "training": 4,
    "augment": 5, "batch": 5, "dataset": 5, "distributed": 5, "morph_plan": 5,
    "preview": 5,
    "experiments": 6, "face_sets": 6,
    "cli": 7, "studio": 7,
}  # fmt: skip

#: Imports within a layer that are part of the design, each with its reason.
SIDEWAYS = {
    ("types", "errors"): "records refuse bad values with the package's errors",
    ("archives", "image_files"): "written whole or not at all",
    ("meshes", "image_files"): "written whole or not at all",
    ("workers", "threads"): "each process has one thread",
    ("optional", "errors"): "says what is missing with the package's errors",
    ("versions", ""): "the package's own version",
    ("images", "image_files"): "images is their public face",
    ("images", "image_metadata"): "images is their public face",
    ("augment", "dataset"): "shards are written as the set's format says",
    ("distributed", "augment"): "runs the same jobs elsewhere",
    ("distributed", "dataset"): "moves shards and tables to where they are kept",
    ("cli", "studio"): "one of the commands serves the page",
    ("morph_plan", "batch"): "the same jobs, of people instead of photos",
    ("motion", "expressions"): "knows the blendshapes of lids and gaze by name",
    ("provenance", "acting"): "records what a face did",
    ("render", "blending"): "Poisson compositing is a way of rendering",
    ("render", "morphable"): "the renderer draws the model",
    ("runfile", "image_files"): "written whole or not at all",
    ("evaluation", "building"): "experiments on building from scans of known truth",
    ("evaluation", "pipeline"): "experiments make pictures first",
    ("evaluation", "training"): "experiments train networks",
    ("training", "pipeline"): "recipes that learn from generated pictures",
    ("parts", "fitting"): "fits with the parts it loaded",
    ("parts", "settings"): "parts are settings with what they name",
    ("routes", "acting"): "may leave the model nothing to draw",
    ("routes", "parts"): "the generator's parts, and what becomes of a picture",
    ("routes", "editing"): "one of the routes",
    ("routes", "translation"): "the last thing done to a picture",
    ("settings", "editing"): "which weights a setting means",
    ("parts", "translation"): "one of the parts is a translator",
    ("settings", "translation"): "which weights a setting means",
    ("experiments", "face_sets"): "experiments read the sets they make",
    ("provenance", "settings"): "records which settings made a picture",
}


def rooms(root: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted((root / "synth").rglob("*.py")):
        inside = file.relative_to(root / "synth").with_suffix("").parts
        yield ("" if inside == ("__init__",) else inside[0]), file
    for room in ("models", "assets", "cli"):
        for file in sorted((root / room).rglob("*.py")):
            yield room, file


def imported_rooms(file: Path) -> Iterator[str]:
    """Rooms of `synth` a file imports at run time, at its top or inside a function."""
    tree = ast.parse(file.read_text("utf-8"))
    only_typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in only_typing:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "synth":
            # `from synth import assets` imports a room, `from synth import VA` the package.
            names = [f"synth.{a.name}" if a.name in LAYERS else "synth" for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            top, *rest = name.split(".")
            if top == "synth":
                yield rest[0] if rest else ""


def violations(root: Path) -> list[str]:
    found = []
    for room, file in rooms(root):
        for other in imported_rooms(file):
            if other == room or (room == "" and other == ""):
                continue
            here, there = LAYERS.get(room), LAYERS.get(other)
            if here is None or there is None:
                found.append(f"{file.relative_to(root)}: {room or other} has no layer")
            elif there > here or (there == here and (room, other) not in SIDEWAYS):
                found.append(f"{file.relative_to(root)}: {room} ({here}) imports {other} ({there})")
    return found


def test_every_import_points_down(root):
    assert violations(root) == []


def test_every_room_has_a_layer(root):
    assert {room for room, _ in rooms(root)} <= set(LAYERS)


@pytest.mark.parametrize(
    "line, caught",
    [
        ("from synth.pipeline import Generator", True),
        ("from synth.cli.params import X", True),
        ("import synth.morphable.model", True),  # sideways for an expressions module
        ("from synth import batch", True),
        ("from synth.affect import EXPRESSIONS", False),
        ("from synth.expressions.arkit import NAMES", False),
        ("from synth import assets", False),
    ],
)
def test_the_check_catches_what_it_should(tmp_path, line, caught):
    for folder in ("synth/expressions", "models", "assets", "cli"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "synth/expressions/new.py").write_text(f"def f():\n    {line}\n")
    assert bool(violations(tmp_path)) is caught


def test_architecture_page_names_every_room(root):
    page = (root / "docs/architecture.md").read_text("utf-8")
    missing = sorted({room for room, _ in rooms(root) if room and f"`{room}`" not in page})
    assert missing == []
