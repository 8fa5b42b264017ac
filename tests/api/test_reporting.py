"""What the page of a run says, and what it says of masks without a run."""

import json
import re
import shutil

import numpy as np
import pytest

from drawn import write_discs
from uvala.api.gallery import Gallery
from uvala.api.reporting import write_masks_report, write_run_report
from uvala.api.run import load_run
from uvala.data.dataset import read_dataset
from uvala.evaluation.evaluate import evaluate
from uvala.log import read_events
from uvala.report.content import ShownCase
from uvala.runs.folder import open_run


@pytest.fixture(scope="module")
def other_data(tmp_path_factory):
    """Discs of other images than those that the run has seen."""
    return read_dataset(write_discs(tmp_path_factory.mktemp("other") / "plates", count=4, size=(40, 40)))


def scored(dataset):
    """Scores and cases of predictions that are the truth, a row too low."""
    gallery, cases = Gallery(), []
    for sample in dataset.samples:
        truth = dataset.classes(sample)
        cases.append((sample.name, np.roll(truth, 1, axis=0), truth))
        gallery.add(ShownCase(sample.name, dataset.image(sample), truth, cases[-1][1], 0.5))
    return evaluate(cases, ("background", "foreground"), "all"), gallery


class TestTheTrainingsOwnData:
    def test_the_scored_subset_and_how_to_score_it_again_are_named(self, disc_run):
        page = disc_run.report.read_text()
        assert "--subset val" in page
        assert "uvala predict" in page

    def test_no_sentence_stands_twice_among_the_warnings(self, disc_run):
        page = disc_run.report.read_text()
        warnings = [
            event["text"] for event in read_events(disc_run.folder.log_path) if event["event"] == "warning"
        ]
        assert all(page.count(text) == 1 for text in warnings)

    def test_the_images_trained_on_are_shown(self, disc_run):
        assert "What the data is" in disc_run.report.read_text()


@pytest.fixture(scope="module")
def other_page(disc_run, other_data, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "evaluation.html"
    write_run_report(disc_run.folder, other_data, *scored(other_data), path=path)
    return path.read_text()


class TestOtherData:
    def test_the_data_that_were_scored_are_named(self, other_page):
        assert "<span>plates</span>" in other_page
        assert "What was scored" in other_page
        assert "plates" in other_page[other_page.index("Scored: images of") :]

    def test_the_split_of_the_training_is_not_theirs(self, other_page):
        assert "How the images were split" not in other_page

    def test_the_training_is_still_told(self, other_page):
        assert "How it learned" in other_page
        assert "How it was trained" in other_page

    def test_the_runs_own_page_stays(self, other_page, disc_run):
        assert disc_run.report.read_text() != other_page


def test_masks_without_a_run_have_a_page_without_a_training(other_data, tmp_path):
    path = tmp_path / "report.html"
    write_masks_report(other_data, *scored(other_data), path)
    page = path.read_text()
    assert "Mean Dice" in page
    assert not [words for words in ("How it learned", "How it was trained", "uvala predict") if words in page]


TOLD = (
    "never used for training",
    "never trained",
    "trained on",
    "chose the best weights",
    "trained the model",
)


class TestWhatTheScoredImagesWere:
    """The page says it of images that the run is known to have used, or not to, and of no others."""

    @pytest.mark.parametrize("subset", ["test", "val", "train", "all"])
    def test_of_masks_of_any_tool_nothing_is_known(self, other_data, tmp_path, subset):
        scores, gallery = scored(other_data)
        path = tmp_path / "report.html"
        write_masks_report(other_data, scores.model_copy(update={"subset": subset}), gallery, path)
        page = path.read_text()
        assert re.search(r"<h1>Mean Dice [\d.]+ on 4 images\.</h1>", page)
        assert not [words for words in TOLD if words in page]

    @pytest.mark.parametrize("subset", ["test", "val", "train"])
    def test_nor_of_imported_weights(self, disc_run, other_data, tmp_path, subset):
        folder = shutil.copytree(disc_run.path, tmp_path / "run")
        card = json.loads((folder / "card.json").read_text())
        card["data"]["imported"] = "model.pth: U-Net"
        (folder / "card.json").write_text(json.dumps(card))
        scores, gallery = scored(other_data)
        path = tmp_path / "report.html"
        write_run_report(
            open_run(folder), other_data, scores.model_copy(update={"subset": subset}), gallery, path
        )
        page = path.read_text()
        assert re.search(r"<h1>Mean Dice [\d.]+ on 4 images\.</h1>", page)
        assert not [words for words in TOLD if words in page]

    def test_nor_of_what_other_data_call_their_training_images(self, disc_run, other_data, tmp_path):
        scores, gallery = scored(other_data)
        path = tmp_path / "report.html"
        write_run_report(
            disc_run.folder, other_data, scores.model_copy(update={"subset": "train"}), gallery, path
        )
        assert re.search(r"<h1>Mean Dice [\d.]+ on 4 images\.</h1>", path.read_text())

    def test_a_test_list_with_images_of_the_training_is_called_that(self, disc_run, disc_data, tmp_path):
        split = disc_run.folder.split
        names = [*split.train[:2], split.val[0]]
        (tmp_path / "split.json").write_text(json.dumps({"test": names}))
        disc_run.evaluate(disc_data, split=tmp_path / "split.json", out=tmp_path / "out")
        page = (tmp_path / "out/report.html").read_text()
        assert "never used for training" not in page
        assert "Of 3 scored images, 2 trained the model and 1 chose the best weights" in page

    def test_images_that_chose_more_than_the_weights_are_said_to_have(self, disc_run, disc_data, tmp_path):
        folder = shutil.copytree(disc_run.path, tmp_path / "run")
        card = json.loads((folder / "card.json").read_text())
        card["temperature"], card["objects"]["images"] = 1.3, 4
        (folder / "card.json").write_text(json.dumps(card))
        load_run(folder).evaluate(disc_data, subset="val", task="instances", out=tmp_path / "out")
        page = (tmp_path / "out/report.html").read_text()
        assert (
            "These images chose the best weights, the temperature of its probabilities and how objects are"
            " found, so the score is slightly flattering."
        ) in page

    def test_the_measure_that_chose_how_objects_are_found_has_its_name(self, disc_run, disc_data, tmp_path):
        folder = shutil.copytree(disc_run.path, tmp_path / "run")
        card = json.loads((folder / "card.json").read_text())
        card["objects"] |= {"images": 4, "measure": "ap"}
        (folder / "card.json").write_text(json.dumps(card))
        scores = load_run(folder).evaluate(disc_data, subset="val", task="instances")
        assert scores.objects.method.endswith("settings chosen on 4 validation images by mean AP")
