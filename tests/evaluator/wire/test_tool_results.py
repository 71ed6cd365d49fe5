import json
from typing import Any

import pytest

from evaluator.wire.tool_results import result_changes, search_text

ORDER = {"order_id": "O-1", "city": "Málaga", "lines": [{"units": 2}], "paid": True, "due": None}
TEXT = json.dumps(ORDER, ensure_ascii=False)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (ORDER, TEXT),
        (ORDER, json.dumps(ORDER, ensure_ascii=False, indent=2, sort_keys=True)),
        ({"price": 4}, '{"price": 4.0}'),
        ([], "[]"),
        (None, "null"),
        ("plain text", "plain text"),
        ("plain text", '"plain text"'),
    ],
)
def test_a_result_as_it_is(result: Any, text: str) -> None:
    assert result_changes(result, None, text) == []


@pytest.mark.parametrize(
    ("text", "ways"),
    [
        (str(ORDER), ["Python repr"]),
        (json.dumps(ORDER), ["letters escaped"]),
        (json.dumps({"result": ORDER}, ensure_ascii=False), ["wrapped as result"]),
        (json.dumps({"result": TEXT}, ensure_ascii=False), ["wrapped as result", "JSON in a text"]),
        (json.dumps({"result": str(ORDER)}, ensure_ascii=False), ["wrapped as result", "Python repr"]),
        (
            json.dumps([{"type": "text", "text": TEXT}], ensure_ascii=False),
            ["wrapped in a list", "wrapped as text", "JSON in a text"],
        ),
        (json.dumps(TEXT, ensure_ascii=False), ["JSON in a text"]),
        (f"The tool gave: {TEXT} Now go on.", ["text added"]),
        (TEXT[:30], ["truncated"]),
        (TEXT[:30] + "…", ["truncated"]),
        ("Order O-1 to Málaga, 2 units, paid: True", ["other wording"]),
        ("Order O-2", ["other content"]),
        ("", ["other content"]),
        (TEXT.replace("true", "1"), ["other content"]),
        ("[" * 100_000, ["other content"]),
    ],
)
def test_a_changed_result(text: str, ways: list[str]) -> None:
    assert result_changes(ORDER, None, text) == ways


@pytest.mark.parametrize(
    ("text", "ways"),
    [
        ('There is no "order" O-1.', []),
        ('Error: There is no "order" O-1.\nPlease mend it.', []),
        (json.dumps({"error": 'There is no "order" O-1.'}), []),
        ("Error: Function failed.", ["error lost"]),
    ],
)
def test_an_error(text: str, ways: list[str]) -> None:
    assert result_changes(None, 'There is no "order" O-1.', text) == ways


def test_the_text_of_a_search_result() -> None:
    passages = {"a": "[a] A\nText of a."}
    plain = f"{passages['a']}\n\n[b] B"
    assert search_text(plain, passages) == (plain, [])
    assert search_text("nothing found", passages) == ("nothing found", [])
    assert search_text(json.dumps([{"content": plain}]), passages) == (plain, ["JSON in a text"])
    assert search_text(str((plain, 1)), passages) == (f"{plain}\n\n1", ["Python repr"])
    assert search_text(json.dumps({"r": json.dumps([plain])}), passages) == (plain, ["JSON in a text"] * 2)
