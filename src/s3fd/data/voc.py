"""Pascal VOC: a folder of XML files, one per picture, with ``object/bndbox`` elements."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.parsers import expat

from s3fd.data.location import Location, find, read_bytes
from s3fd.data.sample import Dataset, Problem, RawBox, faceless, make_sample, picture_size


class _LineBuilder(ElementTree.TreeBuilder):
    """Builds elements that record the line that they start on."""

    parser: expat.XMLParserType

    def start(self, tag: str, attrs: dict[str, str]) -> ElementTree.Element:
        element = super().start(tag, attrs)
        element.set("line", str(self.parser.CurrentLineNumber))
        return element


def _parse(file: Location) -> ElementTree.Element:
    builder = _LineBuilder()
    parser = expat.ParserCreate()
    builder.parser = parser
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(read_bytes(file), True)
    except expat.ExpatError as error:
        raise ValueError(f"{file}:{error.lineno}: not well-formed XML") from error
    except (ValueError, LookupError) as error:  # an entity, or an encoding that expat does not know
        raise ValueError(f"{file}: {error}") from error
    return builder.close()


def _refuse_entity(*_: object) -> None:
    """Refuse entity declarations: entities can expand without bound, and annotations need none."""
    raise ValueError("XML entity declarations are not accepted")


def _same(name: str, label: str) -> bool:
    """Whether an object's name is `label`, whatever their case."""
    return name.strip().casefold() == label.strip().casefold()


def read(annotations: Location, images: Location, label: str = "face") -> Dataset:
    """Read every XML file below `annotations`; its ``filename`` is the path of the picture below `images`.

    Only objects called `label` count, in upper or lower case. Objects marked ``difficult`` are ignored in
    training. A data set without any objects called `label` is reported as a problem. VOC counts pixels from 1
    and includes the last one, so a box (1, 1, 10, 10) covers the first ten pixels.

    A file is left out and reported if another one names the same picture, or if its ``size`` is not that of
    the upright picture: its boxes may be those of another picture, of another resolution, or of the picture
    as stored, which an EXIF orientation turns.

    Raises:
        ValueError: an XML file is not well-formed, or an object has no box of four numbers.
        UnreachableError: a URL cannot be reached.
    """
    found = Dataset([])
    named_by: dict[str, Location] = {}
    for file in find(annotations, "*.xml"):
        root = _parse(file)
        name = root.findtext("filename", "").strip() or f"{file.stem}.jpg"
        first = named_by.setdefault(name, file)
        if first != file:
            found.problems.append(Problem(file, 1, f"{name} is already the picture of {first}"))
            continue
        path = images / name
        try:
            size = picture_size(path)
        except OSError as error:
            found.problems.append(Problem(file, 1, str(error)))
            continue
        declared = _declared_size(root) or size
        if declared != size:
            sizes = f"{size[0]}×{size[1]} upright, but annotated as {declared[0]}×{declared[1]}"
            found.problems.append(Problem(file, 1, f"{name} is {sizes}"))
            continue
        named = (item for item in root.iter("object") if _same(item.findtext("name", ""), label))
        sample, problems = make_sample(path, size, [_box(file, item) for item in named], file)
        found.samples.append(sample)
        found.problems.extend(problems)
    found.problems.extend(faceless(found.samples, annotations, f"object called {label}"))
    return found


def _declared_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Return the picture's (width, height) as annotated; None if it is missing, or 0 as some tools write."""
    try:
        width, height = (int(root.findtext(f"size/{key}", "")) for key in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _box(file: Location, item: ElementTree.Element) -> RawBox:
    line = int(item.get("line", "0"))
    box = item.find("bndbox")
    try:
        if box is None:
            raise ValueError
        x1, y1, x2, y2 = (float(box.findtext(key, "")) for key in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        raise ValueError(
            f"{file}:{line}: expected a bndbox with the numbers xmin, ymin, xmax and ymax"
        ) from None
    return RawBox((x1 - 1, y1 - 1, x2, y2), line, item.findtext("difficult", "0").strip() == "1")
