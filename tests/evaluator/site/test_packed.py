"""What pages of one folder share, and that each still has all that it shows."""

from evaluator.site.packed import beside, share


def test_texts_of_several_pages_stand_once_and_each_page_has_them_in_place() -> None:
    pages = [
        [beside([{"name": "a"}], ["long text", {"json": "{}"}, ["spans", 0], "only here"])],
        [beside([{"name": "b"}], ["other", "long text"]), beside([{"name": "c"}], [{"json": "{}"}, ["spans", 0]])],
    ]
    common, left = share(pages)
    assert common == ["long text", {"json": "{}"}], "what has places in it stays: places are those of its page"
    assert [part["shared"] for parts in left for part in parts] == [
        [0, 1, ["spans", 0], "only here"],
        ["other", 0],
        [1, ["spans", 0]],
    ]
    assert [part["runs"][0]["name"] for parts in left for part in parts] == ["a", "b", "c"]


def test_what_stands_twice_on_one_page_alone_is_not_shared() -> None:
    assert share([[beside([], ["text"]), beside([], ["text"])], [beside([], ["other"])]])[0] == []
