"""Figures that others printed for BSE-JSRT, to stand beside ours; the protocols differ, so nothing is won."""

from __future__ import annotations

from typing import Any

PUBLISHED: dict[str, Any] = {
    "source": "GL-LCM 2025: soft-tissue images of 25 films of BSE-JSRT (192 to learn from, 24 to validate "
    "on) at 1024 x 1024 pixels, peak 1; its own figures and those of its training of MCA-Net",
    "gl_lcm": {"psnr": 32.95, "bsr": 0.9006, "lpips": 0.052},
    "mca_net": {"psnr": 31.58, "bsr": 0.8689, "lpips": 0.057},
    "protocol": "Theirs is another split of the films, at another size and of their own preparation; PSNR "
    "and BSR here are inside the lungs and at the films' own resolution, so that no figure of the one can be "
    "set against the other. The bone suppression ratio is one-sided: bones left behind do not lower it, and "
    "the film itself, with nothing suppressed, scores highly (identity_bsr).",
}
"""``bsr`` as a share; the paper prints percent."""

NOTE = (
    "Published for BSE-JSRT by another protocol (25 films, 1024 pixels): GL-LCM PSNR 32.95, BSR 0.901, LPIPS "
    "0.052; MCA-Net 31.58, 0.869, 0.057. They cannot be set against these figures, and the film itself, with "
    "nothing suppressed, scores highly on the one-sided BSR (identity_bsr)."
)
