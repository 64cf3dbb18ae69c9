from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3fd.inference import runtime
from s3fd.inference.quota import processor_quota


def quota(folder: Path, groups: str, **files: str) -> int | None:
    """The quota of a process with these lines of groups, where the files are mounted below `folder`."""
    (folder / "groups").write_text(groups)
    mounted = folder / "mounted"
    for name, content in files.items():
        file = mounted / name.replace("__", "/").replace("max", "cpu.max").replace("cfs", "cpu.cfs")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return processor_quota(folder / "groups", mounted)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("5000 100000\n", 1),
        ("max 100000\n", None),
        ("", None),
        ("200000 0", None),
    ],
)
def test_a_container_has_the_quota_of_its_own_group(
    tmp_path: Path, content: str, expected: int | None
) -> None:
    assert quota(tmp_path, "0::/\n", max=content) == expected


def test_the_least_quota_of_a_group_and_those_around_it_counts(tmp_path: Path) -> None:
    files = {"max": "600000 100000", "pods__max": "300000 100000", "pods__one__max": "max 100000"}
    assert quota(tmp_path, "0::/pods/one\n", **files) == 3
    assert quota(tmp_path, "0::/\n", **files) == 6
    assert quota(tmp_path, "0::/elsewhere\n", pods__max="100000 100000") == 6


@pytest.mark.parametrize(("time", "expected"), [("250000\n", 3), ("-1\n", None)])
def test_groups_of_the_first_version(tmp_path: Path, time: str, expected: int | None) -> None:
    groups = "5:cpuset:/\n4:cpu,cpuacct:/docker/0123\n0::/\n"  # a container does not see its path
    files = {"cpu__cfs_quota_us": time, "cpu__cfs_period_us": "100000\n"}
    assert quota(tmp_path, groups, **files) == expected


def test_without_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert processor_quota(tmp_path / "missing", tmp_path) is None
    assert quota(tmp_path, "0::/../outside\n5:cpu:/\n4:name=systemd:/a:b\n") is None


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")
def test_the_quota_and_the_affinity_limit_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    for limit, expected in ((None, 64), (2, 2), (100, 64)):
        monkeypatch.setattr(runtime, "processor_quota", lambda limit=limit: limit)
        assert runtime.processors() == expected
