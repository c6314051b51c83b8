"""Dense correspondence: scans of any triangulation brought onto one template."""

from synth.morphable.registration.record import (
    METHODS,
    REASONS,
    RegisterSettings,
    Registration,
)
from synth.morphable.registration.register import RegistrationError, register
from synth.morphable.registration.template import Template, prepare_template

__all__ = [
    "METHODS",
    "REASONS",
    "RegisterSettings",
    "Registration",
    "RegistrationError",
    "Template",
    "prepare_template",
    "register",
]
