from __future__ import annotations

import pytest

from s3fd.data.targets import Target, parse_target

GENDER = Target("Gender", ("F", "M"), ("female", "male"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Gender", "Gender"),
        (" Gender ", "Gender"),
        ("Gender:F=female,M=male", GENDER),
        ("Gender : F = female , M = male", GENDER),
        ("mask:bare,mask", Target("mask", ("bare", "mask"), ("bare", "mask"))),
        ("mask:bare=no mask,mask", Target("mask", ("bare", "mask"), ("no mask", "mask"))),
        ("ratio:1:2,1:3", Target("ratio", ("1:2", "1:3"), ("1:2", "1:3"))),
    ],
)
def test_parse_target(text: str, expected: str | Target) -> None:
    assert parse_target(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid target"),
        (":F,M", "invalid target"),
        ("Gender:", "invalid target"),
        ("Gender:F", "at least two classes"),
        ("Gender:F,F", "have a different value"),
        ("Gender:F=x,M=x", "have a different name"),
        ("Gender:F,,M", "write classes as"),
        ("Gender:F,M,", "write classes as"),
        ("Gender:F=,M=male", "write classes as"),
        ("Gender:=female,M=male", "write classes as"),
        ("Gender:F=a=b,M=male", "write classes as"),
    ],
)
def test_parse_target_refuses(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_target(text)


def test_a_target_has_as_many_names_as_values() -> None:
    with pytest.raises(ValueError, match="2 values but 1 names"):
        Target("Gender", ("F", "M"), ("female",))
