"""A plan of morphs: its sources are people, not photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from synth.batch import Job, Plan
from synth.morphing.photos import Morpher
from synth.records import RunWriter
from synth.targets import source_stems

__all__ = ["PeoplePlan"]


@dataclass(frozen=True)
class PeoplePlan(Plan):
    """A plan whose sources are people, each with the targets that the photos allow."""

    maker: Morpher | None = None

    def jobs(self, writer: RunWriter | None = None) -> Iterator[Job]:
        """What is left to do, person by person; files are called by the subject."""
        assert self.maker is not None
        people = self.maker.people
        # The ending keeps a dot of the subject's own from being taken for one.
        stems = source_stems([f"{person.subject}.person" for person in people])
        by_key = {person.key.name: person for person in people}
        for job in super().jobs(writer):
            person = by_key[job.source.name]
            wanted = {cell.index for cell in self.maker.cells(person)}
            left = [(t, tag) for t, tag in zip(job.targets, job.tags, strict=True)
                    if t.index in wanted]  # fmt: skip
            if left:
                targets, tags = zip(*left, strict=True)
                stem = stems[f"{person.subject}.person"]
                yield replace(job, stem=stem, targets=targets, tags=tags)
