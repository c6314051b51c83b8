"""Edits of photos by a conditional network, as ``synth edit`` makes them: SynFace's two sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth.batch import Output, Plan, Written, generate_files
from synth.editing import EditSettings
from synth.editing.photos import COLUMNS, PhotoEditor
from synth.editing.ranges import code_tags, make_edit_targets, parse_rho
from synth.errors import UsageError
from synth.experiments.definition import SetSpec
from synth.experiments.making import Work
from synth.experiments.steps import Interrupted
from synth.image_files import ImageSource
from synth.records import RunWriter
from synth.versions import installed

__all__ = ["edited"]

#: What `SetSpec.settings` may say: of `make_edit_targets`, then of `EditSettings`.
TARGETS, PASTE = ("expression", "rho"), ("color_transfer", "alpha", "margin", "border")


def edited(
    name: str, spec: SetSpec, count: int, photos: Sequence[ImageSource], output: Path, work: Work
) -> dict[str, int]:
    """Every photo in every expression, in the folder `output`; how many pictures there are.

    With strengths that are drawn as often as makes `count`; with fixed ones once.

    Raises
    ------
    Interrupted
        If the work was stopped; what is made stays.
    UsageError
        If a setting is unknown or wrong.
    """
    if unknown := sorted(set(spec.settings) - {*TARGETS, *PASTE}):
        raise UsageError(
            f"{name}: settings: expected {', '.join((*TARGETS, *PASTE))}, got {unknown[0]!r}"
        )
    expressions = list(spec.settings.get("expression", ()))
    rhos = [parse_rho(text) for text in spec.settings.get("rho", ())]
    drawn = all(low != high for low, high in rhos)
    each = len(photos) * max(1, len(expressions)) * max(1, len(rhos))
    samples = max(1, math.ceil(count / each)) if drawn else 1
    targets = make_edit_targets((), expressions, (), rhos, samples)
    paste = {key: spec.settings[key] for key in PASTE if key in spec.settings}
    maker = PhotoEditor(None, EditSettings(**paste), seed=spec.seed, device=work.device)
    plan = Plan(tuple(photos), targets, None, code_tags(targets))
    settings: dict[str, Any] = {
        "expression": expressions, "rho": list(spec.settings.get("rho", ())),
        "samples": samples, "seed": spec.seed, **paste,
    }  # fmt: skip
    tables = {"settings": settings, "assets": dict(maker.digests), "versions": installed()}
    sources = {photo.name: photo.path for photo in photos}
    with RunWriter(output, tables, sources, False, COLUMNS) as writer:
        maker.preload()
        total, made = sum(len(job.targets) for job in plan.jobs(writer)), 0
        fmt = Output(output, spec.image_format, 95)
        for event in generate_files(maker, plan, fmt, writer, work.workers, work.stop):
            if isinstance(event, Written):
                made += 1
                work.told(name, made, total)
        if work.stop():
            raise Interrupted
        return {"planned": len(photos) * len(targets), "pictures": len(writer)}
