"""Cross-validation: a run of runs."""

import json
import shutil
import signal

import numpy as np
import pytest

import uvala
from drawn import discs, write_discs
from trainings import QUICK, train_quickly
from uvala.api.fold_times import (
    folds_of,
    has_begun,
    is_finished,
    lengthen_folds,
    seconds_for_fresh,
    used_by_folds,
)
from uvala.api.lengthening import lengthened
from uvala.api.resuming import used_by
from uvala.config import override
from uvala.data.dataset import read_dataset
from uvala.errors import BudgetError, ConfigError, DataError, RunError, SplitError, StorageError
from uvala.evaluation.scores import Scores
from uvala.log import EventLog, read_events
from uvala.plan.budget import Clock
from uvala.plan.schema import write_plan
from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import read_progress

FOLDS = 3
IMAGE = discs(seed=50)[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("folded") / "data", count=9)


@pytest.fixture(scope="module")
def folded(data, tmp_path_factory):
    """Three pocket networks of 8 steps each; tests may read it and must not change it."""
    return train_quickly(data, tmp_path_factory.mktemp("folds") / "run", steps=8, folds=FOLDS)


class TestFolds:
    def test_each_is_a_run_that_can_be_used_by_itself(self, folded, data):
        for number in range(1, FOLDS + 1):
            fold = uvala.load_run(folded.path / f"fold-{number}")
            assert fold.card.training.finished
            assert fold.report.is_file()
            assert fold.predict(IMAGE).mask.shape == IMAGE.shape

    def test_each_image_validated_one_of_them(self, folded):
        splits = [uvala.load_run(folded.path / f"fold-{n}").folder.split for n in range(1, FOLDS + 1)]
        assert sorted(name for split in splits for name in split.val) == [f"{n:02d}.png" for n in range(9)]

    def test_all_have_the_plan_of_the_whole_but_for_its_folds(self, folded):
        for number in range(1, FOLDS + 1):
            plan = uvala.load_run(folded.path / f"fold-{number}").plan
            assert plan == folded.plan.model_copy(update={"folds": 1})

    def test_of_the_whole_all_images_are_training_images(self, folded):
        assert len(folded.folder.split.train) == 9
        assert not folded.folder.split.val


class TestTogether:
    def test_probabilities_are_the_mean_of_the_folds(self, folded):
        each = [
            uvala.load_run(folded.path / name).predict(IMAGE).probabilities for name in folded.card.members
        ]
        together = folded.predict(IMAGE).probabilities
        np.testing.assert_allclose(together, np.mean(each, axis=0), rtol=0, atol=1e-6)

    def test_there_is_no_temperature_beside_those_of_the_folds(self, folded):
        assert folded.card.temperature == 1.0

    def test_scores_are_out_of_fold(self, folded):
        scores = Scores.from_json(folded.folder.scores_path)
        assert {image.name for image in scores.images} == {f"{n:02d}.png" for n in range(9)}
        by_name = {image.name: image.mean_dice for image in scores.images}
        fold = uvala.load_run(folded.path / "fold-2")
        own = Scores.from_json(fold.folder.scores_path)
        assert {image.name: image.mean_dice for image in own.images} == {
            name: by_name[name] for name in fold.folder.split.val
        }

    def test_out_of_fold_they_name_no_temperature_since_each_fold_has_its_own(self, folded):
        assert Scores.from_json(folded.folder.scores_path).probabilities.temperature == 1.0

    def test_report_and_card_tell_the_score_out_of_fold(self, folded):
        assert "out of fold" in folded.report.read_text()
        assert folded.card.data.notes[0].startswith("each image by the network that was not trained on it")
        assert "a standard deviation of 0." in folded.card.data.notes[0]

    def test_is_evaluated_like_any_run(self, folded, tmp_path):
        other = write_discs(tmp_path / "other", count=2, size=(40, 40), values=(0, 255))
        for path in other.glob("*/*"):
            path.rename(path.with_name(f"new{path.name}"))
        assert len(folded.evaluate(other, subset="all").images) == 2

    def test_has_no_network_of_its_own(self, folded):
        with pytest.raises(RunError, match=r"the average of 3 networks.*fold-1"):
            folded.folder.model()

    def test_can_be_finished_once(self, folded):
        with pytest.raises(RunError, match="whose folds are finished"):
            uvala.train(folded.path, resume=True)


def test_test_images_are_scored_by_all_folds_together(data, tmp_path):
    names = [f"{n:02d}" for n in range(9)]
    (tmp_path / "split.json").write_text(str({"test": names[:3]}).replace("'", '"'))
    run = train_quickly(data, tmp_path / "run", steps=2, folds=2, split=tmp_path / "split.json")
    assert {image.name for image in Scores.from_json(run.folder.scores_path).images} == {
        f"{name}.png" for name in names[:3]
    }
    assert len(Scores.from_json(run.path / "out-of-fold/scores.json").images) == 6


@pytest.fixture(scope="module")
def stopped(data, tmp_path_factory):
    """Three folds of 12 steps, stopped in the second."""
    fold = 0

    def stop(event):
        nonlocal fold
        fold = event.get("number", fold) if event["event"] == "fold" else fold
        if fold == 2 and event["event"] == "validation":
            signal.raise_signal(signal.SIGINT)

    out = tmp_path_factory.mktemp("stopped") / "run"
    return train_quickly(data, out, steps=12, folds=FOLDS, listener=stop)


class PowerCut(BaseException):
    """It ends a training between two events, without a word."""


class TestStopped:
    def test_the_folds_so_far_can_be_used(self, stopped):
        assert not stopped.card.training.finished
        assert len(stopped.predictor.members) == 2
        assert stopped.predict(IMAGE).mask.shape == IMAGE.shape
        assert stopped.report.is_file()

    def test_a_resume_does_what_is_left_and_no_more(self, stopped, tmp_path):
        run = uvala.load_run(shutil.copytree(stopped.path, tmp_path / "run"))
        began = []
        whole = uvala.train(
            run.path,
            resume=True,
            listener=lambda e: began.append(e["number"]) if e["event"] == "fold" else None,
        )
        assert began == [2, 3]
        assert whole.card.training.finished
        assert whole.card.training.steps == 3 * 12
        # what was found out of fold at the stop is nothing that a later fold begins with
        assert "out of fold" in stopped.card.data.notes[0]
        assert not any("out of fold" in note for note in folds_of(run.folder)[2].card.data.notes)
        assert len(uvala.load_run(run.path).predictor.members) == 3

    def test_a_fold_that_begins_after_a_stop_has_used_no_time(self, stopped, tmp_path):
        """Whoever goes on with it after a power cut would else take it for trained."""

        def cut(event):
            if (tmp_path / "run/fold-3").exists() and event["event"] == "validation":
                raise PowerCut

        run = RunFolder(shutil.copytree(stopped.path, tmp_path / "run"))
        with pytest.raises(PowerCut):
            uvala.train(run.path, resume=True, listener=cut)
        third = folds_of(run)[2]
        assert used_by(third, read_progress(third)) == 0
        assert third.card.training.machine == stopped.card.training.machine

    def test_a_fold_without_time_does_not_begin(self, stopped, tmp_path):
        run = RunFolder(shutil.copytree(stopped.path, tmp_path / "run"))
        with_budget(run, 10.0)  # of which some are used
        resumed = uvala.train(run.path, resume=True)
        assert not (run.path / "fold-3").exists()
        assert is_finished(folds_of(run)[1])
        assert not resumed.card.training.finished
        text = f"fold-3 (not begun); uvala train --resume {run.path} --budget +10m goes on"
        assert any(text in event.get("text", "") for event in read_events(run.log_path))

    def test_a_fold_resumes_by_itself(self, stopped, tmp_path):
        shutil.copytree(stopped.path, tmp_path / "run")
        fold = uvala.train(tmp_path / "run/fold-2", resume=True)
        assert fold.card.training.finished
        steps = [e["step"] for e in read_events(fold.folder.log_path) if e["event"] == "validation"]
        assert steps == [3, 6, 9, 12]


def test_folds_stay_what_they_were_when_the_folder_changes(stopped, data, tmp_path):
    """A copy of an image is another group: drawn again, the folds would be others."""
    other = shutil.copytree(data, tmp_path / "data")
    for kind in ("images", "masks"):
        shutil.copyfile(other / kind / "03.png", other / kind / "copy.png")
    shutil.copytree(stopped.path, tmp_path / "run")
    run = uvala.train(other, out=tmp_path / "run", resume=True)
    validated = [name for fold in run.folder.chosen_members for name in fold.split.val]
    assert sorted(validated) == [f"{n:02d}.png" for n in range(9)]


def test_folds_of_an_older_run_stay_as_they_began(stopped, tmp_path):
    path = shutil.copytree(stopped.path, tmp_path / "run")
    (path / "folds.json").unlink()
    for name in ("fold-1", "fold-2"):
        split = json.loads((path / name / "split.json").read_text())
        split["val"], split["train"] = split["val"][:2], [*split["train"], *split["val"][2:]]
        (path / name / "split.json").write_text(json.dumps(split))
    run = uvala.train(path, resume=True)
    scored = {image.name for image in Scores.from_json(run.folder.scores_path).images}
    trained = {*run.folder.chosen_members[0].split.train, *run.folder.chosen_members[1].split.train}
    assert len(scored) == 2 + 2 + 3
    assert not trained - {f"{n:02d}.png" for n in range(9)}


def stop_at(kind, fold):
    """A listener that asks for a stop at the first event of that kind in that fold."""
    place, asked = 0, False

    def stop(event):
        nonlocal place, asked
        place = event.get("number", place) if event["event"] == "fold" else place
        if place == fold and event["event"] == kind and not asked:
            asked = True
            signal.raise_signal(signal.SIGINT)

    return stop


class TestStoppedWhileAFoldIsScored:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, data, tmp_path_factory):
        out = tmp_path_factory.mktemp("scored") / "run"
        return train_quickly(data, out, steps=2, folds=2, listener=stop_at("scoring", fold=1))

    def test_no_other_fold_begins(self, run):
        assert not (run.path / "fold-2").exists()
        assert not run.card.training.finished

    def test_the_fold_itself_is_finished(self, run):
        assert uvala.load_run(run.path / "fold-1").card.training.finished
        assert len(run.folder.chosen_members) == 1

    def test_the_report_says_what_is_missing(self, run):
        text = "missing from the mean of 2 folds: fold-2 (not begun)"
        assert text in run.report.read_text()


class TestStoppedBeforeAFirstValidation:
    """Nothing has chosen the weights of such a fold."""

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, data, tmp_path_factory):
        out = tmp_path_factory.mktemp("early") / "run"
        return train_quickly(data, out, steps=4, folds=2, listener=stop_at("fold", fold=2))

    def test_the_fold_is_no_member(self, run):
        assert (run.path / "fold-2/model.safetensors").is_file()
        assert [each.path.name for each in run.folder.chosen_members] == ["fold-1"]
        assert len(run.predictor.members) == 1

    def test_only_images_of_the_others_are_scored(self, run):
        scored = {image.name for image in Scores.from_json(run.folder.scores_path).images}
        assert scored == {*uvala.load_run(run.path / "fold-1").folder.split.val}

    def test_the_report_says_so(self, run):
        text = "missing from the mean of 2 folds: fold-2 (stopped before its first validation)"
        assert text in run.report.read_text()

    def test_after_a_resume_it_is_one(self, run, tmp_path):
        whole = uvala.train(shutil.copytree(run.path, tmp_path / "run"), resume=True)
        assert len(whole.folder.chosen_members) == 2
        assert "missing from the mean" not in whole.report.read_text()

    def test_of_the_first_fold_there_are_no_scores(self, data, tmp_path):
        said = []
        stop = stop_at("fold", fold=1)
        run = train_quickly(
            data, tmp_path / "run", steps=2, folds=2, listener=lambda e: (said.append(e), stop(e))
        )
        assert not run.folder.scores_path.exists()
        assert said[-1]["event"] == "warning"
        assert "fold-1 (stopped before its first validation), fold-2 (not begun)" in said[-1]["text"]
        with pytest.raises(RunError, match="none of whose 2 folds has chosen its weights yet"):
            run.predict(IMAGE)
        assert uvala.train(run.path, resume=True).card.training.finished


@pytest.fixture
def longer(folded, tmp_path, monkeypatch):
    """Of the three finished folds a copy, and a function that gives it so many seconds more."""
    monkeypatch.setattr("uvala.api.fold_times.page_seconds", lambda: 4.0)  # ten seconds for two pages
    run = RunFolder(shutil.copytree(folded.path, tmp_path / "run"))
    return run, lambda more: lengthen(run, more)


def lengthen(run, more):
    """Give a run so many seconds on top of those it has used; the log is left alone."""
    dataset, used = read_dataset(run.card.data.path), used_by_folds(run)
    plan = lengthened(run.plan, {}, used + more, used)
    before, clock = (Clock(each.length.budget, used=used) for each in (run.plan, plan))
    return lengthen_folds(run, dataset, plan, before, clock, EventLog(None))


def with_budget(run, seconds):
    """Let the plan of a run be one by the clock."""
    length = {"length.budget": seconds, "length.steps": None}
    write_plan(run.plan_path, override(run.plan, length, where="the plan"), {})


def fresh_fold(run):
    """Seconds for a fold that has not begun, when all others have used theirs."""
    begun = [fold for fold in folds_of(run) if has_begun(fold) and not is_finished(fold)]
    promised = sum(fold.plan.length.budget - used_by(fold, read_progress(fold)) for fold in begun)
    clock = Clock(run.plan.length.budget, used=used_by_folds(run))
    return seconds_for_fresh(run, read_dataset(run.card.data.path), clock, promised=promised)


class TestLengthened:
    def test_each_gets_the_same_and_the_end_keeps_time(self, longer):
        run, give = longer
        used = [used_by(fold, read_progress(fold)) for fold in folds_of(run)]
        give(600.0)
        more = [fold.plan.length.budget - each for fold, each in zip(folds_of(run), used, strict=True)]
        assert max(more) - min(more) < 0.2
        assert 0.7 * 600 < sum(more) < 600 - 10

    def test_a_refusal_leaves_the_log_as_it_was(self, longer):
        run, _ = longer
        before = run.log_path.read_bytes()
        with pytest.raises(BudgetError, match="at least 10 s more for each"):
            uvala.train(run.path, resume=True, budget="+20s")
        assert run.log_path.read_bytes() == before

    def test_too_little_for_each_is_refused(self, longer):
        run, give = longer
        with pytest.raises(BudgetError, match=r"at least 10 s more for each.*--budget \d+s or more"):
            give(20.0)
        assert run.card.training.finished
        assert run.plan.length.steps == 8

    def test_folds_with_steps_to_go_are_refused(self, stopped):
        with pytest.raises(ConfigError, match="2 still have steps to go"):
            lengthen(stopped.folder, 600.0)

    def test_none_gets_less_than_it_had(self, stopped, tmp_path):
        """Of 6000 seconds the second fold still has most of its 3000, and the third would get the rest."""
        run = RunFolder(shutil.copytree(stopped.path, tmp_path / "run"))
        for each, seconds in ((run, 6000.0), (folds_of(run)[1], 3000.0)):
            with_budget(each, seconds)
        used, third = used_by_folds(run), fresh_fold(RunFolder(run.path))
        with pytest.raises(BudgetError, match="go on without more time: uvala train --resume"):
            lengthen(RunFolder(run.path), 5000.0 - used)
        longer = lengthen(RunFolder(run.path), 9000.0 - used)
        assert 3900 < folds_of(longer)[1].plan.length.budget < 4000
        assert third + 900 < fresh_fold(longer) < third + 1000

    def test_a_resume_goes_on_with_what_was_cut_off(self, longer):
        run, give = longer
        give(600.0)
        began = []
        stop = stop_at("fold", fold=1)
        resumed = uvala.train(
            run.path,
            resume=True,
            listener=lambda e: (began.append(e["number"]) if e["event"] == "fold" else None, stop(e)),
        )
        assert began == [1]
        assert not resumed.card.training.finished
        assert not any(fold.card.training.finished for fold in folds_of(run))
        assert len(resumed.folder.chosen_members) == FOLDS

    @pytest.mark.slow  # two folds by the clock
    def test_ends_in_its_time(self, data, tmp_path, monkeypatch):
        monkeypatch.setattr("uvala.api.fold_times.LEAST", 5.0)
        train_quickly(data, tmp_path / "run", steps=2, folds=2)
        run = uvala.train(tmp_path / "run", resume=True, budget="+30s")
        assert run.card.training.finished
        assert run.card.training.seconds <= run.plan.length.budget + 2


def test_a_resume_on_a_device_that_is_not_there_changes_nothing(folded, tmp_path):
    path = shutil.copytree(folded.path, tmp_path / "run")
    files = {each: each.read_bytes() for each in path.rglob("*.*") if each.is_file()}
    with pytest.raises(RunError, match="cuda:99"):
        uvala.train(path, resume=True, budget="+10m", device="cuda:99")
    assert files == {each: each.read_bytes() for each in path.rglob("*.*") if each.is_file()}


class TestTrouble:
    """A fold may go wrong, as where the watchdog gives up."""

    @staticmethod
    def listener(*folds):
        place = 0

        def fail(event):
            nonlocal place
            place = event["number"] if event["event"] == "fold" else place
            if place in folds and event["event"] == "validation":
                raise DataError(found="trouble", expected="none", fix="try again")

        return fail

    def test_in_one_leaves_the_others(self, data, tmp_path):
        run = train_quickly(data, tmp_path / "run", steps=2, folds=2, listener=self.listener(1))
        assert is_finished(folds_of(run.folder)[1])
        assert not run.card.training.finished
        assert run.predict(IMAGE).mask.shape == IMAGE.shape
        said = [event["text"] for event in read_events(run.folder.log_path) if event["event"] == "warning"]
        assert any(text.startswith("fold-1 went wrong: found trouble") for text in said)
        assert uvala.train(tmp_path / "run", resume=True).card.training.finished

    def test_in_all_is_that_of_the_command_and_leaves_nothing(self, data, tmp_path, monkeypatch):
        tried = []

        def fit(fold, *_, **__):
            tried.append(fold.path.name)
            raise DataError(found="trouble", expected="none", fix="try again")

        monkeypatch.setattr("uvala.api.folding.fit", fit)
        with pytest.raises(DataError, match="trouble"):
            train_quickly(data, tmp_path / "run", steps=2, folds=2)
        assert tried == ["fold-1", "fold-2"]
        assert not (tmp_path / "run").exists()

    def test_leaves_a_fold_its_time(self, data, tmp_path, monkeypatch):
        budgets = []

        def fit(fold, *_, **__):
            budgets.append(fold.plan.length.budget)
            raise DataError(found="trouble", expected="none", fix="try again")

        monkeypatch.setattr("uvala.api.folding.fit", fit)
        options = {"model": "pocket_unet", "device": "cpu", "settings": QUICK}
        with pytest.raises(DataError):
            uvala.train(data, out=tmp_path / "run", folds=3, budget=90, **options)
        assert budgets[2] < 1.5 * budgets[0], "three times as much, if it had all that is left"


def test_a_fold_that_was_gone_on_with_is_scored_again_with_the_others(folded, tmp_path):
    run = shutil.copytree(folded.path, tmp_path / "run")
    fold = RunFolder(run / "fold-1")
    later = fold.card.training.model_copy(update={"ended": "2100-01-01T00:00:00+00:00"})
    fold.write_card(fold.card.model_copy(update={"training": later}))
    (run / "scores.json").unlink()
    assert uvala.train(run, resume=True).folder.scores_path.is_file()


def test_a_fold_is_trained_by_one_process_at_a_time(data, tmp_path):
    refused = []

    def meanwhile(event):
        if event["event"] == "validation" and not refused:
            refused.append(event)
            with pytest.raises(StorageError, match="another process is at work"):
                uvala.train(tmp_path / "run/fold-1", resume=True)

    train_quickly(data, tmp_path / "run", steps=1, folds=2, listener=meanwhile)
    assert refused


def test_a_fold_tells_of_itself(folded):
    fold = folds_of(folded.folder)[1]
    plan = {event["path"]: event for event in read_events(fold.log_path) if event["event"] == "plan"}
    assert plan["folds"]["value"] == 1
    assert plan["folds"]["reason"].startswith("a fold of a run")


def test_the_card_of_the_whole_is_written_when_all_else_is_there(data, tmp_path, monkeypatch):
    """Killed before it, the folder is no run; killed after it, a whole one."""
    found, write = [], RunFolder.write_card

    def note(run, card):
        found.append((card.members, len(RunFolder(run.path).folds), RunFolder(run.path).split.val))
        write(run, card)

    monkeypatch.setattr(RunFolder, "write_card", note)
    train_quickly(data, tmp_path / "run", steps=1, folds=2)
    assert found[0] == (("fold-1", "fold-2"), 2, ())


class TestRefused:
    def test_more_folds_than_images(self, data, tmp_path):
        with pytest.raises(SplitError, match="for 12 folds"):
            train_quickly(data, tmp_path / "run", steps=1, folds=12)
        assert not (tmp_path / "run").exists()

    def test_too_little_time_for_each(self, data, tmp_path):
        with pytest.raises(BudgetError, match=r"40 s for 5 folds.*at least 10 s for each"):
            uvala.train(data, out=tmp_path / "run", budget="40s", folds=5)
        assert not (tmp_path / "run").exists()

    def test_too_little_time_for_each_and_the_end(self, data, tmp_path, monkeypatch):
        monkeypatch.setattr("uvala.api.fold_times.page_seconds", lambda: 4.0)  # ten seconds for two pages
        with pytest.raises(BudgetError, match=r"and time to score them together.*--budget \d+s or more"):
            uvala.train(
                data, out=tmp_path / "run", budget="55s", folds=5, model="pocket_unet", settings=QUICK
            )
        assert not (tmp_path / "run").exists()
