import pytest
from pydantic import Field

from uvala.config import Config, build, options, override, parse_assignment, read_toml, to_toml
from uvala.errors import ConfigError


class Inner(Config):
    size: int = Field(8, ge=1, description="a size")


class Outer(Config):
    seed: int = Field(0, description="a seed")
    inner: Inner = Inner()
    anything: dict[str, int] = Field(default_factory=dict, description="free")
    maybe: float | None = Field(None, description="perhaps")


def test_settings_are_listed_by_dotted_path():
    assert [path for path, _ in options(Outer)] == ["seed", "inner.size", "anything", "maybe"]


def test_one_setting_is_replaced_and_the_rest_stays():
    changed = override(Outer(seed=3), {"inner.size": 5, "anything.x": 1}, where="the test")
    assert changed == Outer(seed=3, inner=Inner(size=5), anything={"x": 1})


def test_a_wrong_path_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"did you mean 'inner\.size'"):
        override(Outer(), {"inner.sise": 5}, where="the test")


def test_a_path_through_what_is_no_table_is_refused():
    with pytest.raises(ConfigError, match=r"anything\.a\.b"):
        override(Outer(), {"anything.a.b": 1}, where="the test")


def test_every_wrong_value_is_named_at_once():
    with pytest.raises(ConfigError, match=r"seed = 'x', inner\.size = 0"):
        build(Outer, {"seed": "x", "inner": {"size": 0}}, where="the test")


@pytest.mark.parametrize(
    ("text", "value"),
    [("a.b=5", 5), ("a.b=0.5", 0.5), ("a.b=true", True), ("a.b=[1, 2]", [1, 2]), ("a.b=unet", "unet")],
)
def test_assignments_are_read_as_toml_or_plain_text(text, value):
    assert parse_assignment(text) == ("a.b", value)


@pytest.mark.parametrize("text", ["a.b", "=3", ""])
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(ConfigError, match="path=value"):
        parse_assignment(text)


def test_toml_keeps_values_and_gives_reasons(tmp_path):
    config = Outer(seed=7, inner=Inner(size=3), anything={"x": 1})
    path = tmp_path / "plan.toml"
    path.write_text(to_toml(config, {"inner.size": "because"}))
    assert "# because\nsize = 3" in path.read_text()
    assert build(Outer, read_toml(path), where="the test") == config


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_are_finite(value):
    with pytest.raises(ConfigError, match="maybe: input should be a finite number"):
        build(Outer, {"maybe": value}, where="the test")


def test_a_folder_in_place_of_a_file_names_the_file_in_it(tmp_path):
    with pytest.raises(ConfigError, match="name a file that can be read"):
        read_toml(tmp_path)
    (tmp_path / "plan.toml").write_text("")
    with pytest.raises(ConfigError, match=r"name the file: .*plan\.toml"):
        read_toml(tmp_path)


def test_broken_toml_says_where(tmp_path):
    (tmp_path / "a.toml").write_text("x = = 3")
    with pytest.raises(ConfigError, match="line 1"):
        read_toml(tmp_path / "a.toml")
