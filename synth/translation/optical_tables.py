"""Numbers of the optical model: what skin, hair, eyes and teeth reflect at 850 nm, and why.

Absorption is what changes between visible light and 850 nm; scattering changes little and
is taken as constant. Melanin's absorption falls as ``wavelength ** -3.33`` [1]_, from red
(610 nm, about the mean of a camera's red channel) to 850 nm by a factor of three; that of
haemoglobin, which makes lips and cheeks red, falls at 850 nm to about a twentieth of its
green peak [2]_. Skin is then seen through the epidermis twice (Beer-Lambert), a thick layer
of hair or dyed cloth as a turbid medium (Kubelka-Munk).

What this gives, and what was measured: light skin .6 (measured .55 to .65 [3]_ [4]_ [5]_), dark
skin .4 (.35 to .5 [3]_ [4]_); black hair .1, brown .25, blond .5, whose melanin, unlike dyes, still
absorbs in the near infrared [6]_; irises of any colour about .2, since their melanin is all
but clear beyond 700 nm [7]_, while the sclera lets through six times more light at 804 nm
than at 442 nm [8]_ and so reflects less: the contrast of sclera and iris falls. The
ranges are those commonly quoted from the sources; within them values were chosen by eye.

References
----------
.. [1] Jacques, "Skin optics summary", Oregon Medical Laser Center News 1998.
.. [2] Prahl, "Optical absorption of hemoglobin", Oregon Medical Laser Center 1999.
.. [3] Wan, Anderson & Parrish, "Analytical modeling for the optical properties of the skin",
   Photochem. Photobiol. 1981; Anderson & Parrish, "The optics of human skin", J. Invest.
   Dermatol. 1981.
.. [4] Jacquez et al., "Spectral reflectance of human skin in the region 0.7-2.6 um", J. Appl.
   Physiol. 1955; Angelopoulou, "Understanding the color of human skin", SPIE 4299, 2001.
.. [5] Cooksey, Allen & Tsai, "Reference data set of human skin reflectance", J. Res. NIST 2017.
.. [6] Puccetti, "Near-infrared spectroscopy of hair", J. Cosmet. Sci. 51, 2000.
.. [7] Daugman, "Absorption spectrum of melanin", after Kollias 1995; Medina et al., "Hyperspectral
   optical imaging of human iris in vivo", J. Biomed. Opt. 2011.
.. [8] Vogel, Dlugos & Nuffer, "Optical properties of human sclera", Lasers Surg. Med. 1991.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from synth.errors import UsageError

__all__ = ["ABSORPTION", "AT_850", "DERMIS", "OpticalSettings"]

#: Mean wavelengths of a camera's red, green and blue channels, nm.
_CHANNELS = np.array([610.0, 540.0, 460.0])
_MELANIN = (_CHANNELS / 610.0) ** -3.33
#: Oxygenated haemoglobin relative to its green peak, averaged over each channel.
_HAEMOGLOBIN = np.array([0.08, 1.0, 0.55])
#: (3, 3): density of each channel (rows) for a unit of melanin, haemoglobin and shade; the
#: unit of melanin is one neper in red, of haemoglobin one in green.
ABSORPTION = np.column_stack([_MELANIN, _HAEMOGLOBIN, np.ones(3)])
#: Density of the same three at 850 nm.
AT_850 = np.array([(850.0 / 610.0) ** -3.33, 0.05, 1.0])
#: Reflectance of skin without melanin, in the red channel and at 850 nm.
DERMIS = (0.66, 0.66)


@dataclass(frozen=True)
class OpticalSettings:
    """Camera, lamp and tissue of the optical model.

    Attributes
    ----------
    lips, sclera, iris, pupil, teeth : float
        Reflectance at 850 nm: of the lips relative to the skin, of the others in itself.
    bright_pupil : float
        Light that the retina throws straight back, 0 (lamp beside the lens) to 1.
    glint : float
        The lamp's mirror image on the cornea, as reflectance at its centre; 0 for none.
    dye : float
        Absorption of cloth and walls at 850 nm relative to visible light.
    lambert : float
        Exponent of ``cos(theta)``: 1 is Lambert's law, less flattens the fall-off.
    distance : float
        From lamp and camera to the eyes, in inter-ocular distances (about 90 mm).
    background : float
        Distance of the background, as a multiple of `distance`.
    relief : float
        How much of the fine shade of the photo (pores, wrinkles) stays.
    scatter : float
        Standard deviation in inter-ocular distances of the blur under the skin.
    blur : float
        Standard deviation in pixels of lens and sensor.
    gain : float
        Signal, as a share of full scale, of a white surface that faces the lamp at `distance`.
    full_well, read_noise : float
        Electrons at full scale, and of the noise in the dark; 0 electrons for no noise.
    gamma : bool
        Whether the camera encodes its signal as sRGB does, as most do.
    """

    lips: float = 0.97
    sclera: float = 0.42
    iris: float = 0.2
    pupil: float = 0.03
    teeth: float = 0.55
    bright_pupil: float = 0.0
    glint: float = 0.8
    dye: float = 0.3
    lambert: float = 1.0
    distance: float = 7.0
    background: float = 2.5
    relief: float = 0.8
    scatter: float = 0.008
    blur: float = 0.6
    gain: float = 0.95
    full_well: float = 6000.0
    read_noise: float = 12.0
    gamma: bool = True

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = float(getattr(self, entry.name))
            if not np.isfinite(value) or value < 0:
                raise UsageError(f"{entry.name}: expected a number from 0 on, got {value:g}")
        for name in ("lips", "sclera", "iris", "pupil", "teeth", "bright_pupil", "glint", "dye"):
            if getattr(self, name) > 1:
                raise UsageError(f"{name}: expected 0 to 1, got {getattr(self, name):g}")
        if self.distance < 1 or self.background < 1:
            raise UsageError(
                "distance, background: expected 1 or more, got "
                f"{self.distance:g} and {self.background:g}"
            )
