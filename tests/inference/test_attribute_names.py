import pytest

from s3fd.inference.attribute_names import split_names


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([], ()),
        (["a"], ("a",)),
        (["a, b"], ("a", "b")),
        (["a", "b,a"], ("a", "b")),
        ([""], ()),
        (["a,"], ("a", "")),
    ],
)
def test_names_are_parted_by_commas_or_given_one_by_one(given: list[str], names: tuple[str, ...]) -> None:
    assert split_names(given) == names
