from typing import Any

import pytest
import torch

from s3fd.training import precision
from s3fd.training.precision import has_bf16, mixed

CPU = torch.device("cpu")


def product(device: torch.device, asked: str) -> torch.dtype:
    """The format in which a matrix product is computed."""
    a = torch.ones(2, 2, device=device)
    with mixed(device, asked):
        return (a @ a).dtype


@pytest.mark.parametrize(
    ("asked", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_a_precision_that_is_named_is_used(asked: str, dtype: torch.dtype) -> None:
    assert product(CPU, asked) == dtype


@pytest.mark.parametrize(("there", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bf16_where_there_are_instructions_for_it(
    there: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda device: there)
    assert product(CPU, "auto") == dtype


@pytest.mark.parametrize(
    ("told", "there"),
    [
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({"neon": True, "bf16": False}, False),
    ],
)
def test_what_processors_tell(told: dict[str, bool], there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert has_bf16(CPU) is there


def test_what_an_earlier_pytorch_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    for bf16, amx in ((False, False), (True, False), (False, True)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda bf16=bf16: bf16, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx, raising=False)
        assert has_bf16(CPU) is (bf16 or amx)


def test_gpus_that_imitate_bf16_compute_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    def supported(including_emulation: bool = True) -> Any:
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert not has_bf16(torch.device("cuda"))
    assert not has_bf16(torch.device("meta"))
