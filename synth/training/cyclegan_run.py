"""A CycleGAN training from folders to weights: what ``synth train cyclegan`` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from synth.corpora import CorpusImage, read_corpus
from synth.errors import UsageError
from synth.settings import torch_device
from synth.training.cyclegan import CycleGANTraining
from synth.training.cyclegan_settings import CycleGANSettings
from synth.training.loop import TrainingRun, train

__all__ = ["hold_out", "read_corpora", "run_cyclegan"]


def read_corpora(data: Sequence[Path], corpus: Sequence[str]) -> list[CorpusImage]:
    """The pictures of several sets, named apart.

    Parameters
    ----------
    data : sequence of Path
        Folders.
    corpus : sequence of str
        Layout of each, or one for all.

    Raises
    ------
    UsageError
        If the numbers do not fit, or a set cannot be read.
    """
    if len(corpus) not in (1, len(data)):
        raise UsageError(
            f"corpus: expected one layout, or one for each of {len(data)} folders, got "
            f"{len(corpus)}"
        )
    layouts = list(corpus) if len(corpus) == len(data) else list(corpus) * len(data)
    found: list[CorpusImage] = []
    for number, (root, layout) in enumerate(zip(data, layouts, strict=True)):
        images = read_corpus(layout, root)
        if len(data) > 1:  # names and pairs may recur from set to set
            images = [
                dataclasses.replace(
                    i, name=f"{number}/{i.name}", pair=f"{number}/{i.pair}" if i.pair else ""
                )
                for i in images
            ]
        found += images
    return found


def hold_out(
    images: Sequence[CorpusImage], people: Sequence[str]
) -> tuple[list[CorpusImage], list[CorpusImage]]:
    """The pictures to train on, and those of the people named.

    Raises
    ------
    UsageError
        If nobody is called so.
    """
    known = {image.subject for image in images}
    if unknown := sorted(set(people) - known):
        raise UsageError(
            f"hold_out: expected people of the set ({', '.join(sorted(known)[:5])}, ...), got "
            f"{', '.join(unknown[:5])}"
        )
    out = [image for image in images if image.subject in set(people)]
    return [image for image in images if image.subject not in set(people)], out


def run_cyclegan(
    data: Sequence[Path],
    output: Path,
    settings: CycleGANSettings,
    *,
    corpus: Sequence[str] = ("folders",),
    held_out: Sequence[str] = (),
    device: str = "auto",
    save_every: int = 1000,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, Mapping[str, float]], None] | None = None,
) -> TrainingRun:
    """Train a CycleGAN in the run folder `output`, or go on with the run there.

    Parameters
    ----------
    data, corpus
        See `read_corpora`.
    output : Path
        Run folder, see `synth.training.loop`.
    settings : CycleGANSettings
    held_out : sequence of str
        People (subjects) that are not trained on; they are shown on the sample sheets.
    device : {"auto", "cpu", "cuda"}
    save_every : int
        Iterations between states and sample sheets.
    stop, progress
        See `synth.training.loop.train`.

    Raises
    ------
    UsageError, AssetError, SkipPhoto, SynthError
        See `read_corpora`, `hold_out`, `synth.training.pairs.PairSampler` and `train`.
    """
    images, shown = hold_out(read_corpora(data, corpus), held_out)
    training = CycleGANTraining(images, settings, torch_device(device), shown)
    return train(
        training, output, settings.iterations, training.description, save_every=save_every,
        sample_every=save_every, log_every=max(1, min(50, settings.iterations // 20)),
        stop=stop, progress=progress,
    )  # fmt: skip
