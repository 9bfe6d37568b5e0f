"""What the figures of model cards are called on pages: a name, what it is of, and on which films."""

from __future__ import annotations

import re
from collections.abc import Mapping

from suite.findings import NAMES

SETS = {
    "nih": "ChestX-ray14",
    "chexpert": "CheXpert",
    "mimic-cxr": "MIMIC-CXR",
    "openi": "Open-i",
    "padchest": "PadChest",
    "siim": "SIIM-ACR",
    "jsrt": "JSRT",
    "scr": "SCR",
    "montgomery": "Montgomery",
    "shenzhen": "Shenzhen",
    "covid-lungs": "films from papers",
    "covid_lungs": "films from papers",
    "frontal-lateral": "pairs from papers",
    "dual-energy": "dual-energy films",
    "phantom": "computed films",
    "inserted-pneumothorax": "inserted pneumothoraces",
    "painted-masks": "painted films",
    "site": "a site's own films",
}
_WAYS = {
    "argmax": "at 0.5",
    "threshold": "best threshold",
    "tta": "best threshold, mirrored too",
    "triplet": "enough that is certain",
}
_PREFIXES = {
    **SETS,
    "identity": "the film itself",
    "hardware": "dual energy",
    "shown": "as shown",
    "tta_change": "change by test-time augmentation",
    **{f"one_case_{way}": f"cascade, {words}" for way, words in _WAYS.items()},
    "one_case": "cascade",
    "area": "by the area outlined",
    "fused": "with the area outlined",
    "fused_gain": "gain by the area outlined",
    "gradcam_closed": "closed-form maps of the films that Grad-CAM was asked for",
    "gradcam": "by Grad-CAM",
}
"""Beginnings of names, said last: the films, or what was measured in place of the network."""

_FIGURES = {
    "auc": "AUC",
    "mean_auc": "Mean AUC, all sets",
    "mean_auc_of_sets_with_laterals": "Mean AUC, sets with laterals",
    "mean_auc_without_laterals": "Mean AUC, the same without laterals",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "loss": "Loss",
    "ece": "ECE",
    "ece_before": "ECE before calibration",
    "brier": "Brier score",
    "brier_before": "Brier before calibration",
    "slope": "Calibration slope",
    "intercept": "Calibration intercept",
    "hit_rate": "Heatmap peaks inside",
    "miou": "Heatmap overlap (IoU)",
    "chance": "Peaks inside by chance",
    "other_patient_hit_rate": "Other patients' peaks inside",
    "other_patient_miou": "Other patients' overlap",
    "dice": "Dice",
    "jaccard": "Jaccard",
    "dice_positives": "Dice, films with gas",
    "dice_pooled": "Dice, pixels pooled",
    "iou_pooled": "IoU, pixels pooled",
    "dice_all_empty": "Dice of no outline at all",
    "right": "Dice, right lung",
    "left": "Dice, left lung",
    "whole": "Dice, whole lungs",
    "right_whole": "Dice, whole right lung",
    "left_whole": "Dice, whole left lung",
    "hd95_right_mm": "95 % Hausdorff distance in mm, right lung",
    "hd95_left_mm": "95 % Hausdorff distance in mm, left lung",
    "share_below_0.80_right": "Right lungs below a Dice of 0.80",
    "share_below_0.80_left": "Left lungs below a Dice of 0.80",
    "right_missed_medially": "Missed of right lungs, medial share",
    "found_hidden": "Hidden lung outlined",
    "ratio_error": "Heart to thorax ratio, absolute difference",
    "ratio_bias": "Heart to thorax ratio, mean difference",
    "ratio_limits_low": "Heart to thorax ratio, lower limit of agreement",
    "ratio_limits_high": "Heart to thorax ratio, upper limit of agreement",
    "psnr": "PSNR in dB, lungs",
    "psnr_gain": "PSNR gain over the film in dB, lungs",
    "ssim": "SSIM, lungs",
    "mae": "Mean absolute error, lungs",
    "whole_psnr": "PSNR in dB, whole film",
    "whole_ssim": "SSIM, whole film",
    "whole_mae": "Mean absolute error, whole film",
    "ms_ssim": "Multi-scale SSIM, whole film",
    "lpips": "LPIPS, whole film",
    "bsr": "Bone suppression ratio",
    "bsr_two_sided": "Bone suppression ratio, two-sided",
    "edge_residual": "Bone edges left",
    "suppressed_found": "Suppressed images recognised",
    "suppressed_false_alarm": "Films taken for suppressed images",
    "lesion_contrast": "Lesion contrast kept",
    "film_lesion_contrast": "Lesion contrast, the film itself",
    "lesion_contrast_behind_bone": "Lesion contrast kept, behind bone",
    "film_lesion_contrast_behind_bone": "Lesion contrast behind bone, the film itself",
    "heart_border_error": "Error along the heart's border",
    "break_step_mm": "Step of breaks in mm",
    "break_contrast": "Contrast of breaks kept",
    "break_clarity": "Clarity of breaks",
    "true_break_clarity": "Clarity of breaks, true layer",
    "film_break_clarity": "Clarity of breaks, the film itself",
    "break_over_film": "Clarity of breaks over the film's",
    "healed": "Chests with breaks healed",
}
_PARTS = {
    "lungs": "lungs",
    "heart": "heart",
    "clavicles": "clavicles",
    "right_lung": "right lung",
    "left_lung": "left lung",
    "right_clavicle": "right clavicle",
    "left_clavicle": "left clavicle",
    "open_beam": "open beam",
    "soft_tissue": "soft tissue",
    "bone": "bone",
    **{
        part: part
        for part in ("ankle", "chest", "elbow", "foot", "hand", "hip", "knee", "pelvis", "shoulder", "wrist")
    },
    "callus": "with callus",
    "undisplaced": "undisplaced",
    "small_step": "small steps",
    "large_step": "large steps",
}
_ACCEPTED = {
    "changed": "films changed as films may be",
    "plain": "films as they came, by their greys",
    "plain_windowed": "films clipped at both ends, by their greys",
}
_REFUSED = {
    "plain_clipped_white": "films clipped to white",
    "plain_clipped_black": "films clipped to black",
    "plain_narrow_window": "films in too narrow a window",
    "plain_under_ranged": "films in a sliver of the grey scale",
    "plain_few_greys": "films of few greys",
    "turned_90": "turned by 90°",
    "turned_180": "turned by 180°",
    "turned_270": "turned by 270°",
    "inverted": "negatives",
    "mirrored": "mirrored films",
    "part_of_chest": "parts of a chest",
    "lateral": "laterals",
    "lateral_phantom": "computed laterals",
    "photograph": "photographs",
    "no_radiograph": "drawn pictures",
    "contact_sheet": "sheets of several films",
    "drawn_limb": "drawn limbs",
    "drawn_hand": "drawn hands",
    "drawn_pelvis": "drawn pelves",
    "drawn_skull": "drawn skulls",
    "drawn_spine": "drawn spines",
    "drawn_abdomen": "drawn abdomens",
    "drawn_shoulder": "drawn shoulders",
    "drawn_breast": "drawn breasts",
    "drawn_jumble": "drawn bones of no body part",
}
_GROUPS = {
    "accept": "Refused wrongly",
    "all_empty": "Dice of no outline at all",
    "ratio_limits": "Heart to thorax ratio, limits",
}
"""Parts of figures' names that notes of cards speak of."""

_OF_PARTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "refused_accept": ("Refused wrongly", {**SETS, **_ACCEPTED}),
    "refused": ("Refused rightly", _REFUSED),
    "found": ("Visible lung outlined", NAMES),
    "whole": ("Whole lung outlined", NAMES),
    **{name: (words, {**NAMES, **_PARTS}) for name, words in _FIGURES.items() if name != "whole"},
}
"""Figures that come for several parts: their words, and those of the parts."""


def words(key: str) -> str:
    """A figure's name as people read it; one that this page does not know, in its own words."""
    known = known_words(key)
    if known is not None:
        return known
    films, _, figure = key.partition("_")
    known = known_words(figure)
    if known is not None and re.fullmatch(r"[a-z0-9-]+", films):
        return f"{known}, {films}"  # of a data set that another package brings
    plain = key.replace("_", " ")
    return plain[:1].upper() + plain[1:]


def known_words(key: str) -> str | None:
    """The words of a figure whose every part has some; ``None`` for any other."""
    if key in _FIGURES:
        return _FIGURES[key]
    for name, (said, parts) in _OF_PARTS.items():
        part = key.removeprefix(f"{name}_")
        if part != key and part in parts:
            return f"{said}, {parts[part]}"
    for prefix, said in _PREFIXES.items():
        rest = key.removeprefix(f"{prefix}_")
        inner = known_words(rest) if rest != key else None
        if inner is not None:
            return f"{inner}, {said}"
    return None


def words_of_group(name: str) -> str | None:
    """What the figures whose names hold the part ``name`` have in common; ``None`` where it has no words."""
    if name in _OF_PARTS:
        return _OF_PARTS[name][0]
    return _GROUPS.get(name, _PREFIXES.get(name))
