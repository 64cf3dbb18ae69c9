"""The options that say which network runs and how, of every command that finds faces."""

from __future__ import annotations

from typing import Annotated

import typer

Weights = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="Bundled model or model file, as in `s3fd detect`.")
]

Size = Annotated[str, typer.Option(metavar="auto|vga|original|N", help="As in `s3fd detect`.")]

Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads for the network.", show_default="one per processor")
]

Engine = Annotated[
    str | None,
    typer.Option(
        metavar="onnx|openvino|torch",
        help="Inference engine: ONNX Runtime, OpenVINO (s3fd\\[openvino]) or PyTorch (s3fd\\[train]).",
        show_default="depends on the weights",
    ),
]

Device = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda",
        help="Device to run on. auto is CUDA if the engine has it, otherwise the CPU.",
    ),
]

Precision = Annotated[
    str,
    typer.Option(
        metavar="fp32|bf16",
        help="Numeric precision. bf16 is less exact, and needs a processor that supports it.",
    ),
]

Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Pictures to process at the same time, from file to result. They share the threads.",
        show_default="1 for a single picture, otherwise up to 4",
    ),
]
