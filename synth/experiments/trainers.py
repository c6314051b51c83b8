"""What trains a reader on faces and asks it about others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from synth.recognition.faces import FaceSet
    from synth.recognition.reader import Readings

__all__ = ["FERTrainer", "Lesson", "Trainer"]


@dataclass(frozen=True, eq=False)
class Lesson:
    """One training.

    Attributes
    ----------
    name : str
        For progress.
    train, val : FaceSet
    reader, training : dict
        Of the network and of the training, see the trainer.
    seed : int
    output : Path
        Folder of the run; one that was interrupted goes on.
    start : Path, optional
        Folder of a run whose weights it begins with.
    watch : dict of str to FaceSet
        Faces on which scores are recorded on the way; nothing is chosen by them.
    device : str
    stop : callable
    told : (what, done, of) -> None
    """

    name: str
    train: FaceSet
    val: FaceSet
    reader: Mapping[str, Any]
    training: Mapping[str, Any]
    seed: int
    output: Path
    start: Path | None = None
    watch: dict[str, FaceSet] = field(default_factory=dict)
    device: str = "cpu"
    stop: Callable[[], bool] = lambda: False
    told: Callable[[str, int, int], None] = lambda what, done, of: None


class Trainer(Protocol):
    """Trains and reads."""

    def train(self, lesson: Lesson) -> bool:
        """Train in ``lesson.output``; whether it was finished."""

    def read(self, output: Path, faces: FaceSet, device: str) -> Readings:
        """What the reader trained there says about the faces."""


class FERTrainer:
    """The networks of `synth.models.fer`, trained by `synth.training.fer`."""

    def train(self, lesson: Lesson) -> bool:
        raise NotImplementedError

    def read(self, output: Path, faces: FaceSet, device: str) -> Readings:
        raise NotImplementedError
