import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s3fd.data.sample import RawBox, digest, make_sample, picture_size


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize(
    ("orientation", "size"), [*((i, (60, 40)) for i in range(5)), *((i, (40, 60)) for i in range(5, 9))]
)
def test_a_size_is_that_of_the_upright_picture(
    tmp_path: Path, suffix: str, orientation: int, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (60, 40)).save(tmp_path / f"a.{suffix}", exif=exif)
    assert picture_size(tmp_path / f"a.{suffix}") == size


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((0, 0, 10, 10), ""),
        ((-5, -5, 5, 5), ""),  # its centre is the picture's corner
        ((95, 75, 105, 85), ""),
        ((-5.5, 0, 5, 5), "is outside its 100×80 picture"),
        ((0, -5.5, 5, 5), "is outside its 100×80 picture"),
        ((95.5, 0, 105, 5), "is outside its 100×80 picture"),
        ((0, 75.5, 5, 85), "is outside its 100×80 picture"),
        ((10, 10, 10, 20), "has no area"),
        ((10, 10, 20, 10), "has no area"),
        ((90.0000001, 10, 90.0000002, 20), "has no area"),  # in single precision
        ((20, 10, 10, 20), "is inverted"),
        ((10, 20, 20, 10), "is inverted"),
        ((0, 0, float("inf"), 10), "is not finite"),
        ((-1e39, 0, 1e39, 10), "is not finite"),
    ],
)
def test_a_box_is_taken_or_refused_for_a_reason(box: tuple[float, float, float, float], reason: str) -> None:
    file = Path("boxes.txt")
    raw = [RawBox((1, 2, 3, 4), 6, ignored=True), RawBox(box, 7)]
    sample, problems = make_sample(Path("a.jpg"), (100, 80), raw, file)
    told = "{:g} {:g} {:g} {:g}".format(*box)
    assert [str(p) for p in problems] == ([f"boxes.txt:7: box {told} of a.jpg {reason}"] if reason else [])
    kept = [] if reason else [np.clip(box, 0, [100, 80, 100, 80]).tolist()]
    assert sample.boxes.tolist() == [[1, 2, 3, 4], *kept]
    assert sample.ignored.tolist() == [True, *(False for _ in kept)]


def test_a_digest_tells_data_sets_apart_and_not_their_folders() -> None:
    sample, _ = make_sample(Path("here/a.jpg"), (100, 80), [RawBox((1, 2, 3, 4), 1)], Path("boxes.txt"))
    assert digest([sample]) == digest([replace(sample, path=Path("there/a.jpg"))])
    others = [
        replace(sample, path=Path("here/b.jpg")),
        replace(sample, boxes=sample.boxes + 1),
        replace(sample, ignored=~sample.ignored),
    ]
    assert len({digest([one]) for one in (sample, *others)} | {digest([]), digest([sample, sample])}) == 6


def test_what_can_be_read_has_a_size(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.new("1", (20_000, 10_000)).save(large)  # over Pillow's own limit
    assert picture_size(large) == (20_000, 10_000)
    with pytest.raises(OSError, match=r"missing\.png: No such file or directory"):
        picture_size(tmp_path / "missing.png")


def test_the_size_of_a_photograph_of_a_telephone() -> None:
    pytest.importorskip("pi_heif")
    code = "from s3fd.data.sample import picture_size; from pathlib import Path; import sys; "
    code += "print(picture_size(Path(sys.argv[1])))"  # in a process that has not read any
    run = [sys.executable, "-c", code, str(Path(__file__).parents[1] / "inference" / "telephone.heic")]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "(320, 256)\n"
