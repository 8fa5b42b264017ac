"""dataset.toml is read strictly: what it cannot mean is said, with the nearest that it could."""

import pytest

from uvala.data.dataset_toml import DatasetToml, read_dataset_toml
from uvala.errors import ConfigError


def read(folder, text):
    (folder / "dataset.toml").write_text(text)
    return read_dataset_toml(folder)


def test_no_file_means_nothing_is_overridden(tmp_path):
    assert read_dataset_toml(tmp_path) == DatasetToml()


def test_classes_have_a_value_several_values_or_a_colour(tmp_path):
    numbers = read(tmp_path, "ignore = [7]\n[classes]\nground = 0\ncell = [1, 255]")
    assert [entry.values for entry in numbers.class_entries] == [(0,), (1, 255)]
    assert (numbers.ignore_codes, numbers.colours) == ((7,), False)
    colours = read(tmp_path, "[classes]\nground = '#000000'\ncell = '#0000ff'")
    assert ([entry.values[0] for entry in colours.class_entries], colours.colours) == ([0, 255], True)


def test_classes_can_be_names_alone(tmp_path):
    toml = read(tmp_path, "classes = ['ground', 'cell']")
    assert (toml.class_names, toml.class_entries) == (("ground", "cell"), None)


def test_groups_are_a_pattern_or_a_table(tmp_path):
    """P10: the group key from file names."""
    pattern = read(tmp_path, "groups = '(patient\\d+)_'")
    assert (pattern.group_of("patient12_3.png"), pattern.group_of("other.png")) == ("patient12", None)
    whole = read(tmp_path, "groups = '^[a-z]+'")
    assert whole.group_of("ab12.png") == "ab"
    table = read(tmp_path, "[groups]\n'a.png' = 'x'\nb = 7")
    assert [table.group_of(name) for name in ("a.png", "b.png", "c.png")] == ["x", "7", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clases = ['a', 'b']", "unknown option 'clases'.*did you mean 'classes'"),
        ("classes = ['a']", "at least two classes"),
        ("classes = 3", "at least two classes"),
        ("classes = [0, 1]", "a list must hold names only"),
        ("[classes]\na = 0\nb = 1.5", "1.5 is no mask value"),
        ("[classes]\na = 0\nb = []", "each class needs a value"),
        ("[classes]\na = 0\nb = '#12'", "'#12' is no colour; write it as '#804000'"),
        ("[classes]\na = 0\nb = '#120000'", "all values as numbers, or all as colours"),
        ("ignore = ['void']", "'void' is no colour"),
        ("task = 'objects'", "'classes' or 'instances'"),
        ("channels = 2", "1 or 3"),
        ("groups = '('", "no regular expression"),
        ("groups = 3", "a regular expression, or a table"),
        ("classes = [", "a TOML file"),
    ],
)
def test_what_it_cannot_mean_is_refused_with_the_file_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, text)
    assert "dataset.toml" in str(caught.value)
