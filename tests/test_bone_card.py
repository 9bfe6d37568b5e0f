"""The card of finished bone weights, made anew: the limits beyond which the stage warns, and the figures."""

from __future__ import annotations

import json
from pathlib import Path

from suite.training.command import evaluate
from tests import made_datasets
from tests.test_bone_rivals import TINY, weights


def test_a_card_is_made_anew_for_the_same_weights(tmp_path: Path) -> None:
    films = made_datasets.jsrt(tmp_path / "jsrt", 40)
    shipped = weights(tmp_path / "ours", films, TINY)
    old = json.loads(shipped.with_suffix(".json").read_text())
    assert (old["metrics"], old.get("residual")) == ({}, None)

    measured = evaluate("bone", shipped, {"jsrt": films}, [], tmp_path / "anew", renew=True)
    assert (tmp_path / "anew" / "bone.safetensors").read_bytes() == shipped.read_bytes()
    new = json.loads((tmp_path / "anew" / "bone.json").read_text())
    assert set(new["residual"]) == {"most_structure", "most_again"}
    assert new["metrics"]["psnr"]["value"] == round(measured.figures["psnr"].value, 5)
    assert {key: new[key] for key in ("sha256", "recipe", "limits")} == {
        key: old[key] for key in ("sha256", "recipe", "limits")
    }
