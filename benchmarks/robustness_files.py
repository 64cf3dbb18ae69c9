"""Damage files of every kind that is read, and count what happens; see robustness.py."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from s3fd.inference import pictures
from s3fd.inference.pictures import PictureError
from s3fd.inference.resize import network_size

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "astronaut.jpg"
HEIC = ROOT / "tests" / "inference" / "telephone.heic"


@dataclass
class Tally:
    """Outcomes of everything that was tried.

    Attributes:
        tried: files, or runs.
        used: read as if nothing were wrong; a picture with a wrong pixel is still a picture.
        refused: rejected with an error that names what is wrong.
        crashed: ended the program, or raised an exception that no caller expects.
        lost: used although it was not what had been written, or a result that is gone.
        told: descriptions of the first few crashed or lost ones.
    """

    tried: int = 0
    used: int = 0
    refused: int = 0
    crashed: int = 0
    lost: int = 0
    told: list[str] = field(default_factory=list)

    def bad(self, kind: str, what: str) -> None:
        """Count a failure, ``crashed`` or ``lost``, and describe the first few."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.told) < 5:
            self.told.append(f"{kind}: {what}")


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file as disks, networks and attackers do.

    Flips bits, cuts off the end, removes, clears, inserts or repeats pieces, and overwrites lengths.
    """
    changed = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 2, 8]))):
        place = int(rng.integers(max(1, len(changed))))
        length = int(rng.integers(1, max(2, min(4096, len(changed)))))
        kind = rng.integers(7)
        if kind == 0 and changed:
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del changed[place:]
        elif kind == 2:
            del changed[place : place + length]
        elif kind == 3:
            changed[place : place + length] = bytes(length)
        elif kind == 4:
            changed[place:place] = rng.bytes(length)
        elif kind == 5:  # an absurd size or offset
            changed[place : place + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0"])
        else:
            changed[place:place] = changed[place : place + length]
    return bytes(changed)


def saved(name: str, kind: str, mode: str = "RGB", **options: object) -> tuple[str, bytes] | None:
    """Encode the example, small, in a format; None if this Pillow does not write it."""
    picture = Image.open(EXAMPLE).convert("RGB").resize((96, 72))
    rest: dict[str, object] = {}
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    elif mode == "animated":
        rest = {"save_all": True, "append_images": [picture.rotate(90), picture.rotate(180)]}
    else:
        picture = picture.convert(mode)
    file = io.BytesIO()
    try:
        picture.save(file, kind, **rest, **options)  # type: ignore[arg-type]
    except (KeyError, OSError, ValueError):
        return None
    return name, file.getvalue()


def seeds() -> list[tuple[str, bytes]]:
    """Make a small picture in every format and kind of pixel that is read and can be written here."""
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = [
        saved("JPEG", "JPEG"),
        saved("JPEG, progressive, on its side", "JPEG", progressive=True, exif=exif),
        saved("JPEG, CMYK", "JPEG", "CMYK"),
        saved("PNG", "PNG"),
        saved("PNG, 16-bit", "PNG", "I;16"),
        saved("PNG, palette", "PNG", "P"),
        saved("PNG, transparent", "PNG", "RGBA"),
        saved("GIF, animated", "GIF", "animated"),
        saved("WebP", "WEBP"),
        saved("WebP, animated", "WEBP", "animated"),
        saved("AVIF", "AVIF"),
        saved("TIFF", "TIFF"),
        saved("TIFF, LZW", "TIFF", compression="tiff_lzw"),
        saved("TIFF, JPEG", "TIFF", compression="jpeg"),
        saved("TIFF, CMYK, deflate", "TIFF", "CMYK", compression="tiff_deflate"),
        saved("JPEG 2000", "JPEG2000"),
        saved("BMP", "BMP"),
        saved("DIB", "DIB"),
        saved("ICO", "ICO"),
        saved("TGA", "TGA", compression="tga_rle"),
        saved("PPM", "PPM"),
        saved("PGM", "PPM", "L"),
        saved("PBM", "PPM", "1"),
    ]
    return [*(kind for kind in kinds if kind is not None), ("HEIC", HEIC.read_bytes())]


def damaged_pictures(runs: int, rng: np.random.Generator) -> Tally:
    """Read damaged pictures of every format, as `s3fd detect` does."""
    tally, kinds = Tally(), seeds()
    for number in range(runs):
        name, data = kinds[number % len(kinds)]
        changed = mutate(data, rng)
        _try(tally, name, lambda data=changed: pictures.load(data, _needed), (PictureError,))
    return tally


def _needed(width: int, height: int) -> tuple[int, int]:
    return network_size(width, height, "vga")


def _try(
    tally: Tally,
    name: str,
    use: Callable[[], object],
    refusals: tuple[type[Exception], ...],
    says: str | None = None,
) -> None:
    """Use something damaged; the message of a refusal has to contain `says`."""
    tally.tried += 1
    try:
        use()
    except refusals as error:
        if says is not None and says not in str(error):
            tally.bad("crashed", f"{name}: {type(error).__name__} does not say {says}: {error}")
        else:
            tally.refused += 1
    except Exception as error:
        tally.bad("crashed", f"{name}: {type(error).__name__}: {error}")
    else:
        tally.used += 1


WIDER = (
    b"0.png\n1\n10 10 30 30 0 0 0 0 0 0\nsub/0.png\n2\n1 2 3 4 1 1 1 1 1 1\n5.5 6 7 8\n0.png\n0\n0 0 0 0\n"
)
VOC = b"""<?xml version="1.0" encoding="utf-8"?>
<annotation><filename>0.png</filename><size><width>96</width></size>
<object><name>face</name><difficult>1</difficult>
<bndbox><xmin>5</xmin><ymin>5.5</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object></annotation>
"""
YOLO = b"0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.3 0.3\n\n0 1e-3 0.5 nan 2\n"
CSV = '\ufeffimage,x1,y1,x2,y2,mask\n0.png,1,2,30,40,yes\n0.png,5,5,9,9,no\n"0",1,1,2,2,?\n'.encode()
YAML = b"""network: {backbone: slim}
data:
  - {format: wider, images: ., annotations: gt.txt, repeat: 2}
size: 320
batch: 16
steps: 100
optimiser: {rate: 0.002, warmup: 10}
augmentation: {grids: [0.5, 0.5]}
"""


def damaged_annotations(runs: int, rng: np.random.Generator) -> Tally:
    """Read damaged files of WIDER FACE, VOC, YOLO and labels, whose pictures exist."""
    from s3fd.data import labels, voc, wider, yolo

    readers = {
        "gt.txt": (WIDER, lambda file, folder: wider.read(file, folder)),
        "voc/0.xml": (VOC, lambda file, folder: voc.read(file.parent, folder)),
        "yolo/0.txt": (YOLO, lambda file, folder: yolo.read(file.parent, folder)),
        "labels.csv": (CSV, lambda file, folder: labels.read(file, folder, ["mask"])),
    }
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for sub in ("voc", "yolo", "sub"):
            (folder / sub).mkdir()
        Image.new("RGB", (96, 72)).save(folder / "0.png")
        (folder / "sub" / "0.png").write_bytes(mutate((folder / "0.png").read_bytes(), rng))
        for number in range(runs):
            file, (data, read) = list(readers.items())[number % len(readers)]
            (folder / file).write_bytes(mutate(data, rng))
            _try(tally, file, partial(read, folder / file, folder), (ValueError, OSError), file)
    return tally


def damaged_shards(runs: int, rng: np.random.Generator) -> Tally:
    """Read damaged tar shards, and load their pictures from inside them."""
    from s3fd.data import shards, wider
    from s3fd.data.location import Location
    from s3fd.training.dataset import load

    def use(pattern: Location) -> None:
        for sample in shards.read(pattern).samples:
            load(sample)

    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(4):
            Image.new("RGB", (96, 72), (20 * number,) * 3).save(folder / f"{number}.png")
        (folder / "gt.txt").write_text("".join(f"{n}.png\n1\n9 9 30 30 0 0 0 0 0 0\n" for n in range(4)))
        samples = wider.read(folder / "gt.txt", folder).samples
        (whole,) = shards.write(samples, folder / "whole", len(samples))
        damaged, data = folder / "damaged.tar", whole.read_bytes()
        for _ in range(runs):
            damaged.write_bytes(mutate(data, rng))
            _try(tally, damaged.name, lambda: use(damaged), (ValueError, OSError), damaged.name)
    return tally


def damaged_configurations(runs: int, rng: np.random.Generator) -> Tally:
    """Load damaged YAML of training runs."""
    from s3fd.training.config import ConfigError, load_config

    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "run.yaml"
        for _ in range(runs):
            file.write_bytes(mutate(YAML, rng))
            _try(tally, file.name, lambda: load_config(file), (ConfigError,), "run.yaml")
        for data in (
            b"[" * 5000,
            b"steps: 2020-13-45",
            b"!!python/object/apply:os.system [id]",
            b"\xff\xfe\0",
        ):
            file.write_bytes(data)
            _try(tally, file.name, lambda: load_config(file), (ConfigError,), "run.yaml")
    return tally


def damaged_weights(runs: int, rng: np.random.Generator) -> Tally:
    """Load damaged weights, checkpoints and public state dicts; none may be used with changed values."""
    import torch

    from s3fd.network import build
    from s3fd.training import checkpoint
    from s3fd.weights.network_file import WeightsError, load_network, save_network
    from s3fd.weights.public import import_public

    tally, network = Tally(), build("slim").eval()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_network(network, "slim", folder / "whole.safetensors")
        checkpoint.save(folder / "whole.pt", {"step": 1, "network": network.state_dict()})
        torch.save({"conv1_1.weight": torch.zeros(64, 3, 3, 3)}, folder / "whole.pth")
        loaders: dict[str, Callable[[Path], dict[str, torch.Tensor]]] = {
            "safetensors": lambda path: load_network(path).state_dict(),
            "pt": lambda path: checkpoint.load(path)["network"],
            "pth": lambda path: import_public(path).state_dict(),
        }
        for number in range(runs):
            kind, load = list(loaders.items())[number % len(loaders)]
            damaged = folder / f"damaged.{kind}"
            whole = (folder / f"whole.{kind}").read_bytes()
            changed = mutate(whole, rng)
            damaged.write_bytes(changed)
            used: list[dict[str, torch.Tensor]] = []
            _try(
                tally,
                damaged.name,
                lambda load=load, path=damaged, used=used: used.append(load(path)),
                (WeightsError, checkpoint.CheckpointError),
                "damaged",
            )
            own = network.state_dict()
            if used and any(not torch.equal(own[key], value) for key, value in used[0].items()):
                tally.bad("lost", f"{damaged.name}: used with other weights than were written")
    return tally


def damaged_models(runs: int, rng: np.random.Generator) -> Tally:
    """Open damaged ONNX models.

    ONNX has no checksum, so a model with a changed weight is a different model, and is used.
    """
    from s3fd.inference.runtime import BUNDLED, EngineError, open_runtime

    tally = Tally()
    whole = (BUNDLED / "slim.onnx").read_bytes()
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "model.onnx"
        for _ in range(runs):
            file.write_bytes(mutate(whole, rng))
            _try(
                tally, file.name, lambda: open_runtime(str(file), 1), (ValueError, EngineError), "model.onnx"
            )
    return tally


GROUPS: dict[str, Callable[[int, np.random.Generator], Tally]] = {
    "pictures": damaged_pictures,
    "annotations": damaged_annotations,
    "shards": damaged_shards,
    "configurations": damaged_configurations,
    "weights": damaged_weights,
    "models": damaged_models,
}
"""Groups that read files in this process, by name."""


def names(groups: Iterable[str]) -> Iterator[str]:
    """Return those of `groups` that run in this process."""
    return (group for group in groups if group in GROUPS)
