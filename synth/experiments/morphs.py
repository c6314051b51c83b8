"""Morphs between generated apexes: MorphSet of people who were photographed only neutral.

The generator draws each person's neutral face and six basic expressions at full strength,
as often as the set says, each time in another person style; every such group of photos is
morphed as ``synth morph`` does.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from synth.batch import Output, Written, generate_files
from synth.experiments.definition import SetSpec
from synth.experiments.making import Work, planned, renumbered
from synth.experiments.steps import Interrupted
from synth.image_files import ImageSource, write_atomic
from synth.morph_plan import PeoplePlan
from synth.morphing.people import read_people
from synth.morphing.photos import Morpher, targets_of
from synth.morphing.record import MorphOptions, MorphRecord
from synth.morphing.template import Template, make_template
from synth.records import RunWriter
from synth.runfile import Tables
from synth.versions import installed

if TYPE_CHECKING:
    from synth.plans import Plan as SetPlan

__all__ = ["DRAW", "morphed"]

#: Between a person and the number of the draw, in the names of morphed people.
DRAW = "~"
#: Of the apexes, pixels: enough for landmarks, and for the faces that are cut out of morphs.
APEX = 320
LABELS = "labels.csv"


def morphed(
    name: str, spec: SetSpec, count: int, photos: Sequence[ImageSource], size: int,
    output: Path, work: Work,
) -> dict[str, int]:  # fmt: skip
    """The morphs of the people on `photos`, in ``output/morphs``; how many there are.

    As many people as make `count` pictures are morphed, at least one.

    Raises
    ------
    Interrupted
        If the work was stopped; what is made stays.
    """
    template = make_template(spec.angles, spec.intensity_step)
    plan = _apex_plan(photos, spec.draws, count, template)
    settings = {"crop": "face", "size": APEX, "seed": spec.seed, **spec.settings}
    apexes = replace(spec, image_format="png", gates="off")
    planned(name, apexes, plan, photos, settings, output / "apexes", work, nuisance="none")
    _write_labels(output / "apexes")
    options = MorphOptions(crop="aligned", size=size)
    people = tuple(read_people(output / "apexes" / LABELS, output / "apexes"))
    maker = Morpher(people, template, options)
    return {"people": len(people), "pictures": _morph(name, maker, template, output, work)}


def _apex_plan(
    photos: Sequence[ImageSource], draws: int, count: int, template: Template
) -> SetPlan:
    """Rows of neutral and the basic expressions, `draws` times for as many people as needed."""
    from synth.affect import BASIC_EXPRESSIONS
    from synth.plans import Plan as SetPlan
    from synth.plans import subject_of
    from synth.plans.table import PlanRow

    whole = len(template.possible(dict.fromkeys(BASIC_EXPRESSIONS, 1.0), False))
    groups = max(1, round(count / whole))
    subjects = subject_of(photos, "each")
    dealt = [photo for _ in range(draws) for photo in photos][:groups]
    rows = [
        PlanRow(0, photo.name, subjects[photo.name], "train", *_full(name), expression=name)
        for photo in dealt
        for name in ("neutral", *BASIC_EXPRESSIONS)
    ]
    return SetPlan(renumbered(rows))


def _full(name: str) -> tuple[float, float]:
    from synth.affect import EXPRESSIONS

    full = EXPRESSIONS[name]
    return full.valence, full.arousal


def _write_labels(folder: Path) -> None:
    """``labels.csv`` of the pictures of a set; the k-th group of a person is another one."""
    from synth.dataset.manifest import read_manifests
    from synth.dataset.provenance import read_rows

    rows = [row for m in read_manifests(folder) for row in read_rows(folder, m.split, m.number)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file_name", "subject", "expression"))
    seen: dict[tuple[str, str], int] = {}
    for row in sorted(rows, key=lambda row: str(row["key"])):
        expression = row["expression"] or "neutral"
        place = (row["subject"], expression)
        seen[place] = seen.get(place, 0) + 1
        writer.writerow((row["file"], f"{row['subject']}{DRAW}{seen[place]}", expression))
    write_atomic(folder / LABELS, text.getvalue().encode())


def _morph(name: str, maker: Morpher, template: Template, output: Path, work: Work) -> int:
    targets, tags = targets_of(template.cells), tuple(cell.tag for cell in template.cells)
    keys = tuple(person.key for person in maker.people)
    plan = PeoplePlan(keys, targets, None, tags, maker)
    options = maker.options
    settings = {
        "crop": options.crop, "size": options.size,
        "angles": len(template.angles), "intensities": len(template.intensities),
    }  # fmt: skip
    tables: Tables = {"settings": settings, "versions": installed()}
    sources = {source.name: source.path for source in plan.chosen}
    root = output / "morphs"
    with RunWriter(root, tables, sources, False, MorphRecord.COLUMNS) as writer:
        maker.preload()
        total, made = sum(len(job.targets) for job in plan.jobs(writer)), 0
        for event in generate_files(
            maker, plan, Output(root, "jpeg", 95), writer, work.workers, work.stop
        ):
            if isinstance(event, Written):
                made += 1
                work.told(name, made, total)
        if work.stop():
            raise Interrupted
        return len(writer)
