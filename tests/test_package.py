from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import s3fd


def test_the_version_is_that_of_the_project_file() -> None:
    declared = re.search(r'^version = "(.+)"', _project(Path(__file__).parents[1]), re.MULTILINE)
    assert declared is not None
    assert s3fd.__version__ == declared[1]


def test_the_source_distribution_has_what_its_tests_read() -> None:
    root = Path(__file__).parents[1]
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("no checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True)
    told = re.search(r"\[tool.hatch.build.targets.sdist\]\ninclude = \[(.*?)\n\]", _project(root), re.DOTALL)
    assert told is not None
    included = set(re.findall(r'"(.+?)"', told[1]))
    whole = {Path(file).parts[0] for file in listed.stdout.split("\0") if file}
    assert whole - included == {".github", ".gitignore", "pyproject.toml"}  # the last is always there


def _project(root: Path) -> str:
    return (root / "pyproject.toml").read_text(encoding="utf-8")


def printed(code: str) -> str:
    """What `code` prints in a process of its own, where nothing has been imported yet."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, s3fd; print({'numpy', 'cv2', 'onnxruntime', 'torch'} & set(sys.modules))"
    assert printed(code) == "set()"


def test_inference_does_not_import_pytorch() -> None:
    code = "import sys, s3fd; s3fd.load; print('torch' in sys.modules)"
    assert printed(code) == "False"


def test_detecting_in_pictures_does_not_import_the_modules_on_videos() -> None:
    code = "import sys, s3fd.inference.job; print([name for name in sys.modules if 's3fd.video' in name])"
    assert printed(code) == "['s3fd.video', 's3fd.video.frames']"


def test_opening_a_gallery_does_not_import_what_reads_pictures() -> None:
    code = "import sys, s3fd.identity.galleries; print({'cv2', 'PIL'} & set(sys.modules))"
    assert printed(code) == "set()"


def test_public_names_are_there_and_others_are_not() -> None:
    for name in s3fd.__all__:
        assert getattr(s3fd, name) is not None
        assert name in dir(s3fd)
    with pytest.raises(AttributeError):
        _ = s3fd.nonsense


USE = """
import cv2, s3fd
from PIL import Image
picture = cv2.imread("photo.jpg")
assert picture is not None
detector: s3fd.Detector = s3fd.load(threads=1)
detector(picture)
for faces in detector.many(["photo.jpg", Image.open("photo.jpg"), picture]):
    print(faces.reason if isinstance(faces, s3fd.PictureError) else faces.boxes)
faces = detector("photo.jpg")
faces[faces.sizes.argmax()].boxes
detector(3)  # type: ignore[arg-type]
s3fd.laod()  # type: ignore[attr-defined]
"""


@pytest.mark.slow
def test_a_type_checker_knows_the_public_names_and_takes_opencvs_pictures(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent"]
    if pytestconfig.cache is not None:  # the first time takes half a minute
        mypy.append(f"--cache-dir={pytestconfig.cache.mkdir('mypy')}")
    answer = subprocess.run([*mypy, "-c", USE], cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout


def test_no_engine_reports_to_its_makers(tmp_path: Path) -> None:
    # Where ONNX Runtime does, it also keeps a number for the device in the home folder.
    code = "import s3fd, numpy; s3fd.load()(numpy.zeros((64, 64, 3), 'uint8'))"
    home = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME")}
    told = {"CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS"}  # keep it silent too
    environment = {name: value for name, value in os.environ.items() if name not in told}
    subprocess.run([sys.executable, "-c", code], env=environment | home, check=True)
    assert list(tmp_path.rglob("*")) == []
