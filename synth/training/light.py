"""The shipped translators trained anew, or on your own photos, with one command.

``python -m synth.training.light --vis DIR... --nir DIR --output RUN``

First towards the near infrared (`synth.training.light_cyclegan`), then, with what that
makes, towards the visible (`synth.training.light_back`). An interrupted run goes on when
the same command is given again.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import torch

from synth.errors import SynthError
from synth.training.light_back import BackSettings, BackTraining
from synth.training.light_cyclegan import LightSettings, LightTraining
from synth.training.light_data import find_faces, generated_faces, joined
from synth.training.loop import Trainable, TrainingRun, train

__all__ = ["train_light"]

log = logging.getLogger(__name__)
DEFAULT, BACK = LightSettings(), BackSettings()


def train_light(
    vis: Sequence[str],
    nir: Sequence[str],
    output: Path,
    settings: LightSettings = DEFAULT,
    without: Sequence[str] = (),
    note: str = "",
    back: BackSettings = BACK,
) -> tuple[TrainingRun, TrainingRun]:
    """Train, or go on with, both light translators: first towards the near infrared.

    Parameters
    ----------
    vis, nir : sequence of str
        Photos: folders, files or ``.txt`` lists. Expressions are rendered from the
        neutral ones among `vis`.
    output : Path
        Holds two run folders, ``nir`` and ``vis``, whose ``weights/`` hold
        ``light_nir.safetensors`` and ``light_vis.safetensors``.
    settings : LightSettings
    without : sequence of str
        People (first words of the file names) and stems of files left out.
    note : str
        Where the photos come from; goes into the weights.
    back : BackSettings
        Of the second, towards the visible.

    Raises
    ------
    UsageError
        If there are no faces, or the folder holds another run.
    """
    photos, images = find_faces(vis, colour=True, without=without)
    faces = joined(photos, generated_faces(images))
    infrared, _ = find_faces(nir, colour=False, without=without)
    log.info("%d visible faces, %d near-infrared ones", len(faces), len(infrared))
    people = {"people": sorted({*faces.people, *infrared.people})}
    first = LightTraining(faces, infrared, settings, note)
    run = _train(first, output / "nir", settings, people)
    second = BackTraining(faces, infrared, first.generator("to_nir"), back, note)
    return run, _train(second, output / "vis", back, people)


def _train(
    trainable: Trainable,
    root: Path,
    settings: LightSettings | BackSettings,
    people: dict[str, list[str]],
) -> TrainingRun:
    kept = {**asdict(settings), **people}
    return train(
        trainable, root, settings.iterations, kept, save_every=200, sample_every=200, progress=_say
    )


def _say(done: int, losses: Mapping[str, float]) -> None:
    if done % 50 == 0:
        log.info("%d  %s", done, "  ".join(f"{k} {v:.3f}" for k, v in losses.items()))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m synth.training.light", description=__doc__)
    parser.add_argument("--vis", nargs="+", required=True, help="colour photos")
    parser.add_argument("--nir", nargs="+", required=True, help="near-infrared photos")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--without", nargs="*", default=[], help="people or files left out")
    parser.add_argument("--note", default="", help="where the photos come from")
    parser.add_argument("--threads", type=int, default=1)
    for field in fields(LightSettings):
        kind = type(field.default)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    given = vars(parser.parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    torch.set_num_threads(given["threads"])
    settings = LightSettings(**{f.name: given[f.name] for f in fields(LightSettings)})
    try:
        train_light(
            given["vis"], given["nir"], given["output"], settings, given["without"], given["note"]
        )
    except SynthError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
