"""A manifest states which mask belongs to which image."""

import pytest

from uvala.data.layouts import recognise
from uvala.errors import LayoutError


@pytest.fixture
def data(make):
    return make(
        "pics/a.png", "pics/b.png", "pics/c d.png", "drawn/1_mask.png", "drawn/2_mask.png", "drawn/3_mask.png"
    )


def write(root, text, name="pairs.csv", **options):
    path = root / name
    path.write_text(text, **{"encoding": "utf-8"} | options)
    return path


PLAIN = "image,mask,group,split\npics/a.png,drawn/1_mask.png,p1,train\npics/b.png,drawn/2_mask.png,p2,test\n"


@pytest.mark.parametrize("of", ["folder", "file"])
def test_rows_are_samples(data, of):
    path = write(data, PLAIN)
    found = recognise(data if of == "folder" else path)
    assert [(one.name, one.mask.path.name, one.group, one.split) for one in found.samples] == [
        ("a.png", "1_mask.png", "p1", "train"),
        ("b.png", "2_mask.png", "p2", "test"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("pics/", "pics\\"),
        PLAIN.replace("image,mask,group,split", "Split, Mask ,group,IMAGE")
        .replace("x", "y")
        .replace("pics/a.png,drawn/1_mask.png,p1,train", "train,drawn/1_mask.png,p1,pics/a.png")
        .replace("pics/b.png,drawn/2_mask.png,p2,test", "test,drawn/2_mask.png,p2,pics/b.png"),
        PLAIN + "\n,,,\n",
    ],
    ids=["semicolon", "tab", "byte-order mark", "windows lines", "backslashes", "other order", "empty lines"],
)
def test_every_dialect_says_the_same(data, text):
    plain = recognise(write(data, PLAIN, "plain.csv"))
    assert recognise(write(data, text, "other.csv", newline="")).samples == plain.samples


def test_quoted_names_may_hold_commas_and_blanks(data):
    (data / "pics" / "c d.png").rename(data / "pics" / "c, d.png")
    (sample,) = recognise(write(data, 'image,mask\n"pics/c, d.png",drawn/3_mask.png\n')).samples
    assert sample.image.path.name == "c, d.png"


def test_a_missing_file_is_told_with_its_line(data):
    found = recognise(
        write(data, "image,mask\npics/a.png,drawn/1_mask.png\npics/b.png,drawn/9.png\npics/c d.png,\n")
    )
    assert [(one.path.name, one.reason) for one in found.unpaired] == [
        ("b.png", "pairs.csv line 3: there is no file drawn/9.png"),
        ("c d.png", "pairs.csv line 4: no mask is given"),
    ]


def test_a_split_that_does_not_exist_is_told(data):
    found = recognise(write(data, PLAIN.replace("p2,test", "p2,holdout")))
    assert len(found.samples) == 1
    assert "split 'holdout'" in found.unpaired[0].reason


def test_an_image_named_twice_counts_once(data):
    found = recognise(write(data, PLAIN + "pics/a.png,drawn/2_mask.png,p1,train\n"))
    assert len(found.samples) == 2
    assert "line 4" in found.unpaired[0].reason


def test_a_manifest_goes_before_what_folders_suggest(make):
    root = make("images/a.png", "masks/a.png", "images/b.png", "masks/b.png")
    write(root, "image,mask\nimages/a.png,masks/a.png\n")
    assert [sample.name for sample in recognise(root).samples] == ["a.png"]


def test_a_table_of_something_else_is_no_manifest(make):
    root = make("images/a.png", "masks/a.png")
    write(root, "patient,age\np1,40\n")
    assert recognise(root).layout == "folders"


def test_one_manifest_per_split_is_a_split(data):
    write(data, "image,mask\npics/a.png,drawn/1_mask.png\n", "train.csv")
    write(data, "image,mask\npics/b.png,drawn/2_mask.png\n", "test.csv")
    assert {sample.name: sample.split for sample in recognise(data).samples} == {
        "a.png": "train",
        "b.png": "test",
    }


def test_two_manifests_are_left_to_the_user(data):
    write(data, PLAIN, "one.csv")
    write(data, PLAIN, "two.csv")
    with pytest.raises(LayoutError, match=r"2 manifests in .*one\.csv, two\.csv"):
        recognise(data)


def test_pages_of_a_stack_can_be_named(make):
    root = make("volume.tif", "labels.tif", pages=3)
    (sample,) = recognise(write(root, "image,mask\nvolume.tif#1,labels.tif#1\n")).samples
    assert (sample.name, sample.image.page, sample.mask.page) == ("volume.tif#1", 1, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the columns nothing"),
        ("a,b\n1,2\n", "the columns a, b"),
        ("image,mask\nx.png,y.png\n", "line 2: there is no file x.png"),
    ],
)
def test_a_csv_that_lists_nothing_is_refused(data, text, said):
    with pytest.raises(LayoutError, match=said):
        recognise(write(data, text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pics/a.png,drawn/1_mask.png\n", "first line is pics/a.png, drawn/1_mask.png, not image,mask"),
        ("filename,label\npics/a.png,drawn/1_mask.png\n", "first line is filename, label, not image,mask"),
        ("", "pairs.csv: an empty table"),
        ("image,mask\n", "pairs.csv: no line below the header"),
        ("image,mask\nx.png,y.png\n", "line 2: there is no file x.png"),
    ],
    ids=["no header", "other columns", "empty", "header only", "wrong paths"],
)
def test_where_nothing_else_fits_a_bad_manifest_is_told(make, text, said):
    root = make("pics/a.png")
    write(root, text)
    with pytest.raises(LayoutError, match=said) as caught:
        recognise(root)
    assert "write image,mask[,group][,split] as the first line of pairs.csv" in caught.value.fix
