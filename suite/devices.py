"""Where networks run, and what to do when that place is full."""

from __future__ import annotations

import sys

from suite.errors import InputError


def is_out_of_gpu_memory(error: BaseException) -> bool:
    """Whether CUDA, cuDNN or torch's allocator found no memory."""
    torch = sys.modules.get("torch")  # a stage that met this error has imported it
    if torch is None:
        return False
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and ("out of memory" in str(error) or "ALLOC_FAILED" in str(error))


def release_gpu_memory() -> None:
    """Give back what torch's allocator holds unused."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def resolve_device(device: str) -> str:
    """``auto`` as ``cuda`` or ``cpu``.

    Raises:
        InputError: CUDA was asked for and is not there, or the name is unknown.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device {device!r} is unknown; use auto, cpu or cuda.")
    if device == "cpu":
        return device
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("device cuda is not available here; use --device cpu.")
    return "cuda" if available else "cpu"


def quick_arithmetic() -> None:
    """For training on a GPU: its kernels are tried out first, and 32-bit products may be of 19 bits."""
    import torch

    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True


def limit_threads(threads: int | None) -> None:
    """Let arithmetic in this process use so many threads; ``None`` leaves each library its own choice."""
    if threads is None:
        return
    import cv2
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    threadpool_limits(threads)
