"""Is a picture good, and are two photos of one person: gates, scores, the leakage audit.

`measure` scores a drawn picture, `reasons` says which `Gates` it does not pass.
`synth.quality.audit` looks for one face under two names or in two splits.
"""

from synth.quality.audit import Pair, audit
from synth.quality.embedder import Embedder, embedder_digests, identity_distance
from synth.quality.gates import REASONS, Gates, Reject, reasons
from synth.quality.measures import measure

__all__ = [
    "REASONS",
    "Embedder",
    "Gates",
    "Pair",
    "Reject",
    "audit",
    "embedder_digests",
    "identity_distance",
    "measure",
    "reasons",
]
