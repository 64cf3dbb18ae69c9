"""The number format in which a network computes while it is trained."""

from __future__ import annotations

import torch

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The formats of mixed precision: convolutions and matrix products in 16 bits, sums and weights in 32."""

INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
"""PyTorch's names for the instructions of processors that multiply in bf16, the last one ARM's. Others only
imitate it: a training step of slim took 13 times as long in bf16 as in fp32 on one with AVX2
(benchmarks/training_step.py)."""


def mixed(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which a network runs on `device` with ``auto``, ``bf16``, ``fp16`` or ``fp32``.

    ``auto`` is ``bf16`` where the device computes in it (`has_bf16`), and ``fp32`` elsewhere.
    """
    if precision == "auto":
        precision = "bf16" if has_bf16(device) else "fp32"
    enabled = precision in DTYPES
    return torch.autocast(device.type, DTYPES[precision] if enabled else None, enabled=enabled)


def has_bf16(device: torch.device) -> bool:
    """Tell whether a CPU or GPU has instructions for bf16, as far as PyTorch says."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        told = torch.cpu.get_capabilities()
        return any(told.get(name, False) for name in INSTRUCTIONS)
    return bool(  # an earlier PyTorch
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
