"""What a label that its report left open ("cannot exclude ...", CheXpert's -1) teaches, finding by finding.

``ignore``      nothing; the policy where none is named.
``zeros``       absent.
``ones``        present.
``smoothed``    a soft label drawn anew from [0.55, 0.85] each time (Pham et al. 2021).
``multiclass``  a third class beside absent and present, dropped when the probability is asked for: that of
                "present" against "absent" alone (Irvin et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from suite.errors import RecipeError
from suite.findings import CODES

POLICIES = ("ignore", "zeros", "ones", "smoothed", "multiclass")
SMOOTHED = (0.55, 0.85)


@dataclass(frozen=True, slots=True)
class UncertainPolicy:
    """One policy for each of the 13 findings, in the order of ``suite.findings.CODES``."""

    policies: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """``POLICY`` for all findings, then ``CODE:POLICY`` for some: ``"ignore,edema:ones"``.

        Raises:
            RecipeError: a policy or a finding that does not exist.
        """
        chosen = dict.fromkeys(CODES, "ignore")
        for word in filter(None, (part.strip() for part in text.split(","))):
            code, separator, policy = word.rpartition(":")
            if policy not in POLICIES:
                raise RecipeError(
                    f"recipe key 'uncertain' names the policy {policy!r}; use one of {', '.join(POLICIES)}."
                )
            if separator and code not in CODES:
                raise RecipeError(
                    f"recipe key 'uncertain' names the finding {code!r}; use one of {', '.join(CODES)}."
                )
            chosen |= {code: policy} if separator else dict.fromkeys(CODES, policy)
        return cls(tuple(chosen[code] for code in CODES))

    @property
    def multiclass(self) -> bool:
        """Whether the network needs third logits."""
        return "multiclass" in self.policies

    def where(self, policy: str, like: Tensor) -> Tensor:
        """(13,) bool on the device of ``like``: the findings with this policy."""
        return torch.tensor([own == policy for own in self.policies], device=like.device)

    def targets(self, labels: Tensor, uncertain: Tensor) -> Tensor:
        """Labels (B, 13) with those that ``uncertain`` (B, 13) marks replaced by what the policies say."""
        if set(self.policies) <= {"ignore", "multiclass"}:
            return labels
        for policy, value in (("zeros", 0.0), ("ones", 1.0)):
            labels = labels.masked_fill(uncertain & self.where(policy, labels), value)
        low, high = SMOOTHED
        soft = low + (high - low) * torch.rand_like(labels)
        return torch.where(uncertain & self.where("smoothed", labels), soft, labels)
