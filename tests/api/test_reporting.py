"""What the page of a run says, and what it says of masks without a run."""

import numpy as np
import pytest

from drawn import write_discs
from uvala.api.gallery import Gallery
from uvala.api.reporting import write_masks_report, write_run_report
from uvala.data.dataset import read_dataset
from uvala.evaluation.evaluate import evaluate
from uvala.log import read_events
from uvala.report.content import Case


@pytest.fixture(scope="module")
def other_data(tmp_path_factory):
    """Discs of other images than those that the run has seen."""
    return read_dataset(write_discs(tmp_path_factory.mktemp("other") / "plates", count=4, size=(40, 40)))


def scored(dataset):
    """Scores and cases of predictions that are the truth, a row too low."""
    gallery, cases = Gallery(2), []
    for sample in dataset.samples:
        truth = dataset.classes(sample)
        cases.append((sample.name, np.roll(truth, 1, axis=0), truth))
        gallery.add(Case(sample.name, dataset.image(sample), truth, cases[-1][1], 0.5))
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
