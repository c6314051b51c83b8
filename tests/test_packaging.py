"""The folders of the checkout install below `synth`, complete, and nothing else does."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path

import pytest

MAPPED = {"models": "synth.models", "assets": "synth.assets", "cli": "synth.cli"}
HEAVY = ("torch", "cv2", "dlib", "_dlib_pybind11", "click", "numba", "scipy", "PIL")


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


def package_of(init: Path, root: Path) -> str:
    first, *rest = init.parent.relative_to(root).parts
    return ".".join([MAPPED.get(first, first), *rest])


def test_every_folder_with_an_init_is_listed(root, project):
    inits = [p for top in ("synth", *MAPPED) for p in (root / top).rglob("__init__.py")]
    found = {package_of(init, root) for init in inits}
    assert found == set(project["tool"]["setuptools"]["packages"])


def test_mapped_folders_are_the_ones_spelled_out(project):
    assert project["tool"]["setuptools"]["package-dir"] == {v: k for k, v in MAPPED.items()}


def test_every_data_file_is_packaged(root, project):
    from synth.assets.update import NOT_DATA

    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    endings = {p.rpartition(".")[2] for p in patterns}
    data = {f.suffix[1:] for f in (root / "assets").rglob("*") if f.suffix not in NOT_DATA}
    assert data - {""} <= endings
    assert resources.files("synth").joinpath("py.typed").is_file()


def test_no_module_imports_a_bare_folder_name(root):
    for folder in ("synth", "tests", "benchmarks", *MAPPED):
        for file in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    assert node.level == 0, f"{file}: imports are absolute"
                    names = [node.module or ""]
                assert not {n.split(".")[0] for n in names} & set(MAPPED), file


def test_nothing_generic_reaches_site_packages():
    files = metadata.files("synth-affect") or []
    tops = {Path(f).parts[0] for f in files} - {".."}
    assert not tops & set(MAPPED)


def test_importing_synth_loads_no_heavy_package():
    code = f"import sys, synth; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_help_screen_loads_neither_torch_nor_images():
    code = (
        "import sys; from synth.cli import cli; cli(['generate', '--help'], standalone_mode=False);"
        f"print([m for m in {HEAVY!r} if m in sys.modules and m != 'click'])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip().endswith("[]")


def test_public_names_load():
    import synth

    for name in synth.__all__:
        assert getattr(synth, name) is not None
    with pytest.raises(AttributeError):
        _ = synth.no_such_name


def test_the_command_is_installed():
    entry = metadata.entry_points(group="console_scripts", name="synth")
    assert [e.value for e in entry] == ["synth.cli:main"]


def test_dependencies_used_at_import_are_declared(root, project):
    """Every third-party top-level import belongs to a declared distribution."""
    declared = {
        "".join(c for c in line.split(">=")[0] if c.isalnum()).lower()
        for group in (
            project["project"]["dependencies"],
            *project["project"]["optional-dependencies"].values(),
        )
        for line in group
    }
    distributions = metadata.packages_distributions()
    for folder in ("synth", *MAPPED):
        for file in (root / folder).rglob("*.py"):
            if file.name == "build.py":  # offline scripts say themselves what they need
                continue
            for node in ast.parse(file.read_text("utf-8")).body:
                if not isinstance(node, ast.Import | ast.ImportFrom):
                    continue
                module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
                top = (module or "").split(".")[0]
                if top in sys.stdlib_module_names or top == "synth" or find_spec(top) is None:
                    continue
                names = {"".join(c for c in d if c.isalnum()).lower() for d in distributions[top]}
                assert names & declared, f"{file}: {top} is not a declared dependency"
