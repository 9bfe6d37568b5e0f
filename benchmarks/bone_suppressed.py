"""Films that are bone-suppressed already: how many the bone stage recognises, and its false alarms.

    python benchmarks/bone_suppressed.py --jsrt JSRT --phantom COHORT --films FOLDER --most 80

Each film is read by the shipped lungs and bone stages; then its true soft-tissue image, where it has one, and
what the stage itself left of it, as if they were films. Of JSRT the test part counts, of a cohort everything,
of a folder what is drawn by chance, up to ``--most`` films each: give what the network did not learn from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np

from gan.pairs import pair_of
from gan.stage import BoneStage
from suite.datasets.registry import open_dataset
from suite.film import read_film
from suite.grid import Grid
from suite.records.agreement import Share
from suite.stages.contract import Artifact, Outputs
from suite.stages.plugins import load_stage
from suite.stages.weights import in_place_of_shipped
from suite.study import FloatImage, Projection, Radiograph

SAID = "bone-suppressed already"
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm")

Images = tuple[FloatImage, FloatImage | None]
"""A film (H, W) and its true soft-tissue image, where it is known."""


def main() -> None:
    """Print one row a set and kind of image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jsrt", type=Path)
    parser.add_argument("--phantom", type=Path)
    parser.add_argument("--films", type=Path, help="folder of ordinary frontal chest films")
    parser.add_argument("--most", type=int, default=80, help="films of each set (80)")
    parser.add_argument("--weights", type=Path, help="of the bone network, in place of the shipped ones")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    lungs = load_stage("lungs")(options.device)
    card = options.weights and options.weights.with_suffix(".json")
    with in_place_of_shipped("bone", card) if card else nullcontext():
        bone = BoneStage(options.device)
    print("| set | images | taken for bone-suppressed (95 % interval) | images |\n|---|---|---|---|")
    for name in ("jsrt", "phantom", "films"):
        folder = getattr(options, name)
        if folder is not None:
            _print_set(name, _images(name, folder, options.most), lungs, bone)


def _print_set(name: str, images: Iterator[Images], lungs: object, bone: BoneStage) -> None:
    found: dict[str, list[bool]] = {}
    for film, soft in images:
        outputs = _read(film, lungs, bone)
        found.setdefault("films", []).append(_is_doubted(outputs))
        if soft is not None:
            found.setdefault("true soft-tissue images", []).append(_is_doubted(_read(soft, lungs, bone)))
        left = outputs["bone_suppressed"].value
        found.setdefault("the stage's soft-tissue images", []).append(_is_doubted(_read(left, lungs, bone)))
    for kind, values in found.items():
        share = Share(sum(values), len(values))
        low, high = share.interval
        print(f"| {name} | {kind} | {share.value:.1%} ({low:.1%} - {high:.1%}) | {share.n} |", flush=True)


def _images(name: str, folder: Path, most: int) -> Iterator[Images]:
    if name == "films":
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        for row in np.random.default_rng(0).permutation(len(paths))[:most]:
            yield read_film(paths[row]).pixels, None
        return
    manifest = open_dataset(name, folder).with_target("bone")
    records = manifest.split(0)["test"] if name == "jsrt" else manifest.records
    for record in records[:most]:
        pair = pair_of(record)
        yield pair.film, pair.without_bone


def _read(pixels: FloatImage, lungs: object, bone: BoneStage) -> Outputs:
    film = Radiograph(pixels, Projection.PA, "film")
    study = {"frontal": Artifact(film, Grid.of(film.shape))}
    mask = lungs.run([study])[0]["lung_mask"]  # type: ignore[attr-defined]
    return bone.run([{**study, "lung_mask": mask}])[0]


def _is_doubted(outputs: Outputs) -> bool:
    return any(SAID in sentence for sentence in outputs["bone_subtracted"].warnings)


if __name__ == "__main__":
    main()
