import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from s3fd.data.sample import picture_size


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize(
    ("orientation", "size"), [(1, (60, 40)), (3, (60, 40)), (6, (40, 60)), (8, (40, 60))]
)
def test_a_size_is_that_of_the_upright_picture(
    tmp_path: Path, suffix: str, orientation: int, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (60, 40)).save(tmp_path / f"a.{suffix}", exif=exif)
    assert picture_size(tmp_path / f"a.{suffix}") == size


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
