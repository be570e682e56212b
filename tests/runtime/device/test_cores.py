import os
from pathlib import Path

import pytest

from cxr_edge_runtime.device.cores import available_cores

V1 = "4:memory:/docker/1\n3:cpu,cpuacct:/docker/1\n0::/\n"


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def cores(root: Path, files: dict[str, str]) -> int:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return available_cores(root)


def test_without_control_groups_the_affinity_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert available_cores(tmp_path) == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert available_cores(tmp_path) == 1
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores(tmp_path) == 1


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("100001 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("max 100000", 8),
        ("garbage", 8),
        ("", 8),
        ("100000 0", 8),
    ],
)
def test_quota_of_version_2_limits_and_is_rounded_up(
    tmp_path: Path, limit: str, expected: int
) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{limit}\n"}
    assert cores(tmp_path, files) == expected


@pytest.mark.parametrize("holder", ["a.slice/b.scope/", "a.slice/", ""])
def test_quota_of_any_group_above_counts_in_version_2(tmp_path: Path, holder: str) -> None:
    files = {
        "proc/self/cgroup": "0::/a.slice/b.scope\n",
        "sys/fs/cgroup/a.slice/b.scope/cpu.max": "max 100000",
        "sys/fs/cgroup/a.slice/cpu.max": "400000 100000",
        f"sys/fs/cgroup/{holder}cpu.max": "300000 100000",
    }
    assert cores(tmp_path, files) == 3


@pytest.mark.parametrize(("quota", "expected"), [("250000", 3), ("-1", 8), ("10", 1)])
@pytest.mark.parametrize("folder", ["docker/1/", ""])  # of the host, and as a container sees it
def test_quota_of_version_1_limits(tmp_path: Path, folder: str, quota: str, expected: int) -> None:
    group = f"sys/fs/cgroup/cpu,cpuacct/{folder}"
    files = {
        "proc/self/cgroup": V1,
        f"{group}cpu.cfs_quota_us": quota,
        f"{group}cpu.cfs_period_us": "100000",
    }
    assert cores(tmp_path, files) == expected


def test_quota_of_memory_is_none_of_the_cpu(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory,cpuacct:/\n5:cpuset:/\n",
        "sys/fs/cgroup/memory,cpuacct/cpu.cfs_quota_us": "100000",
        "sys/fs/cgroup/memory,cpuacct/cpu.cfs_period_us": "100000",
    }
    assert cores(tmp_path, files) == 8


def test_group_outside_what_the_container_sees_is_passed_over(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/../../x\n", "sys/x/cpu.max": "100000 100000"}
    assert cores(tmp_path, files) == 8


def test_this_machine_has_at_least_one() -> None:
    assert 1 <= available_cores() <= 8
