"""The training loop: what it writes, exact resuming, what it refuses."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synth.errors import AssetError, SynthError, UsageError
from synth.images import load_image
from synth.models.weights import load_weights, save_weights
from synth.training.curves import draw_curves
from synth.training.loop import train


class Line:
    """Fits a straight line with noise from every generator there is."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(99)
        self.net = torch.nn.Linear(3, 1)
        self.optimiser = torch.optim.Adam(self.net.parameters(), 1e-2)
        self.rng = np.random.default_rng(seed)
        self.steps: list[int] = []

    def step(self, iteration: int) -> dict[str, float]:
        self.steps.append(iteration)
        x = torch.from_numpy(self.rng.normal(size=(8, 3)).astype(np.float32))
        noise = 0.1 * torch.randn(8, 1) + 0.1 * np.random.normal() + 0.1 * random.random()
        loss = ((self.net(x) - x.sum(1, keepdim=True) - noise) ** 2).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return {"fit": loss.item()} | ({"rare": 1.0} if iteration == 4 else {})

    def state(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["rng"]

    def samples(self) -> np.ndarray:
        return np.full((8, 8, 3), 128, np.uint8)

    def export(self, folder: Path) -> None:
        save_weights(folder / "line.safetensors", self.net.state_dict(), "line")


EVERY: dict[str, Any] = {"save_every": 3, "sample_every": 4, "log_every": 2}


def rows(root: Path) -> list[dict[str, str]]:
    with open(root / "losses.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_folder_holds_what_it_should(tmp_path):
    heard: list[int] = []
    run = train(Line(), tmp_path / "run", 9, {"seed": 1, "lr": 1e-2}, **EVERY,
                progress=lambda done, losses: heard.append(done))  # fmt: skip
    assert run.finished and run.iteration == 9 and heard == list(range(1, 10))
    names = {p.relative_to(run.root).as_posix() for p in run.root.rglob("*") if p.is_file()}
    assert names == {
        "run.toml", "state.pt", "losses.csv", "curves.png", "weights/line.safetensors",
        "samples/0000004.jpg", "samples/0000008.jpg", "samples/0000009.jpg",
    }  # fmt: skip
    assert [row["iteration"] for row in rows(run.root)] == ["2", "4", "6", "8", "9"]
    assert [row["rare"] for row in rows(run.root)] == ["", "", "1", "", ""]
    assert load_weights(run.root / "weights/line.safetensors", "line")[0]["weight"].shape == (1, 3)
    assert "synth generate" not in (run.root / "run.toml").read_text("utf-8")


@pytest.mark.parametrize("stop_at", [1, 5, 6])
def test_stopped_and_resumed_equals_uninterrupted(tmp_path, stop_at):
    whole = train(Line(), tmp_path / "whole", 9, {"seed": 1}, **EVERY)
    first = Line()
    part = train(first, tmp_path / "run", 9, {"seed": 1}, **EVERY,
                 stop=lambda: len(first.steps) == stop_at)  # fmt: skip
    assert not part.finished and part.iteration == stop_at
    torch.rand(7), np.random.rand(3), random.random()  # others use the generators meanwhile
    second = Line(seed=123)  # what it begins with does not matter
    run = train(second, tmp_path / "run", 9, {"seed": 1}, **EVERY)
    assert (run.resumed, second.steps) == (stop_at, list(range(stop_at, 9)))
    assert run.losses == whole.losses
    for file in ("losses.csv", "weights/line.safetensors", "curves.png"):
        assert (run.root / file).read_bytes() == (whole.root / file).read_bytes(), file


def test_killed_between_states_goes_on_from_the_last(tmp_path):
    class Killed(Line):
        def step(self, iteration: int) -> dict[str, float]:
            if iteration == 5:
                raise KeyboardInterrupt
            return super().step(iteration)

    whole = train(Line(), tmp_path / "whole", 9, {"seed": 1}, **EVERY)
    with pytest.raises(KeyboardInterrupt):
        train(Killed(), tmp_path / "run", 9, {"seed": 1}, **EVERY)
    again = Line()
    run = train(again, tmp_path / "run", 9, {"seed": 1}, **EVERY)
    assert run.resumed == 3 and again.steps[0] == 3
    assert rows(run.root) == rows(whole.root)
    assert train(Line(), run.root, 9, {"seed": 1}, **EVERY).resumed == 9  # nothing left to do


def test_other_settings_foreign_files_and_torn_states_are_refused(tmp_path):
    train(Line(), tmp_path / "run", 2, {"seed": 1}, **EVERY)
    with pytest.raises(UsageError, match=r"seed = 2 \(was 1\)"):
        train(Line(), tmp_path / "run", 2, {"seed": 2}, **EVERY)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="expected an empty folder or an earlier run"):
        train(Line(), tmp_path / "foreign", 2, {})
    with pytest.raises(UsageError, match="log_every: expected 1 or more"):
        train(Line(), tmp_path / "new", 2, {}, log_every=0)
    whole = (tmp_path / "run/state.pt").read_bytes()
    for content in (whole[:100], b"", whole[: len(whole) // 2]):
        (tmp_path / "run/state.pt").write_bytes(content)
        with pytest.raises(AssetError, match="expected the state of this run"):
            train(Line(), tmp_path / "run", 4, {"seed": 1}, **EVERY)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    class Diverging(Line):
        def step(self, iteration: int) -> dict[str, float]:
            return super().step(iteration) | ({"fit": float("nan")} if iteration == 4 else {})

    with pytest.raises(SynthError, match="got nan for fit at iteration 4; the state in"):
        train(Diverging(), tmp_path / "run", 9, {}, **EVERY)
    assert Line().net.weight.shape == (1, 3) and (tmp_path / "run/state.pt").exists()


def test_curves_lie_where_the_values_are():
    x = np.arange(1, 101.0)
    flat = draw_curves({"a": (x, np.where(x < 50, 1.0, 3.0))})
    assert flat.shape == (190, 320, 3)
    blue = (flat[..., 2].astype(int) - flat[..., 0]) > 60  # the line
    left, right = np.nonzero(blue[:, 70:150])[0].mean(), np.nonzero(blue[:, 220:290])[0].mean()
    assert right < left - 50  # larger values stand higher
    sheet = draw_curves({name: (x, x) for name in "abcd"})
    assert sheet.shape == (360, 920, 3)
    assert load_image(sheet).pixels.shape == sheet.shape
    assert draw_curves({}).ndim == 3
