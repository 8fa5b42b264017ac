"""What is given up where the time does not suffice for all that was to be."""

import pytest

from uvala.api.preparing import _first_in_time, _from_the_costliest
from uvala.api.wishes import VIEWS, Wishes, of_recipe
from uvala.errors import BudgetError

SHORT = BudgetError(found="a short time", expected="a longer one", fix="give it")


@pytest.mark.parametrize("name", ["unet-paper", "nnunet"])
def test_views_of_a_recipe_are(name):
    wishes = of_recipe(name)
    (whole, nothing), (cheaper, said) = _from_the_costliest(wishes, 1, "")
    assert (whole, nothing) == (wishes, "")
    assert any(wishes.values[path] for path in VIEWS)
    assert not any(cheaper.values[path] for path in VIEWS)
    assert "one view of an image" in said


def test_a_recipe_without_views_has_none_to_give_up():
    assert len(_from_the_costliest(of_recipe("pytorch-unet"), 1, "")) == 1


def test_views_that_the_user_asked_for_are_not():
    asked = Wishes({"test_time.flip_horizontal": True})
    assert len(_from_the_costliest(asked, 1, "")) == 1


def test_folds_that_nobody_asked_for_are():
    (several, _), (one, said) = _from_the_costliest(Wishes({"seed": 1}), 5, "there is time")
    assert (several.values["folds"], several.reasons["folds"]) == (5, "there is time")
    assert "folds" not in one.values
    assert said == "one network: the time does not suffice for 5"


@pytest.mark.parametrize(("fits", "said"), [(1, ""), (2, "less")])
def test_what_fits_is_planned(fits, said):
    def planned(wishes):
        if wishes.values["seed"] < fits:
            raise SHORT
        return wishes, {}

    attempts = [(Wishes({"seed": 1}), ""), (Wishes({"seed": 2}), "less")]
    (found, _), without = _first_in_time(attempts, planned)
    assert (found.values["seed"], without) == (fits, said)


def test_where_nothing_fits_it_is_said_of_the_least():
    def planned(wishes):
        raise BudgetError(found=f"seed {wishes.values['seed']}", expected="more", fix="give it")

    with pytest.raises(BudgetError, match="seed 2"):
        _first_in_time([(Wishes({"seed": 1}), ""), (Wishes({"seed": 2}), "less")], planned)
