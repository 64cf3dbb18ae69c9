"""YOLO text: a ``.txt`` per picture with a line per box: class, centre x, centre y, width, height in 0–1."""

from __future__ import annotations

from s3fd.data.location import Location, find, is_there
from s3fd.data.sample import Dataset, Problem, RawBox, faceless, make_sample, picture_size, read_text

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def read(annotations: Location, images: Location, label: int = 0) -> Dataset:
    """Read every picture below `images` and its text file below `annotations`.

    The two folders have the same layout: ``images/a/b.jpg`` goes with ``annotations/a/b.txt``. A picture
    without a text file, or with an empty one, has no faces. Only boxes of class `label` count; a data set
    without any is reported as a problem. What follows the box on a line, such as landmarks, is not
    read. The outlines of segmentation are not boxes: convert them first.

    Raises:
        ValueError: a line does not begin with five numbers. The message has the line number.
        UnreachableError: a URL cannot be reached.
    """
    found = Dataset([])
    for path in (p for p in find(images, "*") if p.suffix.lower() in SUFFIXES):
        file = annotations.joinpath(*path.parts[len(images.parts) :]).with_suffix(".txt")
        try:
            size = picture_size(path)
        except OSError as error:
            found.problems.append(Problem(file, 0, str(error)))
            continue
        raw = _boxes(file, size, label) if is_there(file) else []
        sample, problems = make_sample(path, size, raw, file)
        found.samples.append(sample)
        found.problems.extend(problems)
    found.problems.extend(faceless(found.samples, annotations, f"box of class {label}"))
    return found


def _boxes(file: Location, size: tuple[int, int], label: int) -> list[RawBox]:
    width, height = size
    boxes = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            kind, x, y, w, h = (float(v) for v in line.split()[:5])
        except ValueError:
            raise ValueError(f"{file}:{number}: expected class x y width height, found {line!r}") from None
        if kind == label:
            x1, y1, x2, y2 = x - w / 2, y - h / 2, x + w / 2, y + h / 2
            boxes.append(RawBox((x1 * width, y1 * height, x2 * width, y2 * height), number))
    return boxes
