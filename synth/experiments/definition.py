"""What an experiment is: sets, conditions, tests; `synth.experiments.files` reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from synth.errors import UsageError
from synth.experiments.checks import KINDS, MAKES

__all__ = ["KINDS", "MAKES", "Condition", "Definition", "FaceTest", "Root", "SetSpec"]

#: Of fields that finished sets of earlier versions do not know.
LATER = {"later": True}


@dataclass(frozen=True)
class Root:
    """A folder that the user gives as ``--root NAME=DIR``.

    Attributes
    ----------
    what : str
        What must be there.
    licence : str
        How it is had.
    """

    what: str
    licence: str = ""


@dataclass(frozen=True)
class SetSpec:
    """A set of faces: made of photos (`make`) or read (`read`).

    Attributes
    ----------
    root, folder : str
        Name of the root, and the folder below it.
    make : str
        One of `MAKES`, or empty.
    read : str
        ``photos`` (`folders`), ``set`` (a set or labelled folder), a name of
        `synth.corpora.CORPORA`; or empty.
    people : str
        Which of the photos, or subjects, in sorted order: ``::4``, ``not ::4``, ``all``.
    folders : dict of str to str
        For ``photos``: the folder below the root of each expression.
    plan : dict of str to float
        Kinds of `synth.plans` with their shares.
    count : float
        Pictures, as a share of those that the experiment says.
    mean_face : bool
        No person styles.
    nuisance, gates, image_format : str
        As of ``synth augment``.
    settings : dict
        Of `synth.settings.Settings`; for edits see `synth.experiments.edits`.
    draws : int
        For morphs: apexes of each person and expression, each morphed by itself.
    angles : str
        For morphs, as of ``synth morph``.
    intensity_step : float
    split : str
        Of a set or corpus that is read; "" takes all.
    options : dict of str to str
        Of the corpus.
    crop : str
        As of `synth.face_sets.read_face_set`.
    seed : int
    translate : {"", "nir", "vis"}
        Spectrum that faces are brought to once they are cut out.
    """

    root: str
    folder: str = ""
    make: str = ""
    read: str = ""
    people: str = "all"
    folders: dict[str, str] = field(default_factory=dict)
    plan: dict[str, float] = field(default_factory=lambda: {"uniform-disc": 0.5, "basic": 0.5})
    count: float = 1.0
    mean_face: bool = False
    nuisance: str = "mild"
    gates: str = "fast"
    image_format: str = "jpeg"
    settings: dict[str, Any] = field(default_factory=dict)
    draws: int = 1
    angles: str = "10:205:15"
    intensity_step: float = 0.1
    split: str = ""
    options: dict[str, str] = field(default_factory=dict)
    crop: str = "auto"
    seed: int = 0
    translate: str = field(default="", metadata=LATER)

    def decides(self) -> dict[str, Any]:
        """Its fields by name; those that were added later only where they are used."""
        fields = {f.name: f for f in dataclasses.fields(self)}
        values = dataclasses.asdict(self)
        return {n: v for n, v in values.items() if not fields[n].metadata or v != fields[n].default}

    @property
    def made(self) -> bool:
        """Whether pictures are made for it."""
        return bool(self.make)


@dataclass(frozen=True)
class Condition:
    """What a reader is trained on.

    Attributes
    ----------
    what : str
        In the report.
    kind : str
        One of `KINDS`.
    train, val : tuple of str
        Names of sets; `val` chooses among the weights of a run.
    amounts : dict of str to float
        Share of a set's faces that is used, drawn person by person; 1 where not given.
    synthetic_share : float, optional
        So many of all faces are synthetic: of these, or else of the real ones, no more
        are used.
    start : str
        Condition whose weights training begins with.
    tests : tuple of str
        Those it is asked in; all when empty.
    test : str
        Of ``leave-one-out``: the test whose people are left out in turn.
    reader, training : dict
        Over those of the experiment.
    """

    what: str = ""
    kind: str = "train"
    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    amounts: dict[str, float] = field(default_factory=dict)
    synthetic_share: float | None = None
    start: str = ""
    tests: tuple[str, ...] = ()
    test: str = ""
    reader: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FaceTest:
    """Faces that no condition learns from, and what is measured on them.

    Attributes
    ----------
    sets : tuple of str
    measures : tuple of str
        Keys of `synth.experiments.measures.MEASURES`.
    what : str
    """

    sets: tuple[str, ...]
    measures: tuple[str, ...]
    what: str = ""


@dataclass(frozen=True)
class Definition:
    """An experiment.

    Attributes
    ----------
    name : str
        Of its file.
    title, question : str
    count : int
        Pictures of a set that is made.
    seeds : int
    reference : str
        Condition that the others are compared with.
    watch : str
        Condition whose scores on the tests are recorded while it trains.
    published : tuple of str
        Tables of published numbers beside ours.
    protocol : tuple of str
        What differs from the published protocols, in the report.
    size, channels : int
        Of the faces as they are read, pixels; 1 is grey.
    points : bool
        Find landmarks in all faces; done anyway where a reader looks at them.
    roots, sets, conditions, tests : dict
    reader, training : dict
        Of `FERConfig` and `FERSettings`.
    quick : dict
        ``count``, ``seeds`` and ``training`` of a trial.
    """

    name: str
    title: str
    roots: dict[str, Root]
    sets: dict[str, SetSpec]
    conditions: dict[str, Condition]
    tests: dict[str, FaceTest]
    question: str = ""
    count: int = 10_000
    seeds: int = 3
    reference: str = ""
    watch: str = ""
    published: tuple[str, ...] = ()
    protocol: tuple[str, ...] = ()
    size: int = 96
    channels: int = 1
    points: bool = False
    reader: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    quick: dict[str, Any] = field(default_factory=dict)

    @property
    def finds_points(self) -> bool:
        """Whether the landmarks of all faces are needed."""
        readers = ({**self.reader, **one.reader} for one in self.conditions.values())
        return self.points or any(
            reader.get("landmarks") or str(reader.get("arch", "")).startswith("poster")
            for reader in readers
        )

    def tests_of(self, condition: str) -> tuple[str, ...]:
        """The tests that a condition is asked in."""
        one = self.conditions[condition]
        return one.tests or ((one.test,) if one.test else tuple(self.tests))

    def needed(self, conditions: Iterable[str]) -> list[str]:
        """Sets that these conditions and their tests need, in the order of the file."""
        names: set[str] = set()
        for key in conditions:
            names |= {*self.conditions[key].train, *self.conditions[key].val}
            names |= {name for test in self.tests_of(key) for name in self.tests[test].sets}
        return [name for name in self.sets if name in names]

    def in_order(self, only: Iterable[str] = ()) -> list[str]:
        """Conditions to run, those first whose weights others start with.

        Parameters
        ----------
        only : iterable of str
            Names, or patterns such as ``raf-db-*``; all when empty.

        Raises
        ------
        UsageError
            If there is no such condition.
        """
        wanted: list[str] = []

        def add(name: str) -> None:
            if self.conditions[name].start:
                add(self.conditions[name].start)
            if name not in wanted:
                wanted.append(name)

        for pattern in tuple(only) or ("*",):
            found = [name for name in self.conditions if fnmatchcase(name, pattern)]
            if not found:
                raise UsageError(
                    f"only: expected conditions among {', '.join(self.conditions)}, got {pattern!r}"
                )
            for name in found:
                add(name)
        return wanted

    def quickly(self) -> Definition:
        """The trial of it: few pictures, one seed, a few steps."""
        training = {**self.training, **self.quick.get("training", {})}
        conditions = {
            name: dataclasses.replace(c, training={**c.training, **self.quick.get("training", {})})
            for name, c in self.conditions.items()
        }
        return dataclasses.replace(
            self,
            count=self.quick.get("count", 60),
            seeds=self.quick.get("seeds", 1),
            training=training,
            conditions=conditions,
        )
