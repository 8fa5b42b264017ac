"""The page needs nothing but itself, says everything, and cannot be broken by what it is given."""

import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

from uvala.errors import StorageError
from uvala.report.content import Example, ShownCase
from uvala.report.pages import render, write_report

SECTIONS = ["worst", "scores", "images", "method", "curves", "data", "training", "use"]
EVIL = "<script>alert('1')</script>\"><b>&amp;.png"


class TestSelfContained:
    def test_every_picture_is_inside_the_file(self, page):
        assert page.values("src")
        assert all(source.startswith("data:image/") for source in page.values("src"))

    def test_every_link_stays_in_the_page(self, page):
        targets = {f"#{name}" for name in page.values("id")} | {"data:,"}
        assert set(page.values("href")) <= targets

    def test_styles_load_nothing(self, page):
        style = page.html[page.html.index("<style>") : page.html.index("</style>")]
        assert "@import" not in style
        assert "url(" not in style

    def test_the_only_script_is_the_one_that_the_page_allows(self, page):
        (script,) = re.findall(r"<script>(.*?)</script>", page.html, flags=re.DOTALL)
        hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert any(f"script-src 'sha256-{hashed}'" in value for value in page.values("content"))
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]

    def test_no_id_stands_twice(self, look, make, complete):
        ids = look(complete(make())).values("id")
        assert len(ids) == len(set(ids))

    def test_a_browser_is_told_to_load_nothing(self, page):
        assert any(value.startswith("default-src 'none'") for value in page.values("content"))

    def test_every_element_is_closed(self, page):
        assert page.open == []


class TestSections:
    def test_all_are_there_in_order(self, page):
        assert page.ids("section") == SECTIONS

    def test_warnings_come_before_everything_else(self, look, make):
        page = look(make(warnings=["two images are alike"]))
        assert page.ids("section") == ["warnings", *SECTIONS]
        assert "two images are alike" in page.words

    def test_each_part_of_the_scores_has_its_section(self, look, make, complete):
        added = ["objects", "cells", "probabilities"]
        ids = look(complete(make(), "membranes")).ids("section")
        assert ids == [*SECTIONS[:2], *added, *SECTIONS[2:]]

    def test_links_of_the_contents_are_the_sections(self, look, make, complete):
        page = look(complete(make(), "membranes"))
        assert [href for href in page.values("href") if href[1:] in page.ids("section")] == [
            f"#{name}" for name in page.ids("section")
        ]

    def test_the_box_comes_first(self, look, make, complete):
        page = look(complete(make()))
        assert page.ids("dl") == ["summary"]
        assert page.html.index('id="summary"') < page.html.index("<section")
        assert "Of 100 objects it finds 87" in page.words

    def test_without_a_log_nothing_is_said_about_learning(self, look, make):
        page = look(make(events=[]))
        assert "curves" not in page.ids("section")

    def test_weights_of_others_were_not_trained_here(self, look, make):
        card = {"classes": ["background", "cell"], "model": "unet", "imported": "nnU-Net"}
        page = look(make(card=card, events=[], samples_scored=True, scored_data="data/cells"))
        assert "Training time" not in page.words
        assert "The weights are a checkpoint of nnU-Net, scored here." in page.words
        assert "Scored: images of data/cells" in page.words
        assert "uvala evaluate RUN data/cells" in page.words

    def test_warnings_of_the_log_are_shown_once(self, look, make):
        event = {"event": "warning", "time": 1.0, "text": "a truncated PNG was skipped"}
        page = look(make(events=[event, event]))
        assert page.words.count("a truncated PNG was skipped") == 1

    def test_the_verdict_is_the_heading(self, make):
        html = render(make())
        scores = make().scores
        assert f"<h1>Mean Dice {scores.mean_dice:.3f} on 6 test images never used for training.</h1>" in html

    @pytest.mark.parametrize(
        "words",
        [
            "9 min 41 s",  # training time
            "1.94 million parameters",
            "drawn with seed 1",  # origin of the split
            "the images are no larger",  # reason of a setting
            "8 images of 96x96",  # note about the data
            "uvala predict",
            "uvala evaluate",
            "uvala.load_run",
        ],
    )
    def test_facts_are_printed(self, page, words):
        assert words in page.words

    def test_the_run_folder_in_the_commands_can_be_pasted_into_a_shell(self, look, make):
        page = look(make(card={"classes": ["a", "b"], "run": "my runs/1"}))
        assert "uvala predict 'my runs/1' IMAGES --out MASKS" in page.words

    def test_ignored_values_have_no_class_colour(self, look, make):
        rows = [("0", "background", 0.8, 3), ("255", "ignored", 0.2, 3)]
        page = look(make(encoding_rows=rows))
        assert "swatch none" in page.values("class")


class TestCases:
    def test_the_worst_come_first(self, look, make, make_case):
        cases = [make_case(f"{shift}.png", shift) for shift in (3, 9, 1, 6)]
        page = look(make(cases, worst=[*make(cases).worst][::-1], typical=[]))
        names = [page.html.index(f'<div class="name">{shift}.png') for shift in (9, 6, 3)]
        assert names == sorted(names)

    def test_each_shows_image_truth_prediction_and_errors(self, look, make, make_case):
        page = look(make([make_case("a.png")], samples=[]))
        shown = [alternative.split(" of ")[0] for alternative in page.values("alt")]
        assert shown == ["image", "truth", "prediction", "errors"]

    def test_of_objects_the_kinds_of_errors_are_shown(self, look, make, make_case, objects_in):
        case = objects_in(make_case("a.png", shift=1))
        page = look(make([case], typical=[], worst=[case]))
        assert "2 true objects: 1 missed." in page.words
        assert "outline of a true object" in page.words

    def test_the_best_are_there_to_open(self, look, make, make_case):
        best = make_case("best.png", shift=0)
        page = look(make(best=[best]))
        assert page.ids("article")[-1] == "best-1"

    def test_cases_are_ranked_by_the_main_measure(self, look, make, make_case):
        cases = [replace(make_case(f"{n}.png", shift=n), score=n / 10) for n in (3, 1, 2)]
        page = look(make(cases, worst=cases, typical=[]))
        places = [page.html.index(f'<div class="name">{n}.png') for n in (1, 2)]
        assert places == sorted(places)

    def test_no_image_is_shown_twice(self, look, make):
        data = make()
        page = look(replace(data, typical=[data.worst[0], *data.typical]))
        cases = [alternative for alternative in page.values("alt") if alternative.startswith("errors")]
        assert len(cases) == len(set(cases))

    def test_a_dot_leads_to_the_case_of_its_image(self, page):
        linked = {href for href in page.values("href") if href.startswith("#worst-")}
        assert {f"#{name}" for name in page.ids("article") if name.startswith("worst-")} == linked


class TestHostileNames:
    def test_names_never_become_markup(self, look, make, make_case):
        plain, hostile = (
            look(
                make(
                    [make_case(name, shift) for shift in (1, 2)][:1],
                    names=(f"{name}0", f"{name}1"),
                    title=name,
                    split_origin=name,
                    data_notes=[name],
                    warnings=[name],
                    settings=[(name, name, name)],
                    events=[{"event": "note", "time": 0, "text": name}, *make().events],
                )
            )
            for name in ("harmless", EVIL)
        )
        assert hostile.tags == plain.tags
        assert EVIL in hostile.text


class TestLittleToShow:
    def test_without_scores_the_page_says_so(self, look, make):
        page = look(make([]))
        assert "This run has no scores yet." in page.words
        assert page.ids("section") == [name for name in SECTIONS if name not in ("images", "method")]

    def test_one_image_is_shown_once_and_called_a_rough_estimate(self, look, make, make_case):
        page = look(make([make_case("only.png")]))
        assert page.ids("article") == ["top-1"]
        assert "Only one image was scored: the one above." in page.words
        assert "rough estimate" in page.words

    def test_of_two_images_none_is_called_the_worst(self, look, make, make_case):
        first, second = make_case("a.png"), make_case("b.png")
        page = look(make([first, second], worst=[first], typical=[first, second]))
        assert "Too few images were scored to tell the worst of them from the others." in page.words

    def test_an_image_without_labels_has_a_dash_for_a_score(self, look, make, make_case):
        case = make_case("void.png")
        void = replace(case, truth=np.full_like(case.truth, 255))
        page = look(make([void, make_case("a.png")], worst=[void], typical=[]))
        assert "No pixel of this image is labelled." in page.words
        assert "nan" not in page.words.lower()

    def test_a_class_in_no_image_has_no_score(self, look, make, make_case):
        page = look(make([make_case("a.png")], names=("background", "cell", "debris")))
        assert "debris does not occur in these images" in page.words

    def test_losses_that_are_not_numbers_are_passed_over(self, look, make, log):
        broken = [{**event, "loss": float("nan")} if event["event"] == "step" else event for event in log()]
        none = [{**event, "mean_dice": None, "dice": [None, None]} for event in broken]
        page = look(make(events=broken))
        assert not [value for value in [page.words, *page.values("d"), *page.values("y")] if "nan" in value]
        assert "The log of this run holds no curves." in look(make(events=none)).words


class TestSize:
    def test_grainy_pictures_stay_below_five_megabytes(self, make):
        random = np.random.default_rng(0)

        def grain(name):
            truth = random.integers(0, 2, (1024, 1024), dtype=np.uint8)
            return ShownCase(
                name, random.integers(0, 256, (3, 1024, 1024), dtype=np.uint8), truth, truth[::-1].copy(), 0.5
            )

        cases = [grain(f"{number}.png") for number in range(2)]
        one = len(render(make(cases[:1], samples=[])))
        two = len(render(make(cases[:2], worst=cases[:2], typical=cases[:1], samples=[])))
        sample = len(render(make(cases[:1], samples=[Example("s", cases[0].image, cases[0].truth)])))
        assert one + 9 * (two - one) + 12 * (sample - one) < 5_000_000

    def test_no_more_pictures_than_can_be_looked_at(self, look, make, make_case):
        cases = [make_case(f"{number}.png", 1 + number % 9, size=32) for number in range(40)]
        data = make(cases, best=cases[20:])
        examples = [Example(case.name, case.image, case.truth) for case in cases]
        page = look(replace(data, worst=cases, typical=cases, samples=examples))
        assert page.tags.count("article") == 1 + 5 + 2 + 2
        assert page.tags.count("img") == 10 * 4 + 12

    def test_five_hundred_images_add_little(self, make, complete):
        data = complete(make())
        images = tuple(
            data.scores.images[number % 6].model_copy(update={"name": f"plate 7/well {number:03d}.tif"})
            for number in range(500)
        )
        many = replace(data, scores=data.scores.model_copy(update={"images": images}))
        assert len(render(many)) - len(render(data)) < 400_000

    def test_an_image_of_4000x4000_is_shown_in_part(self, make, make_case):
        assert len(render(make([make_case("slide.tif", shift=9, size=4000)]))) < 700_000

    def test_254_classes_fit(self, look, make):
        truth = np.arange(254, dtype=np.uint8).repeat(9).reshape(18, 127)
        case = ShownCase("a.png", truth[None], truth, np.roll(truth, 1, axis=1), None)
        page = look(make([case], names=[f"class {number}" for number in range(254)]))
        assert "class 253" in page.words
        assert len(page.html) < 500_000


def test_a_report_that_cannot_be_written_leaves_the_old_one(make, tmp_path):
    path = tmp_path / "report.html"
    write_report(path, make([]))
    before = path.read_bytes()
    with pytest.raises(StorageError):
        write_report(path / "below-a-file.html", make([]))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
