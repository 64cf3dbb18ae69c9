from s3fd.counted import counted


def test_one_thing_is_not_several() -> None:
    assert [counted(number, "face") for number in (0, 1, 2)] == ["0 faces", "1 face", "2 faces"]
    assert [counted(number, "person", "people") for number in (1, 2)] == ["1 person", "2 people"]
