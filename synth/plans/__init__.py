"""Plans of sets: which picture of whom, before any pixel is made.

``subject_of`` says who is who, ``assign_splits`` who is in which split, ``make_plan``
what is made of each photo; ``write_plan`` and ``read_plan`` keep it as a table that
people may edit, ``describe`` and ``histogram_figure`` show it.
"""

from __future__ import annotations

from synth.plans.density import bin_areas, kl_to_uniform, va_histogram, water_fill
from synth.plans.figure import histogram_figure
from synth.plans.files import read_plan, write_plan
from synth.plans.kinds import FORMS, KINDS, existing_density, kind_of
from synth.plans.make import make_plan
from synth.plans.reference import Density, read_density
from synth.plans.show import Estimate, describe, estimate, plan_density, plan_points
from synth.plans.subjects import SPLITS, assign_splits, duplicate_sources, kfold, subject_of
from synth.plans.table import (
    COLUMNS,
    Plan,
    PlanRow,
    check_leaks,
    check_plan,
)
from synth.plans.wish import PlanOptions

__all__ = [
    "COLUMNS",
    "FORMS",
    "KINDS",
    "SPLITS",
    "Density",
    "Estimate",
    "Plan",
    "PlanOptions",
    "PlanRow",
    "assign_splits",
    "bin_areas",
    "check_leaks",
    "check_plan",
    "describe",
    "duplicate_sources",
    "estimate",
    "existing_density",
    "histogram_figure",
    "kfold",
    "kind_of",
    "kl_to_uniform",
    "make_plan",
    "plan_density",
    "plan_points",
    "read_density",
    "read_plan",
    "subject_of",
    "va_histogram",
    "water_fill",
    "write_plan",
]
