import pytest

from datakit.cores import usable_cores

V1 = "cpu,cpuacct"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000"}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        ("0::/a/b\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/not/here\n", {"cpu.max": "50000 100000"}, 1),
        ("4:cpu,cpuacct:/x\n0::/\n", {f"{V1}/x/cpu.cfs_quota_us": "400", f"{V1}/x/cpu.cfs_period_us": "100"}, 4),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("", {}, 8),
    ],
)  # fmt: skip
def test_cores_follow_affinity_and_quota(tmp_path, monkeypatch, own, files, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text + "\n")
    (tmp_path / "own").write_text(own)
    assert usable_cores(tmp_path / "groups", tmp_path / "own") == expected
