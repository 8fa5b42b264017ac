"""What is decided for which data, in which time, on which machine."""

import math
from dataclasses import replace

import pytest
import torch

from drawn import write_cells, write_discs, write_touching_squares
from machines import GPU, SLOW_CPU, SMALL_GPU, TWO_CORES, FakeMachine
from uvala.arrays import Size
from uvala.augment.config import AugmentConfig
from uvala.data.dataset import read_dataset
from uvala.data.fingerprint import take_fingerprint
from uvala.errors import ConfigError
from uvala.plan.budget import Clock
from uvala.plan.decisions.folds import folds_advice, folds_for
from uvala.plan.planner import make_plan
from uvala.plan.probe import StepCost
from uvala.plan.schema import Plan, plan_values
from uvala.plan.work import Candidate, work_of

BUDGETS = (60, 120, 600, 1800, 7200, 5 * 86400)
MACHINES = ["slow cpu", "two cores", "gpu", "small gpu"]


class WithoutCompiler(FakeMachine):
    """A machine on which torch.compile fails."""

    def probe(self, candidate: Candidate, seconds: float) -> StepCost:
        if candidate.compile:
            return StepCost(math.inf, trouble="no C++ compiler")
        return super().probe(candidate, seconds)


class DisturbedOnce(FakeMachine):
    """A machine that does something else while half precision is looked at for the first time."""

    def probe(self, candidate: Candidate, seconds: float) -> StepCost:
        cost = super().probe(candidate, seconds)
        if candidate.precision != "bfloat16" or "disturbed" in vars(self):
            return cost
        vars(self)["disturbed"] = True
        return replace(cost, seconds=2 * cost.seconds)


class Data:
    """A drawn data set whose facts may be replaced, so that one drawing stands for many kinds of data."""

    def __init__(self, folder):
        size = Size(512, 512)
        self.dataset = read_dataset(folder)
        facts = take_fingerprint(self.dataset, self.dataset.samples)
        self.facts = facts.model_copy(update={"smallest": size, "median": size, "largest": size})
        for name in self.dataset.sizes:
            self.dataset.sizes[name] = size  # the plan never opens an image again

    def like(self, **objects) -> "Data":
        return self.with_facts(objects=self.facts.objects.model_copy(update=objects))

    def with_facts(self, **facts) -> "Data":
        other = Data.__new__(Data)
        other.dataset = self.dataset
        other.facts = self.facts.model_copy(update=facts)
        return other

    def plan(self, fake=TWO_CORES, budget=600, pixels_after=0, given=False, **settings):
        length = {} if any(path.startswith("length.") for path in settings) else {"length.budget": budget}
        return make_plan(
            self.dataset,
            self.dataset.samples,
            settings={**length, **settings},
            clock=Clock(length.get("length.budget")),
            device=torch.device(fake.kind),
            facts=self.facts,
            machine=fake.machine,
            probe=fake.probe,
            pixels_after=pixels_after,
            given=given,
        )


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> Data:
    return Data(write_touching_squares(tmp_path_factory.mktemp("objects") / "data"))


@pytest.fixture(scope="module")
def membranes(tmp_path_factory) -> Data:
    return Data(write_cells(tmp_path_factory.mktemp("membranes") / "data"))


@pytest.fixture(scope="module")
def classes(tmp_path_factory) -> Data:
    folder = write_discs(tmp_path_factory.mktemp("classes") / "data", values=(0, 1, 2), size=(96, 96))
    return Data(folder).like(thickness=(100.0, 20.0, 14.0))


@pytest.fixture(scope="module")
def streets(tmp_path_factory) -> Data:
    """As thick as some classes of CamVid: sky, poles, cyclists, signs, cars and the road."""
    folder = write_discs(tmp_path_factory.mktemp("streets") / "data", values=tuple(range(6)))
    return Data(folder).like(thickness=(5.5, 3.5, 9.5, 17.5, 35.5, 163.5))


@pytest.fixture(scope="module", params=["objects", "membranes", "classes"])
def data(request) -> Data:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=[SLOW_CPU, TWO_CORES, GPU, SMALL_GPU], ids=MACHINES)
def fake(request) -> FakeMachine:
    return request.param


@pytest.fixture(scope="module")
def plans(data, fake) -> list[Plan]:
    """Of one kind of data and machine, with more and more time."""
    return [data.plan(fake, budget)[0] for budget in BUDGETS]


class TestMoreTime:
    def test_never_buys_a_lesser_network(self, plans):
        """Counted in multiply-adds for each pixel of an image."""
        work = [work_of(step_of(plan)).multiply_adds / plan.patches.size**2 for plan in plans]
        assert work == sorted(work)
        assert work[-1] > 2 * work[0]

    def test_never_buys_a_narrower_one_at_the_same_resolution(self, plans):
        widths: dict[int, list[int]] = {}
        for plan in plans:
            widths.setdefault(plan.model.options["fold"], []).append(plan.model.options["width"])
        assert all(found == sorted(found) for found in widths.values())

    def test_never_asks_for_more_memory_than_there_is(self, plans, fake):
        for plan in plans:
            needed = work_of(step_of(plan)).memory(plan.patches.batch, half=fake.kind == "cuda")
            assert needed <= fake.memory


def step_of(plan: Plan) -> Candidate:
    candidate = Candidate(plan.model.name, 1, 3, plan.patches.size, plan.patches.batch)
    return candidate.with_options(plan.model.options)


class TestResolution:
    """Half the resolution makes more than twice as many steps, and loses what is narrower than that."""

    @pytest.mark.parametrize(("width", "fold"), [(5.0, 1), (6.5, 1), (7.0, 2), (15.0, 2), (16.0, 4)])
    def test_small_objects_keep_about_four_pixels(self, objects, width, fold):
        data = objects.like(width=(width, 20.0, 40.0))
        assert data.plan()[0].model.options["fold"] == fold

    @pytest.mark.parametrize(("thickness", "fold"), [(3.0, 1), (5.5, 2)])
    def test_membranes_hang_together_and_need_fewer(self, membranes, thickness, fold):
        plan, reasons = membranes.like(thickness=(thickness, 30.0)).plan()
        assert plan.model.options["fold"] == fold
        assert f"membranes are about {thickness:.0f} pixels" in reasons["model.options.fold"]

    def test_images_without_objects_do_not_hide_those_of_others(self, membranes):
        """Defects of 5 pixels in less than half of the images: the median image has none."""
        found = {"objects": 0.0, "width": (5.0, 8.0, 12.0), "thickness": (200.0, 5.5), "pieces": (1.0, 0.0)}
        plan, reasons = membranes.like(**found).plan()
        assert plan.model.options["fold"] == 1
        assert "a tenth of the objects is at most 5 pixels wide" in reasons["model.options.fold"]

    def test_the_thinnest_of_few_classes_counts(self, classes):
        """A vessel beside an organ."""
        plan, reasons = classes.like(thickness=(200.0, 80.0, 4.0)).plan()
        assert plan.model.options["fold"] == 1
        assert "is about 4 pixels wide" in reasons["model.options.fold"]

    def test_of_many_classes_half_are_finer(self, streets):
        plan, reasons = streets.plan()
        assert plan.model.options["fold"] == 2
        assert "half of the classes besides" in reasons["model.options.fold"]
        assert "at most 18 pixels wide" in reasons["model.options.fold"]

    def test_there_is_no_full_resolution_without_steps(self, objects):
        data = objects.like(width=(5.0, 10.0, 20.0))
        plan, reasons = data.plan(SLOW_CPU, 60)
        assert plan.model.options["fold"] == 2
        assert "only time for" in reasons["model.options.fold"]

    def test_time_buys_it_back(self, classes):
        folds = [classes.plan(TWO_CORES, budget)[0].model.options["fold"] for budget in (300, 86400)]
        assert folds == [2, 1]

    def test_the_coarsest_level_has_eight_pixels_of_a_patch(self, classes):
        for size in (32, 64, 256, 512):
            plan, _ = classes.plan(**{"patches.size": size})
            assert size // (plan.model.options["fold"] * 2 ** plan.model.options["depth"]) >= min(
                8, size // 4
            )

    def test_large_things_need_a_deeper_network(self, objects):
        depths = [
            objects.like(width=(20.0, 30.0, large)).plan(
                GPU, **{"patches.size": 512, "model.options.fold": 1}
            )
            for large in (40.0, 400.0)
        ]
        assert depths[0][0].model.options["depth"] < depths[1][0].model.options["depth"]


class TestShortcuts:
    def test_are_for_masks_of_classes(self, classes, objects, membranes):
        plan, reasons = classes.plan()
        assert plan.model.options["residual"]
        assert "shortcuts" in reasons["model.options.residual"]
        for others in (objects, membranes):
            assert not others.plan()[0].model.options.get("residual")

    def test_are_left_out_on_request(self, classes):
        assert not classes.plan(**{"model.options.residual": False})[0].model.options["residual"]


class TestBatch:
    def test_is_smaller_where_steps_would_be_few(self, classes):
        plan, reasons = classes.plan(SLOW_CPU, 60)
        assert plan.patches.batch == 2
        assert "steps" in reasons["patches.batch"]

    def test_of_several_processes_is_a_multiple_of_their_number(self, classes):
        for ranks in (1, 2, 3, 4):
            plan, _ = make_plan(
                classes.dataset,
                classes.dataset.samples,
                settings={"length.steps": 10},
                clock=Clock(None),
                device=torch.device("cpu"),
                facts=classes.facts,
                ranks=ranks,
            )
            assert plan.patches.batch % ranks == 0
            assert plan.patches.batch // ranks >= 2

    def test_of_one_forbids_batch_norm(self, classes):
        plan, reasons = classes.plan(**{"patches.batch": 1})
        assert plan.model.options["norm"] == "group"
        assert "batch of one" in reasons["model.options.norm"]

    def test_worked_off_in_parts_needs_no_smaller_one(self, classes):
        plan, _ = classes.plan(SMALL_GPU, 86400, **{"optimiser.accumulate": 16})
        assert plan.patches.batch == 16

    def test_makes_room_for_a_wider_network_on_a_small_gpu(self, classes):
        plan, reasons = classes.plan(SMALL_GPU, 86400)
        assert 4 <= plan.patches.batch < 16
        assert "memory" in reasons["patches.batch"]


class TestPatches:
    """At a quarter of the resolution a network has time for larger ones."""

    @pytest.fixture
    def coarse(self, classes):
        return classes.like(thickness=(100.0, 80.0, 60.0))

    def test_are_as_large_as_the_resolution_that_is_taken_lets_them(self, coarse):
        plans = [coarse.plan(TWO_CORES, budget)[0] for budget in BUDGETS]
        assert {plan.model.options["fold"] for plan in plans} == {1, 2, 4}
        for plan in plans:
            assert plan.patches.size == {1: 256, 2: 256, 4: 384}[plan.model.options["fold"]]

    @pytest.mark.parametrize("settings", [{"model.options.fold": 1}, {"model.name": "pytorch_unet"}])
    def test_are_not_larger_where_the_resolution_stays(self, coarse, settings):
        assert coarse.plan(**settings)[0].patches.size == 256

    def test_of_whole_images_are_not_said_to_differ(self, classes):
        whole = classes.with_facts()
        whole.dataset = replace(classes.dataset, sizes=dict.fromkeys(classes.dataset.sizes, Size(256, 256)))
        assert whole.plan()[1]["patches.size"] == "the images' shorter side is about 256 pixels"


class TestSampling:
    @pytest.mark.parametrize(("wish", "share"), [(0.0, 0.33), (0.6, 0.33), (0.7, 0.3), (1.0, 0.0)])
    def test_leaves_room_for_patches_around_objects(self, membranes, wish, share):
        assert membranes.plan(**{"patches.object_share": wish})[0].patches.class_share == share

    def test_of_a_rare_class_does_so_too(self, membranes):
        rare = membranes.with_facts(class_shares=(0.01, 0.99))
        plan, reasons = rare.plan(**{"patches.object_share": 0.6})
        assert plan.patches.class_share == pytest.approx(0.4)
        assert reasons["patches.class_share"].startswith("what patches around objects leave")

    def test_more_than_the_whole_is_refused_where_both_were_asked_for(self, membranes):
        with pytest.raises(ConfigError, match="add up to more than 1"):
            membranes.plan(**{"patches.object_share": 0.6, "patches.class_share": 0.5})

    def test_a_class_in_few_images_is_not_said_to_be_anywhere(self, membranes):
        few = membranes.with_facts(class_shares=(0.97, 0.03), class_images=(50, 1), images=50)
        assert "in 1 image of 50" in few.plan()[1]["patches.class_share"]


class TestTargets:
    def test_gaps_between_numbered_objects_weigh_more(self, objects):
        """As of the nuclei of DSB2018, 35% of which touch, with a gap or without."""
        plan, reasons = objects.like(touching=0.35, adjoining=0.35).plan()
        assert plan.targets.objects == "weights"
        assert "35% of them touch: gaps between them weigh more" in reasons["targets.objects"]

    def test_of_objects_without_gaps_outlines_are_learnt(self, objects):
        plan, reasons = objects.plan()
        assert plan.targets.objects == "borders"
        assert "67% of them share an edge" in reasons["targets.objects"]

    def test_where_none_touch_nothing_is_said_of_it(self, objects):
        plan, reasons = objects.like(touching=0.0, adjoining=0.0).plan()
        assert plan.targets.objects == "weights"
        assert "touch" not in reasons["targets.objects"]

    def test_so_do_membranes(self, membranes):
        plan, reasons = membranes.plan()
        assert plan.targets.objects == "weights"
        assert "membranes of 2 pixels" in reasons["targets.objects"]

    def test_classes_are_classes(self, classes):
        assert classes.plan()[0].targets.objects == "classes"


class TestLoss:
    def test_cldice_is_told_which_classes_are_thin(self, membranes):
        plan, reasons = membranes.like(thickness=(6.0, 30.0)).plan(**{"loss.cldice": 0.5})
        assert (plan.loss.cldice_classes, plan.loss.cldice_iterations) == ((0,), 3)
        assert "6 pixels thick" in reasons["loss.cldice_classes"]

    def test_of_thick_ones_it_thins_no_more_than_it_can(self, membranes):
        plan, _ = membranes.like(thickness=(300.0, 900.0)).plan(**{"loss.cldice": 0.5})
        assert plan.loss.cldice_iterations == 100

    def test_a_class_that_is_not_there_is_refused(self, membranes):
        with pytest.raises(ConfigError, match=r"class 7 in loss\.cldice_classes"):
            membranes.plan(**{"loss.cldice_classes": (0, 7)})


class TestLearning:
    def test_networks_without_norms_learn_slowly(self, classes):
        """They diverge at 1e-4 to 3e-3: docs/benchmarks.md, one step of every network."""
        rates = {
            name: classes.plan(**{"model.name": name, "length.steps": 5})[0].optimiser.learning_rate
            for name in ("unet", "pytorch_unet", "fcn32s")
        }
        assert rates["fcn32s"] <= 1e-4 < rates["pytorch_unet"] <= 1e-3 < rates["unet"]

    @pytest.mark.parametrize("norm", ["instance", "group"])
    def test_norms_of_any_kind_bear_the_same_rate(self, classes, norm):
        rates = {
            each: classes.plan(**{"model.options.norm": each})[0].optimiser.learning_rate
            for each in ("batch", norm)
        }
        assert rates[norm] == rates["batch"]

    def test_pretrained_encoders_learn_slowly(self, classes):
        settings = {"model.name": "unet:resnet18", "model.options.pretrained": True, "length.steps": 5}
        plan, reasons = classes.plan(**settings)
        assert plan.optimiser.learning_rate == pytest.approx(3e-4)
        assert "worth keeping" in reasons["optimiser.learning_rate"]

    def test_other_optimisers_keep_what_their_user_said(self, classes):
        plan, reasons = classes.plan(**{"optimiser.name": "sgd", "optimiser.learning_rate": 0.01})
        assert plan.optimiser.learning_rate == 0.01
        assert reasons["optimiser.learning_rate"] == "set by you"

    @pytest.mark.parametrize("name", ["unet", "pytorch_unet", "fcn32s"])
    def test_weights_that_are_good_already_learn_at_a_third_of_the_rate(self, classes, name):
        settings = {"model.name": name, "length.steps": 5}
        fresh, given = (classes.plan(given=given, **settings) for given in (False, True))
        rates = [plan.optimiser.learning_rate for plan, _ in (fresh, given)]
        assert rates[1] == pytest.approx(rates[0] / 3, rel=0.02)
        path = "optimiser.learning_rate"
        said = f"good already: a third of {rates[0]:.2g}, the rate for fresh ones: {fresh[1][path]}"
        assert given[1][path].endswith(said)

    def test_so_they_do_with_another_optimiser(self, classes):
        fresh, given = (
            classes.plan(given=given, **{"optimiser.name": "sgd"})[0].optimiser.learning_rate
            for given in (False, True)
        )
        assert given == pytest.approx(fresh / 3, rel=0.02)

    @pytest.mark.parametrize("steps", [20, 200, 2000, 200_000])
    def test_the_average_looks_back_over_a_small_share_of_the_steps(self, classes, steps):
        plan, _ = classes.plan(**{"length.steps": steps})
        assert 1 / (1 - plan.optimiser.average) <= max(10.1, 0.05 * steps)

    @pytest.mark.parametrize(("steps", "least", "most"), [(100, 5, 20), (2000, 50, 100), (10**6, 900, 1100)])
    def test_warm_up_takes_some_steps_and_not_too_many(self, classes, steps, least, most):
        plan, _ = classes.plan(**{"length.steps": steps})
        assert least <= plan.optimiser.warmup * steps <= most

    def test_epochs_are_counted_in_steps(self, classes):
        """8 images of 512x512 are 4 patches of 256 each: 32 patches an epoch, 8 steps of 4."""
        _, reasons = classes.plan(**{"length.epochs": 10, "patches.size": 256, "patches.batch": 4})
        assert "of 80 steps" in reasons["optimiser.warmup"]


class TestAugmentation:
    def test_images_that_are_seen_seldom_are_flipped_and_turned_and_no_more(self, classes):
        rarely, reasons = classes.plan(**{"length.steps": 20})
        shares = {name: share for name, share in rarely.augment if name.endswith("_probability")}
        assert not any(shares.values())
        assert rarely.augment.flip_horizontal
        assert "each image is seen about" in reasons["augment.elastic_probability"]

    def test_images_that_are_seen_often_are_bent_more_often(self, classes):
        usual, often = (
            classes.plan(**{"length.steps": steps})[0].augment.elastic_probability for steps in (1000, 50_000)
        )
        assert usual == AugmentConfig().elastic_probability
        assert often > usual

    def test_thin_structures_are_not_blurred(self, membranes):
        sharp = membranes.like(thickness=(3.0, 30.0)).plan()[0].augment.blur_probability
        thick = membranes.like(thickness=(9.0, 30.0)).plan()[0].augment.blur_probability
        assert sharp < thick


class TestPrediction:
    def test_there_are_eight_views_where_all_directions_are_equal(self, objects):
        plan, reasons = objects.plan(TWO_CORES, 600, pixels_after=10**6)
        views = plan.test_time
        assert (views.flip_vertical, views.flip_horizontal, views.quarter_turns) == (True, True, True)
        assert "mean of 8 views" in reasons["test_time.quarter_turns"]

    def test_fewer_views_where_time_is_short(self, objects):
        views = [
            objects.plan(TWO_CORES, 600, pixels_after=pixels)[0].test_time
            for pixels in (10**7, 10**8, 10**10)
        ]
        counts = [sum(each.model_dump().values()) for each in views]
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] == 0

    def test_full_precision_takes_longer_than_the_half_that_was_measured(self, classes):
        """On a machine that takes as long for both, so that only what is expected differs."""
        settings = {"model.options.fold": 1, "model.options.width": 16, "patches.batch": 4}
        seconds = []
        for precision in ("auto", "float32"):
            _, reasons = classes.plan(GPU, 600, 10**10, precision=precision, **settings)
            seconds.append(float(reasons["test_time.flip_vertical"].split()[-2]))
        assert seconds[0] == pytest.approx(2 * seconds[1], rel=0.01)


class TestExecution:
    def test_the_faster_memory_format_is_taken(self, classes):
        for factor, chosen in ((0.8, "mixed"), (0.99, "contiguous"), (1.3, "contiguous")):
            fake = replace(TWO_CORES, slower=(("mixed", factor),))
            plan, reasons = classes.plan(fake)
            assert plan.execution.memory_format == chosen
            assert "mixed" in reasons["execution.memory_format"]

    @pytest.mark.parametrize(("fake", "chosen"), [(GPU, True), (SMALL_GPU, False)], ids=["faster", "slower"])
    def test_the_compiler_is_tried_where_there_is_time(self, classes, fake, chosen):
        plan, reasons = classes.plan(fake, 7200)
        assert plan.execution.compile is chosen
        assert "ms" in reasons["execution.compile"]

    def test_a_compiler_that_fails_is_not_taken(self, classes):
        plan, reasons = classes.plan(WithoutCompiler(**vars(GPU)), 7200)
        assert not plan.execution.compile
        assert reasons["execution.compile"] == "torch.compile fails on this machine: no C++ compiler"

    def test_who_wants_a_compiler_that_fails_is_told(self, classes):
        with pytest.raises(
            ConfigError, match=r"execution\.compile = true, where .* fails \(no C\+\+ compiler"
        ):
            classes.plan(WithoutCompiler(**vars(TWO_CORES)), **{"execution.compile": True})

    def test_the_compiler_is_not_tried_in_ten_minutes(self, classes):
        plan, reasons = classes.plan(GPU, 600)
        assert not plan.execution.compile
        assert "execution.compile" not in reasons

    @pytest.mark.parametrize(("factor", "precision"), [(0.5, "bfloat16"), (0.95, "auto")])
    def test_half_precision_must_be_clearly_faster_on_a_cpu(self, classes, factor, precision):
        fake = replace(TWO_CORES, bfloat16=True, slower=(("bfloat16", factor),))
        assert classes.plan(fake)[0].precision == precision

    def test_a_disturbed_look_at_half_precision_is_not_the_last(self, classes):
        fake = DisturbedOnce(**vars(replace(TWO_CORES, bfloat16=True, slower=(("bfloat16", 0.5),))))
        assert classes.plan(fake)[0].precision == "bfloat16"

    def test_without_the_hardware_half_precision_is_not_tried(self, classes):
        fake = replace(TWO_CORES, slower=(("bfloat16", 0.5),))
        assert classes.plan(fake)[0].precision == "auto"


def test_a_whole_plan_as_a_wish_is_the_plan(classes):
    """What `uvala train --plan FILE` does with the file that `uvala plan` wrote."""
    plan, _ = classes.plan(TWO_CORES, 600)
    wishes = {path: value for path, value in plan_values(plan).items() if value is not None}
    assert classes.plan(SLOW_CPU, **wishes)[0] == plan


def test_nothing_is_measured_without_a_budget(classes):
    def fail(candidate, seconds):
        raise AssertionError

    plan, _ = make_plan(
        classes.dataset,
        classes.dataset.samples,
        settings={"length.steps": 10},
        clock=Clock(None),
        device=torch.device("cpu"),
        facts=classes.facts,
        probe=fail,
    )
    assert math.isfinite(plan.optimiser.learning_rate)


class TestFolds:
    """Where a network has enough of the time, what is left of it trains others."""

    def test_hours_are_parted_among_five_networks(self):
        folds, reason = folds_for({"seed": 1}, 5 * 3600.0, 10)
        assert folds == 5
        assert "1 h 00 min for each of 5 networks" in reason

    @pytest.mark.parametrize(
        ("wanted", "budget", "groups"),
        [
            ({}, 4 * 3600.0, 100),
            ({}, None, 100),
            ({}, 86400.0, 9),
            ({"folds": 1}, 86400.0, 100),
            ({"model.name": "pytorch_unet"}, 86400.0, 100),
        ],
        ids=["too little time", "no time", "few groups of images", "one asked for", "a network asked for"],
    )
    def test_otherwise_there_is_one(self, wanted, budget, groups):
        assert folds_for(wanted, budget, groups) == (1, "")

    def test_from_an_hour_on_they_are_recommended(self):
        planned = {"length.budget": 3600.0, "folds": 1}
        assert "--folds 5" in folds_advice(planned, {}, 10)

    @pytest.mark.parametrize(
        ("planned", "wanted", "groups"),
        [({"folds": 5}, {}, 10), ({}, {"folds": 1}, 10), ({}, {}, 9), ({"length.budget": 600.0}, {}, 10)],
        ids=["planned", "one asked for", "few groups of images", "too little time"],
    )
    def test_they_are_not_recommended_otherwise(self, planned, wanted, groups):
        assert not folds_advice({"length.budget": 7200.0, "folds": 1} | planned, wanted, groups)
