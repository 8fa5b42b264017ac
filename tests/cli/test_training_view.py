"""What a training says on the terminal."""

from pathlib import Path

from uvala.cli.training_view import TrainingView


def test_the_next_command_can_be_copied_whatever_the_folder_is_called(capsys):
    TrainingView().summary(Path("my runs/<a> & b"))
    assert "uvala predict 'my runs/<a> & b' IMAGES " in capsys.readouterr().out.splitlines()[-1]


def test_decisions_of_one_reason_stand_together(capsys):
    up, few = "upright", "few images"
    with TrainingView() as view:
        for path, value, reason in (
            ("augment.rotation", 10.0, up),
            ("augment.shear", 0.2, up),
            ("folds", 1, few),
        ):
            view({"event": "plan", "path": path, "value": value, "reason": reason})
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.startswith("plan")]
    assert lines == [
        "plan     augment.rotation = 10.0, augment.shear = 0.2  upright",
        "plan     folds = 1  few images",
    ]


def test_the_score_says_of_how_many_images_it_is(capsys):
    scored = {"main": "dice", "main_value": None, "mean_dice": 0.5, "subset": "test", "scored": 1}
    with TrainingView() as view:
        view({"event": "end", **scored})
        view.summary(Path("run"))
    assert "mean Dice 0.5000 on 1 test image\n" in capsys.readouterr().out
