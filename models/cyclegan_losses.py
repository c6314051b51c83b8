"""CycleGAN's losses.

References
----------
.. [1] Zhu, Park, Isola & Efros, "Unpaired image-to-image translation using
   cycle-consistent adversarial networks", ICCV 2017, Eq. 1-3 and section 5.2.
.. [2] Mao et al., "Least squares generative adversarial networks", ICCV 2017.
.. [3] Goodfellow et al., "Generative adversarial nets", NeurIPS 2014, Eq. 1; for the
   generator the non-saturating form of section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from synth.errors import UsageError
from synth.models.layers import luminance

__all__ = ["GAN_LOSSES", "discriminator_loss", "gan_loss", "identity_losses", "paired_loss"]

Tensor = Any
GAN_LOSSES = ("lsgan", "original")


def gan_loss(logits: Tensor, real: bool, kind: str = "lsgan") -> Tensor:
    """How far judgements are from "real" or "made", averaged over patches and batch.

    Parameters
    ----------
    logits : (N, 1, h, w)
        Of a discriminator, without a sigmoid.
    real : bool
        The judgement wanted. A generator wants its fakes judged real.
    kind : {"lsgan", "original"}
        Squared distance to 1 or 0 [2]_, or binary cross-entropy [3]_.

    Raises
    ------
    UsageError
        For an unknown kind.
    """
    if kind not in GAN_LOSSES:
        raise UsageError(f"gan: expected one of {', '.join(GAN_LOSSES)}, got {kind!r}")
    target = torch.full_like(logits, float(real))
    if kind == "lsgan":
        return functional.mse_loss(logits, target)
    return functional.binary_cross_entropy_with_logits(logits, target)


def discriminator_loss(real: Tensor, fake: Tensor, kind: str = "lsgan") -> Tensor:
    """Half of the losses on real and made pictures (logits), which slows the discriminator."""
    return 0.5 * (gan_loss(real, True, kind) + gan_loss(fake, False, kind))


def identity_losses(
    to_nir: Callable[[Tensor], Tensor], to_vis: Callable[[Tensor], Tensor], vis: Tensor, nir: Tensor
) -> tuple[Tensor, Tensor]:
    """What the generators change in pictures that are in their target spectrum already.

    In the paper, a generator shall leave pictures of its target domain as they are, L1
    (section 5.2 of [1]_). Here the domains have 3 and 1 channels, so a generator cannot
    be fed its target as it is:

    * ``to_nir`` gets the NIR picture repeated to 3 channels and shall give it back: the
      paper's loss, since a NIR picture *is* grey.
    * ``to_vis`` gets the luminance of the VIS picture and shall give the VIS picture
      back, colours included: not an identity any more but colouring, which ties colours
      to what is shown. Its luminance part is the paper's loss.

    Returns
    -------
    nir, vis : scalar tensors
        Mean absolute differences, in units of [-1, 1].
    """
    kept_nir = functional.l1_loss(to_nir(nir.expand(-1, 3, -1, -1)), nir)
    kept_vis = functional.l1_loss(to_vis(luminance(vis)), vis)
    return kept_nir, kept_vis


def paired_loss(made: Tensor, partner: Tensor, has_partner: Tensor) -> Tensor:
    """Mean absolute difference over the items that have a partner; 0 without any.

    Parameters
    ----------
    made, partner : (N, C, H, W)
    has_partner : (N,) bool
    """
    if not bool(has_partner.any()):
        return made.new_zeros(())
    return functional.l1_loss(made[has_partner], partner[has_partner])
