"""What is kept of weights that a training begins from, and what is new."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

import uvala
from drawn import write_discs
from trainings import train_quickly
from uvala.api.fine_tuning import Source, read_source, seen_before, start_from
from uvala.data.dataset import read_dataset
from uvala.data.normalisation import Normalisation
from uvala.errors import ConfigError, RunError
from uvala.log import read_events
from uvala.models.catalog import create_model
from uvala.runs.card import NetworkCard

IMAGE = torch.rand(1, 1, 32, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
EXACT = {"rtol": 0, "atol": 1e-9}


def card(name="pocket_unet", in_channels=1, classes=2, logits=None, objects="classes", **options):
    options = options or {"width": 4}
    return NetworkCard(
        name=name,
        options=options,
        in_channels=in_channels,
        num_classes=classes,
        logits=logits,
        objects=objects,
    )


def network_of(card, state=None):
    torch.manual_seed(5)
    logits = card.logits or card.num_classes
    model = create_model(card.name, in_channels=card.in_channels, num_classes=logits, **card.options)
    model = model.double()
    if state is not None:
        model.load_state_dict(state)
    return model.eval()


def source_of(card, names=("background", "cell")):
    state = network_of(card).float().state_dict()
    return Source("an old run", card, names, Normalisation(low=(0.0,), high=(9.0,)), "uint8", state)


def logits_of(card, start, image=IMAGE):
    with torch.no_grad():
        return network_of(card, start.state)(image)[0]


class TestClasses:
    """Outputs of classes that the weights know are kept, whatever their order; those of others are fresh."""

    def test_the_same_classes_give_the_same_numbers(self):
        source = source_of(card())
        start = start_from(source, card(), ("background", "cell"), seed=0)
        assert_close(logits_of(card(), start), network_of(card(), source.state)(IMAGE)[0], **EXACT)

    def test_another_order_moves_the_outputs(self):
        source = source_of(card(classes=3), ("background", "cell", "wall"))
        start = start_from(source, card(classes=3), ("background", "Wall", "cell"), seed=0)
        before = network_of(card(classes=3), source.state)(IMAGE)[0]
        assert_close(logits_of(card(classes=3), start), before[[0, 2, 1]], **EXACT)

    def test_a_new_class_leaves_the_others_as_they_were(self):
        source = source_of(card())
        start = start_from(source, card(classes=4), ("background", "wall", "cell", "debris"), seed=0)
        before = network_of(card(), source.state)(IMAGE)[0]
        assert_close(logits_of(card(classes=4), start)[[0, 2]], before, **EXACT)
        assert start.notes[-1] == "its outputs are kept for background, cell, and fresh for wall, debris"

    def test_what_is_fresh_follows_the_seed(self):
        source = source_of(card())
        heads = [
            start_from(source, card(classes=3), ("background", "cell", "new"), seed=seed).state
            for seed in (1, 1, 2)
        ]
        same, other = (
            all(torch.equal(heads[0][key], heads[place][key]) for key in heads[0]) for place in (1, 2)
        )
        assert same
        assert not other

    def test_without_names_as_many_classes_are_the_same_ones(self):
        source = source_of(card(), names=())
        start = start_from(source, card(), ("sky", "tree"), seed=0)
        assert_close(logits_of(card(), start), network_of(card(), source.state)(IMAGE)[0], **EXACT)

    def test_of_a_single_logit_the_probabilities_are_kept(self):
        source = source_of(card(logits=1))
        start = start_from(source, card(), ("background", "cell"), seed=0)
        with torch.no_grad():
            before = network_of(card(logits=1), source.state)(IMAGE)[0].sigmoid()
        assert_close(logits_of(card(), start).softmax(dim=0)[1:], before, **EXACT)

    @pytest.mark.parametrize(
        ("learnt", "kept"), [("distance", True), ("borders", False)], ids=["the same", "another"]
    )
    def test_what_is_learnt_of_objects_is_kept_where_it_is_the_same(self, learnt, kept):
        old = card(logits=3, objects="distance")
        source = source_of(old)
        new = card(logits=3, objects=learnt)
        start = start_from(source, new, ("background", "cell"), seed=0)
        before = network_of(old, source.state)(IMAGE)[0]
        assert torch.allclose(logits_of(new, start)[2], before[2], **EXACT) == kept

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("unet", {"width": 4, "depth": 2, "fold": 2}),
            ("plain_conv_unet", {"widths": (4, 8)}),
            ("fcn8s_caffe", {"width": 2, "fc_width": 8}),
        ],
        ids=["folded", "deep supervision", "deconvolutions between classes"],
    )
    def test_wherever_a_network_has_its_classes(self, name, options):
        source = source_of(card(name, 3, 3, **options), ("a", "b", "c"))
        start = start_from(source, card(name, 3, 3, **options), ("c", "a", "b"), seed=0)
        image = IMAGE.expand(1, 3, 32, 40)
        before = network_of(source.network, source.state)(image)[0]
        assert_close(logits_of(source.network, start, image), before[[2, 0, 1]], **EXACT)


class TestChannels:
    """The first convolution is spread over the new channels, so that grey stays grey."""

    @pytest.mark.parametrize("after", [1, 2, 5])
    @pytest.mark.parametrize(
        ("name", "options"), [("pocket_unet", {"width": 4}), ("unet", {"width": 4, "depth": 2, "fold": 2})]
    )
    def test_channels_that_are_all_alike_give_the_numbers_that_they_gave_before(self, name, options, after):
        source = source_of(card(name, 3, **options))
        new = card(name, after, **options)
        start = start_from(source, new, ("background", "cell"), seed=0)
        before = network_of(source.network, source.state)(IMAGE.expand(1, 3, 32, 40))[0]
        found = logits_of(new, start, IMAGE.expand(1, after, 32, 40))
        assert_close(found, before, rtol=0, atol=1e-6)  # the sum is rounded to float32

    def test_is_told(self):
        start = start_from(source_of(card(in_channels=3)), card(), ("background", "cell"), seed=0)
        assert "its first convolution was for 3 channels: each of the 1 here gets the sum" in start.notes[1]


def test_another_network_is_refused():
    with pytest.raises(ConfigError, match=r"leave settings of model\.options out"):
        start_from(source_of(card()), card(width=8), ("background", "cell"), seed=0)


def test_the_scale_is_kept_for_images_of_the_same_kind(disc_data):
    dataset = read_dataset(disc_data)
    source = source_of(card())
    assert source.wishes_for(dataset).values["normalisation.high"] == (9.0,)
    assert not replace(source, dtype="uint16").wishes_for(dataset).values
    assert not replace(source, network=card(in_channels=3)).wishes_for(dataset).values


@pytest.fixture(scope="module")
def tuned(disc_run, tmp_path_factory):
    """The pocket network of the discs, trained on for two steps with discs of two kinds."""
    folder = tmp_path_factory.mktemp("tuned")
    data = write_discs(folder / "data", count=6, values=(0, 100, 200))
    return train_quickly(data, folder / "run", steps=2, model=None, start=disc_run.path)


class TestTraining:
    def test_takes_the_network_and_the_scale_from_the_run(self, tuned, disc_run):
        assert tuned.card.network.name == "pocket_unet"
        assert tuned.card.normalisation == disc_run.card.normalisation
        assert tuned.card.training.start == "the weights of run"
        assert "# the network of run\nname = " in tuned.folder.plan_path.read_text()

    def test_takes_a_third_of_the_rate_for_fresh_weights(self, tuned, disc_run):
        """Both have batches of 4."""
        fresh, given = (run.plan.optimiser.learning_rate for run in (disc_run, tuned))
        assert given == pytest.approx(fresh / 3, rel=0.02)
        assert "# the weights are good already: a third of" in tuned.folder.plan_path.read_text()

    def test_is_scored_before_its_first_step(self, tuned):
        steps = [e["step"] for e in read_events(tuned.folder.log_path) if e["event"] == "validation"]
        assert steps[0] == 0

    def test_begins_with_the_weights_of_the_run(self, tuned, disc_run):
        start, trained = (load_file(path) for path in (tuned.folder.start_path, disc_run.folder.weights_path))
        kept = [key for key in start if not key.startswith("head")]
        assert len(kept) > 20
        assert all(torch.equal(start[key], trained[key]) for key in kept)

    def test_a_resume_begins_with_them_too(self, disc_data, disc_run, tmp_path):
        class CutOff(BaseException):
            pass

        def cut(event):
            if event["event"] == "validation":
                raise CutOff

        options = {"steps": 4, "model": None, "start": disc_run.path}
        whole = train_quickly(disc_data, tmp_path / "whole", **options)
        with pytest.raises(CutOff):  # before there is a checkpoint
            train_quickly(disc_data, tmp_path / "cut", listener=cut, **options)
        resumed = uvala.train(tmp_path / "cut", resume=True)
        one, other = (load_file(run.folder.weights_path) for run in (whole, resumed))
        assert all(torch.equal(one[key], other[key]) for key in one)

    def test_says_what_is_kept_and_what_is_new(self, tuned):
        notes = [event["text"] for event in read_events(tuned.folder.log_path) if event["event"] == "note"]
        assert "its outputs are kept for background, and fresh for class 100, class 200" in notes

    @pytest.mark.parametrize(
        "settings", [{"model.name": "unet"}, {"model.options.width": 8}], ids=lambda each: next(iter(each))
    )
    def test_a_wish_for_another_network_is_refused(self, disc_run, disc_data, tmp_path, settings):
        with pytest.raises(ConfigError, match="with the weights of run, where it is"):
            uvala.train(disc_data, out=tmp_path / "new", start=disc_run.path, epochs=1, settings=settings)
        assert not (tmp_path / "new").exists()

    def test_what_is_no_run_is_refused(self, disc_data, tmp_path):
        with pytest.raises(RunError, match=r"no card\.json"):
            uvala.train(disc_data, out=tmp_path / "new", start=disc_data, epochs=1)
        assert not (tmp_path / "new").exists()

    def test_of_another_projects_checkpoint(self, disc_data, tmp_path):
        theirs = uvala.to_peer(
            "milesial", create_model("pytorch_unet", in_channels=3, num_classes=2, width=4)
        )
        torch.save(theirs, tmp_path / "theirs.pth")
        run = train_quickly(
            disc_data, tmp_path / "run", steps=1, model=None, start=tmp_path / "theirs.pth", settings={}
        )
        assert run.card.network.name == "pytorch_unet"
        assert run.card.network.in_channels == 1


class TestImagesThatWereTrainedOn:
    """Weights that have seen an image are scored too well on it."""

    @pytest.fixture(scope="class")
    @classmethod
    def again(cls, disc_data, disc_run, tmp_path_factory):
        """The discs once more, renamed, with four images held out of which the run has seen three."""
        folder = tmp_path_factory.mktemp("again")
        data = shutil.copytree(disc_data, folder / "data")
        for path in data.glob("*/*.png"):
            path.rename(path.with_name(f"new-{path.name}"))
        split = disc_run.folder.split
        test, val = (split.val[0], *split.train[:2]), split.train[2:3]
        lists = {"test": [f"new-{name}" for name in test], "val": [f"new-{name}" for name in val]}
        (folder / "split.json").write_text(json.dumps(lists))
        options = {"steps": 2, "model": None, "start": disc_run.path, "split": folder / "split.json"}
        return train_quickly(data, folder / "run", **options)

    SENTENCE = (
        "run was trained on 1 of the 1 validation images and 2 of the 3 test images: the scores of these are "
        "too good"
    )

    def test_are_told_in_log_card_and_report(self, again):
        warnings = [e["text"] for e in read_events(again.folder.log_path) if e["event"] == "warning"]
        assert self.SENTENCE in warnings
        assert again.card.data.notes[0] == self.SENTENCE
        assert self.SENTENCE in again.report.read_text()

    def test_are_told_after_a_resume_too(self, again, tmp_path):
        shutil.copytree(again.path, tmp_path / "run")
        run = uvala.train(tmp_path / "run", resume=True, settings={"length.steps": 4})
        assert self.SENTENCE in run.report.read_text()

    def test_of_folds_all_that_is_not_held_out_counts(self, disc_data, disc_run):
        split = disc_run.folder.split
        seen = len(split.train)
        text = seen_before(read_source(disc_run.path), read_dataset(disc_data), split, folds=3)
        assert text.startswith(f"run was trained on {seen} of the 12 validation images:")

    def test_with_the_same_split_there_are_none(self, disc_data, disc_run):
        split = disc_run.folder.split
        assert seen_before(read_source(disc_run.path), read_dataset(disc_data), split, folds=1) == ""

    def test_of_a_file_nobody_knows(self, disc_data, disc_run, tmp_path):
        model = create_model("pytorch_unet", in_channels=1, num_classes=2, width=4)
        torch.save(uvala.to_peer("milesial", model), tmp_path / "theirs.pth")
        source = read_source(tmp_path / "theirs.pth")
        assert not source.trained_on
        assert seen_before(source, read_dataset(disc_data), disc_run.folder.split, folds=3) == ""


def test_a_checkpoint_brings_the_scale_of_its_project(tmp_path):
    model = create_model("pytorch_unet", in_channels=1, num_classes=2, width=4)
    torch.save(uvala.to_peer("milesial", model), tmp_path / "theirs.pth")
    source = read_source(tmp_path / "theirs.pth")
    assert (source.normalisation.low, source.normalisation.high) == ((-255.0,), (255.0,))
    assert source.names == ()


def test_a_network_that_saw_nothing_clipped_is_trained_so(disc_run, disc_data, tmp_path):
    path = shutil.copytree(disc_run.path, tmp_path / "old")
    card = json.loads((path / "card.json").read_text())
    card["normalisation"]["limit"] = None
    (path / "card.json").write_text(json.dumps(card))
    run = train_quickly(disc_data, tmp_path / "run", steps=1, start=path, model=None)
    assert run.card.normalisation.limit == 0
    assert uvala.load_run(run.path).plan.normalisation == run.card.normalisation
