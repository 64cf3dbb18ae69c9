from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from s3fd.attributes.location import locate
from s3fd.data.labels import LabelledPicture
from s3fd.faces import Faces
from s3fd.inference.pictures import PictureError


class Seer:
    """Finds in a picture what its name says."""

    def many(self, paths: Iterable[Path]) -> Iterator[Faces | PictureError]:
        for path in paths:
            if path.stem == "broken":
                yield PictureError(str(path), "not a picture")
            elif path.stem == "empty":
                yield Faces.empty()
            else:
                boxes = np.array([[0, 0, 10, 10], [20, 20, 60, 60], [70, 70, 75, 75]], np.float32)
                yield Faces(boxes, np.array([0.9, 0.7, 0.6], np.float32))


def picture(name: str, boxes: np.ndarray | None = None) -> LabelledPicture:
    return LabelledPicture(Path(name), boxes, {"Gender": np.zeros(1, np.int64)}, {}, [2])


def test_the_label_of_a_whole_picture_goes_to_its_largest_face() -> None:
    known = picture("known.jpg", np.array([[1, 2, 3, 4]], np.float32))
    items = [picture("a.jpg"), picture("broken.jpg"), known, picture("empty.jpg"), picture("b.jpg")]
    (first, same, last), (broken, empty) = locate(items, Seer())
    for found, asked in ((first, items[0]), (last, items[4])):
        assert isinstance(found, LabelledPicture) and found.path == asked.path
        assert found.boxes.tolist() == [[20, 20, 60, 60]]
    assert same is known
    assert broken == "broken.jpg: not a picture"
    assert empty == "empty.jpg: no face was found in the picture"
