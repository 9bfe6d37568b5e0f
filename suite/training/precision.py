"""Which arithmetic a network learns in: what this machine is quick at."""

from __future__ import annotations

from typing import Any, Literal

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


def fastest_precision() -> Precision:
    """``bf16-mixed`` where the processor or the GPU multiplies bfloat16 itself, else ``32-true``.

    A processor without such instructions emulates them: training is then four times slower than in single
    precision.
    """
    import torch

    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    quick = known.get("avx512_bf16") or known.get("amx_bf16") or known.get("sve_bf16")
    return "bf16-mixed" if quick else "32-true"
