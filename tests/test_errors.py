import pickle

from uvala.errors import MaskError, did_you_mean


def test_the_message_is_what_was_found_what_was_expected_and_what_to_do():
    error = MaskError(found="a", expected="b", fix="do c")
    assert str(error) == "found a; expected b; do c"


def test_an_error_crosses_a_process_border():
    error = pickle.loads(pickle.dumps(MaskError(found="a", expected="b", fix="c")))
    assert (type(error), error.found, error.fix) == (MaskError, "a", "c")


def test_the_nearest_name_is_suggested():
    assert did_you_mean("poket_unet", ["pocket_unet", "unet"]) == "did you mean 'pocket_unet'?"


def test_without_a_near_name_all_are_listed():
    assert did_you_mean("zzz", ["b", "a"]) == "choose one of a, b"
