"""The last lines of a training."""

from pathlib import Path

from uvala.cli.training_view import TrainingView


def test_the_next_command_can_be_copied_whatever_the_folder_is_called(capsys):
    TrainingView().summary(Path("my runs/<a> & b"))
    assert "uvala predict 'my runs/<a> & b' IMAGES " in capsys.readouterr().out.splitlines()[-1]
