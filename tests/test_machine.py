"""What a process may use: of the machine, of its container, of the cores it is bound to."""

import os

import pytest

import uvala.machine
from uvala.machine import LARGE_IMAGES, LOADED, processes, shares, usable_cores, usable_memory

MB = 2**20


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """groups(own, files): this process is in these control groups, whose files hold these texts."""

    def write(own: str, files: dict[str, str]) -> None:
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "groups" / name).write_text(text)

    monkeypatch.setattr(uvala.machine, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(uvala.machine, "_OWN", tmp_path / "own")
    return write


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight_cores")
class TestCores:
    def test_are_those_that_the_process_is_bound_to(self, groups):
        groups("", {})
        assert usable_cores() == 8

    @pytest.mark.parametrize(
        ("quota", "cores"),
        [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", 8)],
    )
    def test_of_a_container_are_its_share_of_time(self, groups, quota, cores):
        groups("0::/\n", {"cpu.max": f"{quota}\n"})
        assert usable_cores() == cores

    def test_no_more_than_a_group_above_has(self, groups):
        files = {"job/step/cpu.max": "max 100000\n", "job/cpu.max": "300000 100000\n"}
        groups("0::/job/step\n", files)
        assert usable_cores() == 3

    def test_of_a_large_container_are_not_more_than_there_are(self, groups):
        groups("0::/\n", {"cpu.max": "6400000 100000\n"})
        assert usable_cores() == 8

    @pytest.mark.parametrize(("quota", "cores"), [("250000", 3), ("-1", 8)])
    def test_of_a_container_of_the_first_version(self, groups, quota, cores):
        files = {"cpu/cpu.cfs_quota_us": f"{quota}\n", "cpu/cpu.cfs_period_us": "100000\n"}
        groups("4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n", files)
        assert usable_cores() == cores


def test_where_nobody_is_bound_all_cores_count(groups, monkeypatch):
    groups("", {})
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 5)
    assert usable_cores() == 5


class TestMemory:
    def test_of_a_machine_is_what_the_system_says(self, groups):
        groups("", {})
        memory = usable_memory()
        assert 2**26 < memory.free < memory.whole < 2**50
        if hasattr(os, "sysconf"):
            assert memory.whole == pytest.approx(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))

    def test_of_a_container_is_its_limit(self, groups):
        groups("0::/\n", {"memory.max": f"{64 * MB}\n", "memory.current": f"{40 * MB}\n"})
        assert (usable_memory().whole, usable_memory().free) == (64 * MB, 24 * MB)

    def test_what_files_take_that_were_read_is_free(self, groups):
        stat = f"anon {10 * MB}\ninactive_file {30 * MB}\n"
        files = {"memory.max": f"{64 * MB}\n", "memory.current": f"{40 * MB}\n", "memory.stat": stat}
        groups("0::/\n", files)
        assert usable_memory().free == 54 * MB

    def test_no_more_than_a_group_above_has(self, groups):
        files = {f"{folder}/memory.current": "0\n" for folder in ("job", "job/step")}
        limits = {"job/step/memory.max": "max\n", "job/memory.max": f"{64 * MB}\n"}
        groups("0::/job/step\n", files | limits)
        assert usable_memory().whole == 64 * MB

    def test_of_a_container_of_the_first_version(self, groups):
        files = {
            "memory/memory.limit_in_bytes": f"{64 * MB}\n",
            "memory/memory.usage_in_bytes": f"{40 * MB}\n",
            "memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {30 * MB}\n",
        }
        groups("3:memory:/docker/abc\n", files)
        assert (usable_memory().whole, usable_memory().free) == (64 * MB, 54 * MB)

    def test_is_never_below_nothing(self, groups):
        groups("0::/\n", {"memory.max": f"{64 * MB}\n", "memory.current": f"{65 * MB}\n"})
        assert usable_memory().free == 0


@pytest.mark.parametrize(("said", "count"), [("4", 4), ("0", 1), ("", 1), ("many", 1)])
def test_processes_of_one_training_are_those_that_torchrun_started(monkeypatch, said, count):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", said)
    assert processes() == count


class TestShares:
    """What is kept of a large image is part of a ceiling."""

    def test_are_those_of_the_usual_ceiling_where_nobody_says_one(self):
        assert shares(None) == shares(LARGE_IMAGES)

    @pytest.mark.parametrize("memory", [1, 12 * 10**8, LARGE_IMAGES, 10**11])
    def test_leave_most_of_it_to_the_network_and_to_what_is_loaded(self, memory):
        assert shares(memory).together < 0.3 * memory
        assert shares(memory).strips < 0.4 * memory

    def test_fit_from_1200_mb_on(self):
        assert LOADED + shares(12 * 10**8).together + 50_000_000 < 12 * 10**8
