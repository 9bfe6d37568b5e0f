"""What a training run of the bone GAN, or of one of its competitors, depends on."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from gan.generator import DEPTH, NormKind
from gan.losses import Adversarial
from gan.motion import LIMIT
from gan.networks import NetworkName, halvings, least_size, stride_of
from gan.pairs import AS_BSE, AS_TRUE
from gan.progression import Progression
from suite.errors import RecipeError
from suite.training.recipe import Recipe

DISCRIMINATED: tuple[NetworkName, ...] = ("mca", "pix2pix")
"""Networks that have a discriminator; the others learn by L1 alone."""


_SETS = r"(jsrt|phantom|dual-energy)(,(jsrt|phantom|dual-energy))*"
"""One or more of the sets with a bone layer, comma between them."""


class BoneRecipe(Recipe):
    """Defaults are the recipe of the first weights; ``docs/bone.md`` has the settings of those that ship.

    ``network=pix2pix`` brings its own discriminator; ``unet`` is its generator by L1 alone.
    """

    size: int = Field(512, ge=64, le=2048, description="side of the network input; a multiple of its stride")
    epochs: int = Field(60, ge=1)
    epoch_samples: int = Field(0, ge=0, description="films drawn in an epoch; 0: as many as there are")
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(1e-4, gt=0, description="of the generator beside the discriminator (TTUR)")
    discriminator_learning_rate: float = Field(4e-4, gt=0, description="TTUR: four times the generator's")
    pretraining_factor: float = Field(
        12.0, gt=0, description="on the generator's rate while it learns by L1 alone"
    )
    pretraining_share: float = Field(0.88, ge=0, le=1, description="share of the run with L1 alone")
    first_size: int = Field(256, ge=64, description="the smallest scale; it doubles up to size")
    coarse_share: float = Field(0.5, ge=0, le=1, description="share of the run below the full size")
    blend_share: float = Field(0.3, ge=0, le=1, description="share of a scale's time that blends it in")
    patch: int = Field(0, ge=0, description="side of the squares cut out at the full size; 0: whole films")
    ema_decay: float = Field(0.995, ge=0, lt=1)
    validate_every: int = Field(5, ge=1)
    validation_films: int = Field(24, ge=1, description="most films of a set to validate on")
    test_films: int = Field(0, ge=0, description="most films of a set to test on; 0: all")
    held_out: str = Field(
        "",
        pattern=rf"^({_SETS})?$",
        description="names of sets (jsrt, phantom, dual-energy), comma between them, to measure on whole: "
        "nothing was learned from them",
    )
    motion_limit: float = Field(
        LIMIT, ge=0, description="dual-energy studies that moved more are left out (gan/motion.py); 0: none"
    )
    break_films: int = Field(16, ge=0, description="fractured chests to measure breaks on; 0: none")
    lpips_weights: str = Field(
        "", description="torchvision's alexnet or vgg16 as a safetensors file, to measure LPIPS with"
    )
    unet_weights: str = Field("", description="trained U-Net to compare with on the test films")
    pix2pix_weights: str = Field("", description="trained pix2pix to compare with on the test films")
    learn_from: str = Field(
        "jsrt",
        pattern=rf"^(both|{_SETS})$",
        description="names of sets (jsrt, phantom, dual-energy), comma between them; both: jsrt,phantom",
    )
    phantom_share: float = Field(0.45, ge=0, le=1, description="share of pairs with a true layer, if mixed")
    fractured: bool = Field(True, description="learn from computed chests with fractures too")
    break_weight: float = Field(4.0, ge=0, description="how much more an error around a break counts")
    bse_breaks: float = Field(
        0.3,
        ge=0,
        le=1,
        description="share of computed chests with breaks that teach BSE-JSRT's convention breaks",
    )
    drawn_breaks: int = Field(0, ge=0, le=40, description="most breaks drawn into a training film")
    drawn_tissue: int = Field(0, ge=0, le=40, description="most opacities drawn beside breaks")
    change_weight: float = Field(2.0, ge=0, description="of the error of what drawn breaks and tissue change")
    outside_weight: float = Field(0.5, ge=0, description="weight outside the lungs where the layer is true")
    l1_weight: float = Field(100.0, ge=0)
    edge_weight: float = Field(1.0, ge=0)
    square_weight: float = Field(0.0, ge=0, description="of the root of each film's mean squared error")
    adversarial: Adversarial = "hinge"
    adversarial_weight: float = Field(0.3, ge=0, description="0 trains the generator by L1 alone")
    network: NetworkName = "mca"
    base: int = Field(
        32, ge=4, le=128, description="channels of the generator's first block; 64 is published"
    )
    depth: int = Field(DEPTH, ge=5, le=DEPTH, description="halvings of the generator")
    norm: NormKind = "group"
    discriminator_base: int = Field(32, ge=4, le=128)
    attention: bool = True
    spectral_norm: bool = True
    side_heads: bool = True
    gradients: bool = Field(True, description="Sobel planes for the discriminator")
    strength: float = Field(0.5, ge=0, lt=1, description="bones of training films vary by this share")
    tone: float = Field(0.7, ge=0, le=1, description="share of training films with another tone curve")
    start_from: str = Field("", description="weights of this recipe to go on from, beside their card")
    start_share: float = Field(
        0.0, ge=0, lt=1, description="share of the weights gone on from in those that are released"
    )

    @classmethod
    def checked(cls, values: object) -> Self:
        """A recipe from a mapping of names to values (strings are converted).

        Raises:
            RecipeError: as for ``from_settings``; also for a size its network cannot take, a share of weights
                that are not given, and JSRT both learned from and held out.
        """
        recipe = super().checked(values)
        for name, side in (("size", recipe.size), ("patch", recipe.patch)):
            if side % recipe.stride or 0 < side < recipe.least_size:
                raise RecipeError(
                    f"recipe key {name!r} has the value {side}: network {recipe.network} takes multiples of "
                    f"{recipe.stride}, {recipe.least_size} at least; correct it."
                )
        if recipe.start_share and not recipe.start_from:
            raise RecipeError("recipe key 'start_share' needs weights to go on from; give start_from.")
        if "jsrt" in recipe.sources and "jsrt" in recipe.held_out.split(","):
            raise RecipeError(
                "recipe key 'held_out' has the value 'jsrt': there is one such set, and it is learned from; "
                "leave it out, and its test part is measured on."
            )
        return recipe

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sets that are learned from."""
        return ("jsrt", "phantom") if self.learn_from == "both" else tuple(self.learn_from.split(","))

    @property
    def conventions(self) -> tuple[int, ...]:
        """What the network's conventions are, in their order: those of ``gan.pairs``."""
        as_bse = (AS_BSE,) if "jsrt" in self.sources else ()
        return (*as_bse, AS_TRUE) if set(self.sources) - {"jsrt"} else as_bse

    @property
    def halvings(self) -> int:
        """Of the generator; ``depth`` is MCA-Net's own."""
        return halvings(self.network, self.depth, self.patch or self.size)

    @property
    def stride(self) -> int:
        return stride_of(self.network, self.halvings)

    @property
    def least_size(self) -> int:
        return least_size(self.network, self.halvings)

    @property
    def progression(self) -> Progression:
        return Progression(
            self.size, max(self.first_size, self.least_size), self.coarse_share, self.blend_share, self.stride
        )

    @property
    def has_discriminator(self) -> bool:
        """Whether the run has an adversarial part at all."""
        return self.network in DISCRIMINATED and self.adversarial_weight > 0 and self.pretraining_share < 1.0
