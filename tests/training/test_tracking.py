"""P22: local files first, and nothing leaves the machine unless somebody asked for it."""

import json
import shutil
import threading
from importlib.util import find_spec

import pytest

from trainings import train_quickly
from uvala.errors import ConfigError
from uvala.training import tracking
from uvala.training.tracking import Tracker, place_of, require_tracker, track

EVENTS = [
    {"event": "note", "text": "no number"},
    {"event": "plan", "path": "patches.size", "value": 64},
    {"event": "plan", "path": "model.name", "value": "unet"},
    {"event": "step", "time": 1.0, "step": 10, "loss": 0.5, "learning_rate": 1e-3, "seconds_left": None},
    {"event": "step", "time": 2.0, "step": 20, "loss": 0.25, "learning_rate": 1e-3, "seconds_left": 9.0},
    {"event": "validation", "step": 20, "mean_dice": 0.75, "dice": [0.9, 0.6, None], "best": True},
    {"event": "end", "finished": True, "subset": "test", "mean_dice": 0.7, "report": "/runs/a/report.html"},
]


def follow(kind: str, run, events=EVENTS) -> list[str]:
    """Track these events; what was warned of."""
    warnings: list[str] = []
    with track(kind, run, warnings.append) as tracker:
        for event in events:
            tracker(event)
    return warnings


class Notebook:
    """A writer that notes everything."""

    def __init__(self) -> None:
        self.said: list[tuple] = []

    def settings(self, values) -> None:
        self.said.append(("settings", dict(values)))

    def scalars(self, values, step) -> None:
        self.said.append(("scalars", dict(values), step))

    def close(self, texts, *, finished) -> None:
        self.said.append(("close", dict(texts), finished))


class TestTracker:
    def test_passes_on_numbers_and_settings(self):
        notebook = Notebook()
        with Tracker(lambda: notebook, pytest.fail) as tracker:
            for event in EVENTS:
                tracker(event)
        assert notebook.said == [
            ("settings", {"patches.size": 64}),
            ("settings", {"model.name": "unet"}),
            ("scalars", {"train/loss": 0.5, "train/learning_rate": 1e-3}, 10),
            ("scalars", {"train/loss": 0.25, "train/learning_rate": 1e-3, "train/seconds_left": 9.0}, 20),
            (
                "scalars",
                {"validation/mean_dice": 0.75, "validation/dice/0": 0.9, "validation/dice/1": 0.6},
                20,
            ),
            ("scalars", {"test/mean_dice": 0.7}, 20),
            ("close", {"report": "/runs/a/report.html"}, True),
        ]

    def test_a_training_that_was_stopped_is_not_finished(self):
        notebook = Notebook()
        with Tracker(lambda: notebook, pytest.fail) as tracker:
            tracker(EVENTS[3])
        assert notebook.said[-1] == ("close", {}, False)

    def test_a_writer_that_fails_is_said_once_and_ends_no_training(self):
        class Broken(Notebook):
            def scalars(self, values, step) -> None:
                raise OSError("no route to host")

        warnings: list[str] = []
        with Tracker(Broken, warnings.append) as tracker:
            for event in EVENTS * 3:
                tracker(event)
        assert warnings == ["the training is no longer tracked: no route to host"]

    def test_a_writer_that_cannot_be_opened_ends_no_training(self):
        def refuse() -> Notebook:
            raise ValueError("unknown scheme")

        warnings: list[str] = []
        with Tracker(refuse, warnings.append) as tracker:
            tracker(EVENTS[3])
        assert warnings == ["the training is no longer tracked: unknown scheme"]

    def test_a_server_that_hangs_holds_nothing_up(self, monkeypatch):
        monkeypatch.setattr(tracking, "_LAST_SECONDS", 0.0)
        monkeypatch.setattr(tracking, "_MOST_WAITING", 3)
        answer = threading.Event()

        class Hanging(Notebook):
            def scalars(self, values, step) -> None:
                answer.wait(30)

        warnings: list[str] = []
        with Tracker(Hanging, warnings.append) as tracker:
            for event in EVENTS * 3:
                tracker(event)
        answer.set()
        assert len(warnings) == 1


class TestExtras:
    def test_a_missing_one_is_said_with_the_command_that_installs_it(self, monkeypatch):
        monkeypatch.setattr(tracking, "find_spec", lambda name: None)
        with pytest.raises(
            ConfigError, match=r'no tensorboard in this Python.*pip install "uvala\[tensorboard\]"'
        ):
            require_tracker("tensorboard")
        with pytest.raises(ConfigError, match=r'no mlflow and no .*pip install "uvala\[mlflow\]"'):
            require_tracker("mlflow")

    def test_another_kind_is_refused(self):
        with pytest.raises(ConfigError, match="a tracker called 'wandb'; expected tensorboard or mlflow"):
            require_tracker("wandb")


class TestTensorBoard:
    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("tensorboard", reason="needs the extra tensorboard")

    def read(self, run):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        return EventAccumulator(str(run / "tensorboard")).Reload()

    def losses(self, run) -> list[tuple[int, float]]:
        return [(each.step, each.value) for each in self.read(run).Scalars("train/loss")]

    def test_shows_the_curves(self, tmp_path):
        assert follow("tensorboard", tmp_path) == []
        found = self.read(tmp_path)
        assert self.losses(tmp_path) == [(10, 0.5), (20, 0.25)]
        assert [each.value for each in found.Scalars("validation/dice/1")] == [pytest.approx(0.6)]
        assert [each.step for each in found.Scalars("test/mean_dice")] == [20]

    def test_shows_the_plan_and_where_the_report_is(self, tmp_path):
        follow("tensorboard", tmp_path)
        texts = {
            tag: self.read(tmp_path).Tensors(tag)[0].tensor_proto.string_val[0].decode()
            for tag in self.read(tmp_path).Tags()["tensors"]
        }
        assert "| patches.size | 64 |" in texts["plan/text_summary"]
        assert texts["report/text_summary"] == "/runs/a/report.html"

    def test_steps_that_a_resumed_training_repeats_are_shown_once(self, tmp_path):
        follow("tensorboard", tmp_path, EVENTS[3:5])
        repeated = {"event": "step", "step": 20, "loss": 0.125}
        follow("tensorboard", tmp_path, [repeated])
        assert self.losses(tmp_path) == [(10, 0.5), (20, 0.125)]


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """A run folder that was tracked with MLflow."""
    if any(find_spec(package) is None for package in ("mlflow", "sqlalchemy", "alembic")):
        pytest.skip("needs the extra mlflow")
    run = tmp_path_factory.mktemp("tracked") / "discs"
    run.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        # it makes its tables one by one, each forced to the disk: some seconds where others write, too
        patch.setattr(tracking, "_LAST_SECONDS", 300.0)
        assert follow("mlflow", run) == []
    return run


@pytest.mark.slow  # MLflow makes its many tables one by one, each forced to the disk
@pytest.mark.filterwarnings("ignore:.*noload.*")  # of MLflow about its own use of SQLAlchemy
class TestMLflow:
    @pytest.fixture(autouse=True)
    def _local(self, monkeypatch):
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")

    @pytest.fixture
    def run(self, first_run, tmp_path):
        """Another run folder, whose tables are made already."""
        shutil.copy(first_run / "mlflow.db", tmp_path)
        return tmp_path

    def run_of(self, uri, folder):
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        return client, client.get_run(json.loads((folder / "mlflow.json").read_text())["run_id"])

    def test_writes_into_the_run_folder(self, first_run):
        client, known = self.run_of(f"sqlite:///{first_run / 'mlflow.db'}", first_run)
        assert known.info.run_name == "discs"
        assert known.info.status == "FINISHED"
        assert known.data.params == {"patches.size": "64", "model.name": "unet"}
        assert known.data.tags["report"] == "/runs/a/report.html"
        history = client.get_metric_history(known.info.run_id, "train/loss")
        assert [(each.step, each.value) for each in history] == [(10, 0.5), (20, 0.25)]

    def test_where_its_user_says_so_it_writes_elsewhere(self, run, monkeypatch):
        assert place_of("mlflow", run) == f"sqlite:///{run / 'mlflow.db'}"
        (run / "mlflow.db").rename(run / "team.db")
        uri = f"sqlite:///{run / 'team.db'}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert follow("mlflow", run) == []
        assert place_of("mlflow", run) == uri
        assert self.run_of(uri, run)[1].data.metrics["test/mean_dice"] == 0.7
        assert not (run / "mlflow.db").exists()

    def test_a_password_in_the_address_is_written_nowhere(self, monkeypatch, tmp_path):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@server/path")
        assert place_of("mlflow", tmp_path) == "https://server/path"

    def test_a_setting_that_a_longer_training_changes_ends_nothing(self, run):
        assert follow("mlflow", run, EVENTS[1:4]) == []
        assert follow("mlflow", run, [{**EVENTS[1], "value": 128}, EVENTS[4]]) == []

    def test_a_resumed_training_goes_on_with_its_run(self, run):
        follow("mlflow", run, EVENTS[3:4])
        first = json.loads((run / "mlflow.json").read_text())
        follow("mlflow", run, EVENTS[4:])
        assert json.loads((run / "mlflow.json").read_text()) == first
        client, known = self.run_of(first["uri"], run)
        history = client.get_metric_history(known.info.run_id, "train/loss")
        assert [each.step for each in history] == [10, 20]
        assert known.info.status == "FINISHED"


def test_a_training_is_tracked_where_its_plan_says_so(tmp_path, disc_data):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    run = train_quickly(disc_data, tmp_path / "run", steps=4, track="tensorboard")
    assert list((run.path / "tensorboard").glob("events.*"))
    assert run.plan.tracking == "tensorboard"
