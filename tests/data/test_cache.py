"""P20: what is decoded once is not decoded again, whoever else is at work, whatever happens to the disk."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import uvala.data.cache
from uvala.data.cache import ImageCache, cache_folder, open_cache, users_cache
from uvala.errors import StorageError

KEYS = ("a", "b", "c")


def arrays_of(key: str) -> dict[str, np.ndarray]:
    """Arrays of several types and shapes that the key alone decides."""
    rng = np.random.default_rng(list(key.encode()))
    return {
        "image": rng.integers(0, 65536, (3, 31, 47)).astype(np.uint16),
        "classes": rng.integers(0, 3, (31, 47)).astype(np.uint8),
        "maps": np.empty((0, 31, 47), np.float32),
        "objects": rng.integers(0, 1000, 5),
    }


def assert_same(found, expected) -> None:
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.fixture
def cache(tmp_path) -> ImageCache:
    return ImageCache(tmp_path)


def entry(cache: ImageCache, key: str = "a") -> Path:
    (file,) = cache.folder.glob(f"{key}*")
    return file


class TestEntries:
    def test_what_is_put_is_what_is_got(self, cache):
        cache.put("a", arrays_of("a"))
        assert_same(ImageCache(cache.folder).get("a"), arrays_of("a"))

    def test_arrays_are_mapped_and_nobody_can_change_them(self, cache):
        image = cache.put("a", arrays_of("a"))["image"]
        assert not image.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            image[0, 0, 0] = 1

    def test_arrays_begin_where_vector_instructions_want_them(self, cache):
        found = cache.put("a", arrays_of("a"))
        assert all(array.ctypes.data % 64 == 0 for array in found.values() if array.size)

    def test_of_an_unknown_key_there_is_none(self, cache):
        assert cache.get("a") is None

    def test_views_of_larger_arrays_are_kept_as_they_look(self, cache):
        whole = np.arange(60).reshape(3, 4, 5)
        assert_same(cache.put("a", {"part": whole[::-1, 1:3, ::2]}), {"part": whole[::-1, 1:3, ::2]})

    def test_nothing_is_ever_pickled(self, cache):
        with pytest.raises(ValueError, match="allow_pickle"):
            cache.put("a", {"image": np.array([object()])})
        assert list(cache.folder.iterdir()) == []

    def test_only_their_owner_may_read_them(self, cache):
        cache.put("a", arrays_of("a"))
        assert entry(cache).stat().st_mode & 0o077 == 0


class TestDamage:
    """A damaged entry is none: it is removed, and can be written again."""

    def check(self, cache):
        fresh = ImageCache(cache.folder)
        assert fresh.get("a") is None
        assert list(fresh.folder.iterdir()) == []
        assert fresh.damaged == 1
        assert_same(fresh.put("a", arrays_of("a")), arrays_of("a"))

    @pytest.mark.parametrize("place", [0, 70, 2000, -300, -1])
    def test_by_one_bit(self, cache, place):
        cache.put("a", arrays_of("a"))
        content = bytearray(entry(cache).read_bytes())
        content[place] ^= 16
        entry(cache).write_bytes(content)
        self.check(cache)

    @pytest.mark.parametrize("length", [0, 5, 20, 1000, -1])
    def test_by_a_cut(self, cache, length):
        cache.put("a", arrays_of("a"))
        entry(cache).write_bytes(entry(cache).read_bytes()[:length])
        self.check(cache)

    def test_by_zeros_that_a_power_cut_left(self, cache):
        cache.put("a", arrays_of("a"))
        entry(cache).write_bytes(bytes(entry(cache).stat().st_size))
        self.check(cache)


class TestSize:
    """An entry here takes 11 KB."""

    def filled(self, folder, limit) -> ImageCache:
        """Three entries, of which `a` was used last, by another process."""
        writer = ImageCache(folder)
        for age, key in enumerate(KEYS):
            writer.put(key, arrays_of(key))
            os.utime(entry(writer, key), (1e9 - age, 1e9 - age))
        return ImageCache(folder, limit)

    def keys(self, cache) -> set[str]:
        return {path.name[0] for path in cache.folder.iterdir()}

    def test_the_entry_used_longest_ago_makes_room(self, tmp_path):
        cache = self.filled(tmp_path, limit=40_000)
        cache.put("d", arrays_of("d"))
        assert self.keys(cache) == {"a", "b", "d"}
        assert cache.size_in_bytes <= 40_000

    def test_to_get_is_to_use(self, tmp_path):
        cache = self.filled(tmp_path, limit=40_000)
        ImageCache(tmp_path).get("c")
        cache.put("d", arrays_of("d"))
        assert self.keys(cache) == {"a", "c", "d"}

    def test_what_this_training_uses_is_not_removed_for_the_rest_of_it(self, tmp_path):
        cache = self.filled(tmp_path, limit=40_000)
        for key in KEYS:
            cache.get(key)
        assert cache.put("d", arrays_of("d")) is None
        assert self.keys(cache) == set(KEYS)

    def test_nothing_is_removed_for_what_does_not_fit_anyway(self, tmp_path):
        cache = self.filled(tmp_path, limit=40_000)
        assert cache.put("d", {"image": np.zeros(60_000, np.uint8)}) is None
        assert self.keys(cache) == set(KEYS)

    def test_an_array_outlives_its_file(self, tmp_path):
        cache = self.filled(tmp_path, limit=15_000)
        image = ImageCache(tmp_path).get("c")["image"]
        cache.put("d", arrays_of("d"))
        assert self.keys(cache) == {"d"}
        np.testing.assert_array_equal(image, arrays_of("c")["image"])

    @pytest.mark.skipif(sys.platform == "win32", reason="there a mapped file cannot be removed")
    @pytest.mark.parametrize("clear", [False, True], ids=["to make room", "by the user"])
    def test_another_process_keeps_what_it_has_mapped(self, tmp_path, clear):
        """POSIX, unlink: without a name the contents stay for as long as anybody has them mapped."""
        cache = self.filled(tmp_path, limit=15_000)
        run = [sys.executable, "-c", HAVE_IT_MAPPED, str(tmp_path)]
        with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout.readline() == b"mapped\n"
            cache.clear() if clear else cache.put("d", arrays_of("d"))
            assert self.keys(cache) == (set() if clear else {"d"})
            image, _ = other.communicate(b"\n")
        assert image == arrays_of("c")["image"].tobytes()

    def test_what_cannot_be_removed_is_told(self, tmp_path, monkeypatch):
        cache = self.filled(tmp_path, limit=None)
        monkeypatch.setattr(ImageCache, "_remove", lambda self, path: None)
        with pytest.raises(StorageError, match=r"3 files in .* that cannot be removed"):
            cache.clear()

    def test_without_a_limit_it_is_half_of_what_would_be_free_without_the_cache(self, tmp_path, monkeypatch):
        cache = self.filled(tmp_path, limit=None)
        size = cache.size_in_bytes
        disk = type("Disk", (), {"free": size // 2})
        monkeypatch.setattr(uvala.data.cache.shutil, "disk_usage", lambda folder: disk)
        cache.put("d", arrays_of("d"))  # two of the three have to go: (33 + 16) / 2 = 25
        assert self.keys(cache) == {"a", "d"}

    def test_what_a_killed_process_left_is_removed_after_a_day(self, tmp_path):
        (tmp_path / "old.part").touch()
        os.utime(tmp_path / "old.part", (1e9, 1e9))
        (tmp_path / "new.part").touch()
        ImageCache(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["new.part"]


HAVE_IT_MAPPED = """
import sys
from pathlib import Path
from uvala.data.cache import ImageCache
image = ImageCache(Path(sys.argv[1])).get("c")["image"]
print("mapped", flush=True)
sys.stdin.readline()
sys.stdout.buffer.write(image.tobytes())
"""

WRITE_BEYOND_THE_LIMIT = """
import resource, sys
from pathlib import Path
import numpy as np
from uvala.data.cache import ImageCache
cache = ImageCache(Path(sys.argv[1]))
cache.put("small", {"image": np.zeros(1000, np.uint8)})
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
print(cache.put("large", {"image": np.zeros(50_000, np.uint8)}), cache.get("small") is not None, cache.full)
"""

AT_WORK = """
import sys
from pathlib import Path
import numpy as np
from uvala.data.cache import ImageCache
for round in range(40):
    cache = ImageCache(Path(sys.argv[1]), limit=60_000)
    for number in np.random.default_rng([round, int(sys.argv[2])]).permutation(6).tolist():
        expected = np.full(20_000, number, np.uint8)
        found = cache.get(str(number)) or cache.put(str(number), {"image": expected})
        assert found is None or (found["image"] == expected).all()
        assert cache.damaged == 0 and not cache.full
"""


class TestDisk:
    def test_a_full_one_ends_the_writing_and_leaves_nothing_half_written(self, tmp_path):
        pytest.importorskip("resource", reason="needs a limit on the size of files")
        run = [sys.executable, "-c", WRITE_BEYOND_THE_LIMIT, str(tmp_path)]
        said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
        assert said == f"None True {tmp_path}: file too large\n"
        assert [path.name for path in tmp_path.iterdir()] == ["small.arrays"]

    def test_two_processes_write_read_and_remove_the_same_entries_at_once(self, tmp_path):
        both = [
            subprocess.Popen([sys.executable, "-c", AT_WORK, str(tmp_path), number], stderr=subprocess.PIPE)
            for number in "12"
        ]
        for process in both:
            assert process.communicate()[1] == b""
            assert process.returncode == 0
        assert not list(tmp_path.glob("*.part"))

    def test_a_folder_that_cannot_be_made_is_no_cache(self, tmp_path):
        (tmp_path / "file").touch()
        assert open_cache(folder=tmp_path / "file" / "images") is None


class TestFolder:
    def test_is_where_the_user_says(self, monkeypatch, tmp_path):
        monkeypatch.setenv("UVALA_CACHE", str(tmp_path / "mine"))
        assert cache_folder() == tmp_path / "mine"
        assert open_cache(3).folder == tmp_path / "mine" / "images"
        assert open_cache(3).limit == 3 * 2**30
        assert open_cache(0) is None

    @pytest.mark.skipif(sys.platform != "linux", reason="each system has its own place")
    def test_is_else_where_the_system_keeps_caches(self, monkeypatch, tmp_path):
        monkeypatch.delenv("UVALA_CACHE", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert cache_folder() == tmp_path / "uvala"

    def test_without_a_home_there_is_none_and_a_user_who_asks_hears_of_it(self, monkeypatch):
        def homeless():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("UVALA_CACHE", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", homeless)
        monkeypatch.setattr(sys, "platform", "linux")
        assert open_cache() is None
        with pytest.raises(StorageError, match="UVALA_CACHE"):
            users_cache()
