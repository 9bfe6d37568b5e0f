"""How far something that a film shows runs along the film's edge, and so goes on beyond it."""

from __future__ import annotations

import numpy as np

from suite.study import Mask


def share_at_edge(mask: Mask) -> float:
    """How much of one of the film's four sides a mask (H, W) covers, at most, in shares of that side."""
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return max(float(np.count_nonzero(edge)) / edge.size for edge in edges)
