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

    Raises:
        ValueError: an XML file is not well-formed, or an object has no box of four numbers.
        UnreachableError: a URL cannot be reached.
    """
    found = Dataset([])
    for file in find(annotations, "*.xml"):
        root = _parse(file)
        name = root.findtext("filename", "").strip() or f"{file.stem}.jpg"
        path = images / name
        try:
            size = picture_size(path)
        except OSError as error:
            found.problems.append(Problem(file, 1, str(error)))
            continue
        named = (item for item in root.iter("object") if _same(item.findtext("name", ""), label))
        sample, problems = make_sample(path, size, [_box(file, item) for item in named], file)
        found.samples.append(sample)
        found.problems.extend(problems)
    found.problems.extend(faceless(found.samples, annotations, f"object called {label}"))
    return found


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
