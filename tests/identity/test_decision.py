from __future__ import annotations

import pytest

from s3fd.identity.decision import LONGEST_NAME, check_name, decide
from s3fd.identity.store import GalleryError, Match


@pytest.mark.parametrize(
    ("matches", "name"),
    [
        ([], "unknown"),
        ([Match("Ada", 0.3999)], "unknown"),
        ([Match("Ada", 0.4)], "Ada"),
        ([Match("Ada", 0.9), Match("Rosa", 0.8)], "Ada"),
    ],
)
def test_who_scores_less_than_the_threshold_is_unknown(matches: list[Match], name: str) -> None:
    answer = decide(matches, 0.4)
    assert (answer.name, answer.threshold, answer.known) == (name, 0.4, name != "unknown")
    assert answer.score == (matches[0].score if matches else None)


def test_numbers_are_written_to_four_decimals() -> None:
    told = decide([Match("Ada", 1 / 3)], 2 / 3).to_dict()
    assert told == {"name": "unknown", "score": 0.3333, "threshold": 0.6667}


def test_names_lose_the_space_around_them() -> None:
    assert check_name("  Zoë de la Cruz ") == "Zoë de la Cruz"
    assert check_name("n" * LONGEST_NAME)


def test_names_are_composed_however_they_are_spelt() -> None:
    assert check_name("Jose\u0301") == check_name("Jos\u00e9") == "Jos\u00e9"
    assert check_name("e\u0301" * LONGEST_NAME) == "\u00e9" * LONGEST_NAME


@pytest.mark.parametrize("name", ["\u0dc1\u0dca\u200d\u0dbb\u0dd3", "\u0646\u06cc\u200c\u0644\u0648"])
def test_letters_are_joined_and_separated_as_their_script_requires(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "n" * 201, "two\nlines", "\x00", "unknown", "Unknown ", ".", " .."),
        *("A\u200dda", "\u200cAda", "\u0646\u200c\u200c\u0644", "\u0644\u200d", "Ada\u200b"),
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(GalleryError):
        check_name(name)
