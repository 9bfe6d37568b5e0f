"""The ``diagnosis`` stage: 13 findings with calibrated probabilities, and where each comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from classifiers.calibration import Calibration, state_of
from classifiers.cam import heatmap_from
from classifiers.diagnosis.channels import NAMES, frontal_channels
from classifiers.diagnosis.head_calibration import UNCALIBRATED
from classifiers.diagnosis.network import DiagnosisOutput, DualBranchDenseNet
from classifiers.diagnosis.withdrawal import withdrawal
from classifiers.saliency import CLOSED_FORM, check_method, saliency_maps
from suite.findings import CODES
from suite.framing import Framed, frame
from suite.grid import Grid
from suite.stages.artifacts import FindingResult, Heatmap
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import rebuild, shipped_card
from suite.study import FloatImage


class DiagnosisStage:
    """Suggests findings from the film, its lungs and its bones, and from the lateral where that was learned.

    Heads that the training data could not teach are ``not_trained`` and carry no number. A head that was
    trained and not calibrated, because it learned from computed films only or had too few held-out cases,
    carries a score, its heatmaps and the reason, and no probability.
    """

    name = "diagnosis"
    needs = frozenset({"frontal", "lung_mask", "bone_subtracted"})
    uses = frozenset({"lateral"})
    makes = frozenset({"findings"})
    _warnings: tuple[str, ...] = ()

    def __init__(self, device: str = "cpu") -> None:
        card = shipped_card("classifiers", "diagnosis")
        self.device = device
        self.weights_sha256: str | None = card.sha256
        self._size = int(card.content["input"]["size"])
        self._planes: Sequence[str] = card.content.get("planes", NAMES)
        fitted_with = card.content.get("input_weights") or {}
        self._heads: Mapping[str, dict[str, Any]] = {
            code: {**head, "input_weights": fitted_with} for code, head in card.content["heads"].items()
        }
        self._method = CLOSED_FORM
        self._reads_lateral = bool(card.content["views"]["lateral"]["trained"])
        network = rebuild(DualBranchDenseNet, card)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def explain_by(self, method: str) -> None:
        """Make heatmaps by ``method``: ``cam``, or one of ``classifiers.saliency.METHODS``.

        Raises:
            InputError: it is not known, or its library is not installed.
        """
        self._method = check_method(method)

    def recalibrate(self, content: Mapping[str, Any]) -> None:
        """Use the calibrations of a recalibrated card's content; which heads are trained stays as it is."""
        stored = {code: content["heads"][code]["calibration"] for code in CODES}
        for calibration in filter(None, stored.values()):
            Calibration.from_json(calibration)
        account = content.get("recalibration") or {}
        fitted_with = {"input_weights": account.get("input_weights") or {}}
        kept = account.get("kept") or {}
        self._heads = {
            code: self._heads[code] | {"calibration": stored[code]} | ({} if code in kept else fitted_with)
            for code in CODES
        }

    def made_with(self, weights: Mapping[str, str | None]) -> bool:
        """Withdraw the calibrations that were fitted with other lungs or bones than ``weights`` make.

        After ``radsuite calibrate`` heads differ in that: those it refitted hold for the site's lungs and
        bones, those it kept for the card's.
        """
        withdrawn: dict[str, Mapping[str, str | None]] = {}
        for code, head in self._heads.items():
            stated = head.get("input_weights") or {}
            others = {name: sha256 for name, sha256 in stated.items() if weights.get(name) != sha256}
            if others and head["calibration"] is not None:
                withdrawn[code] = others
        for code, differing in withdrawn.items():
            reason = f"calibrated with other weights of {' and '.join(differing)}"
            changed = {**self._heads[code], "calibration": None, "no_probability": reason}
            self._heads = {**self._heads, code: changed}
        left = [code for code, head in self._heads.items() if head["calibration"] is not None]
        if withdrawn:
            self._warnings = (withdrawal(withdrawn, left, weights),)
        return bool(left) or not withdrawn

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [self._read(study) for study in studies]

    def _read(self, study: Inputs) -> Outputs:
        planes, framed = frontal_channels(
            study["frontal"].value.pixels,
            study["lung_mask"].value,
            study["bone_subtracted"].value,
            self._size,
            self._planes,
        )
        side = (
            frame(study["lateral"].value.pixels, self._size)
            if "lateral" in study and self._reads_lateral
            else None
        )
        films = self._tensors(planes, side)
        output = self._forward(*films)
        frames = {"frontal": framed} | ({"lateral": side} if side is not None else {})
        heatmaps = self._heatmaps(output, films, frames)
        effects = None if output.alone is None else (output.logits - output.alone)[0].tolist()
        results = tuple(
            replace(
                self._result(
                    code, float(output.logits[0, index]), {v: m[index] for v, m in heatmaps.items()}, frames
                ),
                lateral_effect=effects[index] if effects and self._heads[code]["trained"] else None,
            )
            for index, code in enumerate(CODES)
        )
        warnings = self._warnings
        if "lateral" in study and not self._reads_lateral:
            warnings = (
                *warnings,
                "The lateral film is shown but did not enter the findings: "
                "these weights have not learned laterals.",
            )
        history = framed.history()
        if side is not None:
            history = (*history, "the lateral film entered the findings")
        return {"findings": Artifact(results, None, history, warnings)}

    def _heatmaps(
        self,
        output: DiagnosisOutput,
        films: tuple[Tensor, Tensor | None],
        frames: Mapping[str, Framed],
    ) -> dict[str, FloatImage]:
        """Maps (13, h, w) by view; those of heads that were not trained are of no meaning."""
        maps = {"frontal": output.frontal_maps}
        if output.lateral_maps is not None:
            maps["lateral"] = output.lateral_maps
        closed = {view: heatmap_from(maps[view][0].float()).cpu().numpy() for view in frames}
        if self._method == CLOSED_FORM:
            return closed
        trained = [index for index, code in enumerate(CODES) if self._heads[code]["trained"]]
        cells = closed["frontal"].shape[-2:]
        asked = saliency_maps(self._network, self._method, trained, cells, *films)
        for view, by_head in asked.items():
            for index, values in by_head.items():
                closed[view][index] = values
        return closed

    def _tensors(self, planes: FloatImage, side: Framed | None) -> tuple[Tensor, Tensor | None]:
        device = torch.device(self.device)
        frontal = torch.from_numpy(planes)[None].to(device, memory_format=torch.channels_last)
        if side is None:
            return frontal, None
        lateral = torch.from_numpy(side.pixels)[None, None]
        return frontal, lateral.to(device, memory_format=torch.channels_last)

    def _forward(self, frontal: Tensor, lateral: Tensor | None) -> DiagnosisOutput:
        with torch.inference_mode():
            if lateral is None:
                return self._network(frontal)
            there = torch.ones(1, dtype=torch.bool, device=frontal.device)
            return self._network(frontal, lateral, there, compare_lateral=True)

    def _result(
        self,
        code: str,
        score: float,
        maps: Mapping[str, FloatImage],
        frames: Mapping[str, Framed],
    ) -> FindingResult:
        head = self._heads[code]
        if not head["trained"]:
            return FindingResult(code, "not_trained")
        heatmaps = {
            view: Heatmap(view, values, _map_grid(frames[view], values), self._method)
            for view, values in maps.items()
        }
        if head["calibration"] is None:
            reason = head.get("no_probability") or UNCALIBRATED
            return FindingResult(code, "uncertain", score, heatmaps=heatmaps, no_probability=reason)
        calibration = Calibration.from_json(head["calibration"])
        probability, interval = calibration.probability(score), calibration.interval(score)
        cut = calibration.operating_point
        return FindingResult(
            code, state_of(probability, interval, cut), score, probability, interval, cut, heatmaps
        )


def _map_grid(framed: Framed, values: FloatImage) -> Grid:
    return framed.grid.resize(*values.shape)
