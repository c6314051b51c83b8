"""How strongly pictures are changed in training: named effects, each with a strength, and presets.

Grey-level changes (gamma, contrast, light) are what lets a reader of visible-light pictures
work in near infrared, see ``docs/fer_training.md``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from synth.errors import UsageError

__all__ = ["PRESETS", "Augment", "parse_augment"]


@dataclass(frozen=True)
class Augment:
    """How strongly pictures are changed; 0 switches an effect off.

    Attributes
    ----------
    flip, erase, stripes : float
        Share of the pictures that are mirrored, have a grey rectangle, or black stripes at
        both sides (as faces cut out by a narrow box have).
    rotation : float
        Up to so many degrees either way.
    zoom, shift : float
        Factor on the size up to ``1 +- zoom``; shift along either axis up to so much of
        the side.
    brightness, contrast : float
        Factors up to ``1 +- strength`` on the values, and on their distance from the
        picture's mean.
    gamma : float
        Exponents from ``2 ** -gamma`` to ``2 ** gamma``.
    light : float
        A gradient of illumination in any direction, up to ``1 +- light`` at the rim.
    blur : float
        Up to so much of a binomial blur of 5 x 5 pixels is mixed in, in half of the pictures.
    noise : float
        Standard deviation up to so much of the range, in half of the pictures.
    jitter : float
        Standard deviation of what is added to landmarks, as share of the side.
    identity : float
        Landmarks move as between people, by so many standard deviations of the people of
        the set; see `synth.training.fer_identity`.
    """

    flip: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    light: float = 0.0
    blur: float = 0.0
    erase: float = 0.0
    stripes: float = 0.0
    noise: float = 0.0
    jitter: float = 0.0
    identity: float = 0.0

    def __post_init__(self) -> None:
        limits = {"rotation": 180.0, "gamma": 4.0, "identity": 4.0}
        for field in dataclasses.fields(self):
            value, limit = getattr(self, field.name), limits.get(field.name, 1.0)
            if not 0 <= value <= limit:
                raise UsageError(
                    f"augment: expected {field.name} from 0 to {limit:g}, got {value:g}"
                )


#: ``light`` is what the papers do: flips, 10 degrees, brightness 0.9 to 1.1, zoom.
PRESETS: dict[str, Augment] = {
    "none": Augment(),
    "light": Augment(flip=0.5, rotation=10, zoom=0.1, brightness=0.1, jitter=0.005),
    "default": Augment(
        flip=0.5, rotation=10, zoom=0.1, shift=0.04, brightness=0.1, contrast=0.3, gamma=1.0,
        light=0.4, blur=0.8, erase=0.25, stripes=0.1, noise=0.04, jitter=0.01,
        identity=1.0,
    ),
}  # fmt: skip


def parse_augment(text: str) -> Augment:
    """``"default"``, or a preset and strengths of one's own: ``"default,erase=0,noise=0.1"``.

    Raises
    ------
    UsageError
        For an unknown preset or effect, or a strength out of range.
    """
    name, *changes = (part.strip() for part in text.split(","))
    if name not in PRESETS:
        raise UsageError(
            f"augment: expected one of {', '.join(PRESETS)}, and changes behind it such as "
            f"default,erase=0, got {text!r}"
        )
    known = [field.name for field in dataclasses.fields(Augment)]
    values: dict[str, float] = {}
    for change in changes:
        effect, _, number = change.partition("=")
        try:
            values[effect.strip()] = float(number)
        except ValueError:
            raise UsageError(
                f"augment: expected EFFECT=NUMBER behind the preset, got {change!r}"
            ) from None
    if unknown := sorted(set(values) - set(known)):
        raise UsageError(f"augment: expected effects among {', '.join(known)}, got {unknown[0]!r}")
    return dataclasses.replace(PRESETS[name], **values)
