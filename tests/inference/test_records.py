from s3fd.faces import Faces
from s3fd.inference.records import Record


def test_the_name_of_a_copy_comes_before_the_size_or_the_error() -> None:
    found = Record("a", Faces.empty(), 4, 3, out="b").to_dict()
    assert list(found.items()) == [("path", "a"), ("out", "b"), ("width", 4), ("height", 3), ("faces", [])]
    failed = Record("a", error="x", out="b").to_dict()
    assert list(failed.items()) == [("path", "a"), ("out", "b"), ("error", "x")]


def test_nothing_is_found_in_what_cannot_be_read() -> None:
    assert Record("a", error="x").found == Record("a", Faces.empty(), 4, 3).found == 0
