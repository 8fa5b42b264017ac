import pytest
import torch
from safetensors.torch import save

import uvala
from uvala.errors import RunError
from uvala.runs.folder import RunFolder, open_run, pick_device


def test_a_missing_run_suggests_the_nearest_run(tmp_path):
    (tmp_path / "cells-1").mkdir()
    (tmp_path / "cells-1" / "card.json").touch()
    (tmp_path / "cells-2-masks").mkdir()
    with pytest.raises(RunError, match="did you mean 'cells-1'"):
        open_run(tmp_path / "cells-2")


def test_a_file_is_called_one_and_half_made_folders_are_not_suggested(tmp_path):
    (tmp_path / "cells").touch()
    (tmp_path / ".cells.part").mkdir()
    with pytest.raises(RunError, match=r"cells, which is a file.*check the path"):
        open_run(tmp_path / "cells")


def test_a_folder_of_runs_suggests_the_last_run(disc_run):
    with pytest.raises(RunError, match=f"did you mean {disc_run.path}"):
        open_run(disc_run.path.parent)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"format": 1}'], ids=["empty", "cut", "list", "null", "bare"]
)
def test_a_damaged_card_is_refused_in_one_sentence(tmp_path, content):
    (tmp_path / "card.json").write_text(content)
    with pytest.raises(RunError, match=r"card\.json"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    "content",
    [lambda other: save(other.state_dict()), lambda other: bytes(100), lambda other: b""],
    ids=["another network", "damaged", "empty"],
)
def test_weights_that_do_not_fit_are_refused(disc_run, tmp_path, content):
    (tmp_path / "card.json").write_text((disc_run.path / "card.json").read_text())
    other = uvala.create_model("unet", in_channels=1, num_classes=2, width=2, depth=1)
    (tmp_path / "model.safetensors").write_bytes(content(other))
    with pytest.raises(RunError, match="does not fit"):
        open_run(tmp_path).model()


class TestChosenWeights:
    """A stop before the first validation leaves weights to look at, which nothing has chosen."""

    def test_are_those_of_a_validation(self, tmp_path):
        run = RunFolder(tmp_path)
        run.write_weights({"a": torch.zeros(1)}, step=3, chosen=False)
        assert (run.weights_step, run.has_chosen_weights) == (3, False)
        run.write_weights({"a": torch.zeros(1)}, step=6)
        assert (run.weights_step, run.has_chosen_weights) == (6, True)

    def test_are_those_of_other_projects_and_older_versions(self, tmp_path):
        (tmp_path / "model.safetensors").write_bytes(save({"a": torch.zeros(1)}))
        assert RunFolder(tmp_path).has_chosen_weights

    def test_must_be_there(self, tmp_path):
        assert not RunFolder(tmp_path).has_chosen_weights

    def test_that_are_damaged_are_refused_where_they_are_loaded(self, disc_run, tmp_path):
        (tmp_path / "card.json").write_text((disc_run.path / "card.json").read_text())
        (tmp_path / "model.safetensors").write_bytes(b"")
        run = open_run(tmp_path)
        assert run.has_chosen_weights
        with pytest.raises(RunError, match="does not fit"):
            run.model()


@pytest.mark.parametrize(
    ("name", "advice"),
    [("tpu", "'cpu'"), ("cuda:x", "'cuda'"), ("cuda:", "'cuda'"), ("auto:1", "'auto'"), ("gpu", "'cpu'")],
)
def test_what_is_no_device_suggests_the_nearest(name, advice):
    with pytest.raises(RunError, match=rf"^found device '{name}'; .*did you mean {advice}\?$"):
        pick_device(name)


def test_the_processor_is_always_there():
    assert pick_device("cpu") == torch.device("cpu")


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(RunError, match="leave --device at auto"):
        pick_device(f"cuda:{torch.cuda.device_count()}")


def test_a_trial_that_was_killed_is_no_run_and_goes(disc_run, tmp_path):
    trial = tmp_path / ".trial-a.part"
    trial.mkdir()
    (trial / "card.json").write_text((disc_run.path / "card.json").read_text())
    with pytest.raises(RunError, match="give the folder that --out named"):
        open_run(tmp_path)
    RunFolder(tmp_path).clear_leftovers()
    assert not trial.exists()
