"""What every test may ask for."""

import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # a process for each core: with threads for each core, too, they would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from drawn import write_discs
from trainings import train_quickly

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory):
    """Decoded images of tests do not go where those of the user are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UVALA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and reference numbers, which are not part of the project."""
    folder = Path(os.environ.get("UVALA_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"needs the real data of {folder} (UVALA_SHARED), which is not part of the repository")
    return folder


@pytest.fixture(scope="session")
def disc_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small images with discs, masks 0/255."""
    return write_discs(tmp_path_factory.mktemp("discs") / "data", count=12)


@pytest.fixture(scope="session")
def disc_run(disc_data: Path, tmp_path_factory: pytest.TempPathFactory):
    """A pocket network trained on the discs; tests may read it and must not change it."""
    return train_quickly(disc_data, tmp_path_factory.mktemp("runs") / "run", steps=80)
