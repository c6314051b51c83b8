"""Settings of the renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synth.errors import UsageError

__all__ = ["STAGES", "RenderSettings", "parse_stages"]

#: Parts of a drawn face that can be left out, to learn what they are worth.
STAGES = ("relight", "folds", "mouth", "eyes")

#: What is left of the folds under a lamp at the camera.
NIR_FOLDS = 0.6


def parse_stages(text: str) -> tuple[str, ...]:
    """The stages of ``"mouth,folds"``, each once; none of an empty text.

    Raises
    ------
    UsageError
        If one is none of `STAGES`.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    if unknown := [name for name in names if name not in STAGES]:
        raise UsageError(f"without: expected some of {', '.join(STAGES)}, got {unknown[0]!r}")
    return tuple(stage for stage in STAGES if stage in names)


@dataclass(frozen=True)
class RenderSettings:
    """How a face is drawn.

    Attributes
    ----------
    composite : {"warp", "poisson"}
        ``warp`` moves the photo's own pixels with the 3-D motion and lets the
        motion fade out around the face. ``poisson`` is the method of Kollias et
        al. (IJCV 2020): render the textured mesh, then Poisson-blend it.
    backend : {"numba", "pytorch3d", "torch"}
        Rasteriser; ``torch`` is the whole renderer on batches of targets, see
        `synth.render.torch`.
    relight, folds, mouth, eyes : bool
        Switches of the parts that make a face look alive, for ablations.
    fold_gain : float
        Strength of the fold maps; 1 is the strength measured on real smiles.
    nir : bool
        The photo is near infrared, lit by a lamp at the camera: the mouth is lit to its
        back, teeth are as bright as skin, folds throw no shadows.
    neutralise : bool
        The fitted expression of the photo is taken off every face that is drawn.
    reach : float
        How far the motion fades out around the face, in inter-ocular distances.
    """

    composite: Literal["warp", "poisson"] = "warp"
    backend: Literal["numba", "pytorch3d", "torch"] = "numba"
    relight: bool = True
    folds: bool = True
    mouth: bool = True
    eyes: bool = True
    fold_gain: float = 1.0
    nir: bool = False
    neutralise: bool = False
    reach: float = 0.75

    @property
    def fold_strength(self) -> float:
        """Factor on the fold maps."""
        return self.fold_gain * (NIR_FOLDS if self.nir else 1.0)

    def __post_init__(self) -> None:
        for name, allowed in (
            ("composite", ("warp", "poisson")),
            ("backend", ("numba", "pytorch3d", "torch")),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise UsageError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")
        if (self.backend, self.composite) == ("torch", "poisson"):
            raise UsageError(
                "composite: expected warp with the backend torch, got poisson; "
                "leave out --backend torch"
            )
