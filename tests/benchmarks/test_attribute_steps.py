"""What each step towards the bundled weights brings, in equally many optimisation steps."""

import argparse
import math
from pathlib import Path

import numpy as np
import pytest
from scripts import load_script

from s3fd.data.labels import LabelledPicture
from s3fd.data.targets import Target

attribute_steps = load_script(Path(__file__).parents[2] / "benchmarks" / "attribute_steps.py")


@pytest.mark.parametrize("steps", [20, 400])
def test_every_row_has_the_steps_that_are_asked_for(tmp_path: Path, steps: int) -> None:
    item = LabelledPicture(tmp_path / "a.png", None, {"Gender": np.array([1])}, {}, [2])
    args = argparse.Namespace(steps=steps, data=tmp_path, weights=tmp_path)
    target = Target("Gender", ("F", "M"), ("female", "male"))
    for train in attribute_steps.rows(args, target, [item] * 37).values():
        (config,) = train.args
        taken = max(config.least_steps, math.ceil(37 * config.epochs / config.batch))
        assert taken == steps
