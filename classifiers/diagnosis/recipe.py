"""The diagnosis network's recipe: what a run may be told, and the paper's settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from classifiers.diagnosis.channels import BoneSource, Configuration
from classifiers.diagnosis.films import LungSource
from classifiers.diagnosis.pooling import Pooling
from suite.training.recipe import Recipe


class DiagnosisRecipe(Recipe):
    """Defaults are the recipe of the shipped weights; the paper's size is 512."""

    size: int = Field(256, ge=64, le=1024, multiple_of=32)
    epochs: int = Field(8, ge=1)
    passes: int = Field(1, ge=1, description="times each study is seen in an epoch")
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    validate_every: int = Field(2, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    learn_from: str = Field(
        "", description="data sets to learn from, comma between; empty: all that are given"
    )
    configuration: Configuration = Field("dual+lungs+bone", description="the paper's four networks")
    bone_source: BoneSource = Field("gan", description="what the bone channel shows; copy is a placebo")
    bone_weights: str = Field("", description="model card of the generator; empty: the shipped one")
    lung_source: LungSource = Field("stage", description="true: the set's own lung mask")
    without: Literal["", "x-ray", "lung-segmented", "bone-subtracted", "lateral"] = Field(
        "", description="an input to leave out of the configuration"
    )
    lateral_dropout: float = Field(
        0.3, ge=0, lt=1, description="share of laterals hidden from the shared blocks"
    )
    map_stride: int = Field(
        8,
        ge=8,
        le=16,
        multiple_of=8,
        description="pixels of the input for a cell of the maps; 16 is published",
    )
    pooling: Pooling = Field("lse", description="how a branch's map becomes its logit: soft maximum or mean")
    fuse_branches: bool = Field(True, description="the branches' logits count in the final one")
    branch_weight: float = Field(
        0.4, ge=0, description="weight of the branch heads' loss beside the main head's"
    )
    map_weight: float = Field(
        1.0, ge=0, description="weight of the maps' loss where the truth is known; 0: image labels alone"
    )
    map_balance: float = Field(
        0.75, ge=0, le=1, description="how far rare cells are weighted up; 1: to equality"
    )
    uncertain: str = Field("ignore", description="policy for uncertain labels: POLICY, CODE:POLICY, ...")
    class_weighting: Literal["none", "sqrt", "balanced"] = Field("none", description="of rare findings")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    noise: Literal["none", "gce"] = Field(
        "none", description="against wrong labels; gce: generalised cross-entropy in place of cross-entropy"
    )
    gce_q: float = Field(
        0.7, gt=0, le=1, description="of noise=gce; towards 0 cross-entropy, at 1 the absolute error"
    )
    validation_halves: bool = Field(
        False,
        description="choose the epoch on one half of the validation patients, calibrate on the other where "
        "its films suffice",
    )
    triage_weights: str = Field(
        "", description="model card of the triage network to start from; empty: from scratch"
    )
    imagenet_weights: str = Field("", description="timm's densenet121 as a safetensors file, to start from")
    start_from: str = Field("", description="model card of a diagnosis network to go on from")
    also_heatmaps: str = Field(
        "", description="method of pytorch-grad-cam whose maps are measured too, such as gradcam"
    )
    also_heatmaps_films: int = Field(24, ge=1, description="located films of each set it is measured on")
