"""A reading before it is finished: what the stages have made, and whether the gate lets it go on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from suite.stages.artifacts import Check
from suite.stages.contract import Artifact, StageRun
from suite.stages.override import check_override
from suite.study import Study


@dataclass(slots=True)
class Draft:
    """What a reading has come to so far.

    Attributes:
        override: whether a refusal of the gate is overridden: as a whole, or the checks that are named.
        declared: names of checks that exist, whether or not this film was asked for them.
    """

    study: Study
    override: bool | Collection[str] = False
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    runs: list[StageRun] = field(default_factory=list)
    unavailable: Sequence[str] = ()
    declared: Sequence[str] = ()

    @property
    def overridden(self) -> frozenset[str]:
        """Names of the checks that the film fails and that are overridden.

        Raises:
            InputError: a name is none of the gate's checks.
        """
        gate = self.artifacts.get("gate")
        checks: tuple[Check, ...] = () if gate is None else gate.value.checks
        failed = frozenset(check.name for check in checks if not check.passed)
        if isinstance(self.override, bool):
            return failed if self.override else frozenset()
        if gate is not None:
            check_override(self.override, tuple(dict.fromkeys([*self.declared, *(c.name for c in checks)])))
        return failed & frozenset(self.override)

    @property
    def may_be_read(self) -> bool:
        """Whether the gate accepts the film, or every check that it fails is overridden."""
        gate = self.artifacts.get("gate")
        return (
            gate is None or {check.name for check in gate.value.checks if not check.passed} <= self.overridden
        )
