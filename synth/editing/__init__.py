"""Editing faces in a 2-D space of expressions: a network's edit, carried back into the photo.

The route of Yildirim 2024, built on GANmut (d'Apolito et al., CVPR 2021): cut the face
out square, edit it at an angle theta (which emotion) and a radius rho (how strong),
give it the mean and the spread of the photo's own colours, and blend it in along a
linear ramp. The last two steps can be switched off, which gives the thesis's set F.

=========  ==================================================================
ganmut     the paper's network, at its own 128 px (`synth.editing.ganmut`)
distilled  a small network that learned from the 3DMM route and keeps the
           photo's resolution (`synth.editing.distilled`)
=========  ==================================================================

`get_editor` makes one; torch is loaded only then. `edit_face` edits one face of one
picture; `synth.editing.photos` does folders of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from synth import assets
from synth.color import transfer_lab
from synth.editing.paste import (
    BORDER,
    MARGIN,
    Box,
    alpha_ramp,
    cut_square,
    face_region,
    paste,
    square_crop,
)
from synth.errors import AssetError, ShapeError, TargetError, UsageError

if TYPE_CHECKING:
    from synth.models.polar import PolarSpace

__all__ = [
    "DEFAULT",
    "KINDS",
    "EditSettings",
    "Editor",
    "check_code",
    "edit_face",
    "editor_digests",
    "get_editor",
]

UInt8 = NDArray[np.uint8]

#: The weights that come with the package: name in the asset registry.
DEFAULT = "editor"
#: Kind of network in a weights file -> module and class.
KINDS = {
    "ganmut": ("ganmut", "GanmutEditor"),
    "editor": ("distilled", "DistilledEditor"),
}
#: Checkpoints of the authors' public code.
PUBLIC = (".ckpt", ".pth", ".pt")


class Editor(Protocol):
    """Changes the expression of a face."""

    @property
    def space(self) -> PolarSpace:
        """What the angles mean."""
        ...

    @property
    def size(self) -> int:
        """Side in pixels at which the network sees a face."""
        ...

    @property
    def method(self) -> str:
        """``ganmut`` or ``distilled``."""
        ...

    @property
    def digests(self) -> Mapping[str, str]:
        """SHA-256 by name of the weights."""
        ...

    def __call__(self, crop: UInt8, theta: float, rho: float) -> UInt8:
        """The face edited, at its own size.

        Parameters
        ----------
        crop : (S, S, 3) uint8
            `square_crop` of a photo, of any size.
        theta : float
            Degrees, 0 <= theta < 360.
        rho : float
            0 (neutral) to 1.

        Returns
        -------
        (S, S, 3) uint8
        """
        ...


@dataclass(frozen=True)
class EditSettings:
    """How an edit is carried back into the photo.

    Attributes
    ----------
    color_transfer : bool
        Give the edited face the mean and spread of the original one, in CIELAB.
    alpha : bool
        Blend along a ramp at the border; otherwise the square is pasted as it is.
    margin : float, optional
        Side of the square, see `synth.editing.paste.square_crop`. None for the editor's
        own (its attribute ``margin``), or `MARGIN`: networks see what they were trained on.
    border : float
        Width of the ramp as a share of the side, above 0 and at most 0.5.

    Raises
    ------
    UsageError
        If margin or border is out of range.
    """

    color_transfer: bool = True
    alpha: bool = True
    margin: float | None = None
    border: float = BORDER

    def __post_init__(self) -> None:
        if self.margin is not None and not self.margin >= 1:
            raise UsageError(f"margin: expected 1 or more, got {self.margin:g}")
        if not 0 < self.border <= 0.5:
            raise UsageError(f"border: expected above 0 and at most 0.5, got {self.border:g}")


def check_code(theta: float, rho: float) -> None:
    """Pass silently, or say why there is no such place in the space of edits.

    Raises
    ------
    TargetError
        If theta is not in [0, 360) degrees or rho not in [0, 1]; nothing is wrapped or
        clipped.
    """
    if not 0 <= theta < 360:  # nan too
        turned = f"; did you mean {theta % 360:g}?" if np.isfinite(theta) else ""
        raise TargetError(f"theta: expected degrees from 0 to below 360, got {theta:g}{turned}")
    if not 0 <= rho <= 1:
        raise TargetError(f"rho: expected 0 (neutral) to 1 (full strength), got {rho:g}")


def edit_face(
    editor: Editor,
    pixels: UInt8,
    points: NDArray[np.floating],
    theta: float,
    rho: float,
    settings: EditSettings = EditSettings(),
) -> tuple[UInt8, Box]:
    """One face of a picture edited and put back.

    Parameters
    ----------
    editor : Editor
    pixels : (H, W, 3) uint8
        sRGB.
    points : (68, 2) float
        The face's landmarks, pixels.
    theta : float
        Which emotion: degrees, 0 <= theta < 360.
    rho : float
        How strong, 0 to 1.
    settings : EditSettings

    Returns
    -------
    pixels : (H, W, 3) uint8
        Bit-identical to the input outside the box.
    box : (left, top, right, bottom)
        Of the square, half open; may reach beyond the picture.

    Raises
    ------
    TargetError
        If theta or rho is out of range.
    ShapeError
        If the picture or the points are none, or the editor returns something else.
    """
    check_code(theta, rho)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ShapeError(f"pixels: expected (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
    box = square_crop(points, settings.margin or float(getattr(editor, "margin", MARGIN)))
    crop = cut_square(pixels, box)
    edited = editor(crop, theta, rho)
    if edited.shape != crop.shape or edited.dtype != np.uint8:
        raise ShapeError(
            f"editor: expected {crop.shape} uint8 as it was given, got {edited.shape} "
            f"{edited.dtype}"
        )
    if settings.color_transfer:
        edited = match_colors(edited, crop, points, box)
    alpha = alpha_ramp(len(crop), settings.border) if settings.alpha else None
    return paste(pixels, edited, box, alpha), box


def match_colors(edited: UInt8, crop: UInt8, points: NDArray[np.floating], box: Box) -> UInt8:
    """The edited square with the mean and spread of the original face's colours.

    Both are measured over the same `face_region`; the whole square is changed alike.
    """
    region = face_region(points, box)
    mask = region if region.any() else None  # a face of a few pixels
    return transfer_lab(edited, crop, mask, mask, np.float32)


def get_editor(weights: Path | None = None, device: str = "cpu") -> Editor:
    """An editor with its weights loaded.

    Parameters
    ----------
    weights : Path, optional
        ``.safetensors`` of ``synth train``, or a checkpoint of the authors' public code;
        the weights that come with the package when not given. What is in the file decides
        which editor it is.
    device : {"cpu", "cuda"}

    Raises
    ------
    AssetError
        If the file is missing, damaged, or of another kind of network.
    """
    path = assets.path(DEFAULT) if weights is None else Path(weights)
    module, name = KINDS[_kind(path)]
    editor: Editor = getattr(import_module(f"synth.editing.{module}"), name)(path, device)
    return editor


def editor_digests(weights: Path | None = None) -> dict[str, str]:
    """SHA-256 by name of the weights that `get_editor` would load; verified if our own."""
    if weights is None:
        return assets.verified(DEFAULT)
    _kind(Path(weights))
    return {Path(weights).name: assets.digest(Path(weights))}


def _kind(path: Path) -> str:
    """What network a weights file says it holds, without loading torch."""
    if not path.is_file():
        raise AssetError(f"weights: expected a file, got {path}; check the path")
    if path.suffix.lower() in PUBLIC:
        return "ganmut"
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            kind = (file.metadata() or {}).get("kind", "")
    except (SafetensorError, OSError) as error:
        raise AssetError(
            f"weights: expected a whole .safetensors file, or a .ckpt or .pth of the authors' "
            f"code, got {path} ({error}); copy it again, or export it again from its run"
        ) from None
    if kind not in KINDS:
        raise AssetError(
            f"weights: expected an editor ({' or '.join(KINDS)}), got the kind {kind or 'none'!r} "
            f"in {path.name}; name a file that `synth train ganmut` wrote"
        )
    return str(kind)
