"""What the chat template of the embedded models makes of a conversation, and what of that is our own."""

from typing import Any

import jinja2

from evaluator.models.page import page
from evaluator.models.template import TEMPLATE, sentences
from evaluator.scorecard.content import about_model

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
CALL = {"id": "a", "type": "function", "function": {"name": "look_up", "arguments": {"order": "X-1"}}}
CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Both, please."},
    {"role": "assistant", "content": None, "tool_calls": [CALL, CALL]},
    {"role": "tool", "content": "first result"},
    {"role": "tool", "content": "second result"},
]


def rendered(template: str, messages: list[dict[str, Any]], **variables: Any) -> str:
    environment = jinja2.Environment()
    return environment.from_string(template).render(messages=messages, add_generation_prompt=True, **variables)


def test_it_says_how_to_call_where_tools_are_offered_and_its_sentence_after_results() -> None:
    own = sentences()
    text = rendered(TEMPLATE.read_text(), CONVERSATION, tools=[TOOL])
    assert text.startswith("<|im_start|>system\nBe brief.\n\n# Tools\n")
    assert text.count(own["how_to_call"]) == 1
    results = "<tool_response>\nfirst result\n</tool_response>\n<tool_response>\nsecond result\n</tool_response>"
    after = f"{results}\n\n{own['after_results']}<|im_end|>\n<|im_start|>assistant\n"
    assert text.endswith(f"<|im_start|>user\n{after}")


def test_later_results_have_another_sentence_until_the_user_speaks_again() -> None:
    own = sentences()
    first, later = own["after_results"], own["after_more_results"]

    def said(messages: list[dict[str, Any]]) -> list[str]:
        text = rendered(TEMPLATE.read_text(), messages, tools=[TOOL])
        return [
            part.partition("<|im_end|>")[0].strip() for part in text.split("</tool_response>") if "<|im_end|>" in part
        ][1:]

    turn = CONVERSATION[2:]
    answer = [{"role": "assistant", "content": "Both are there."}, {"role": "user", "content": "And now?"}]
    assert said([*CONVERSATION, *turn, *turn]) == [first, later, later]
    assert said([*CONVERSATION, *answer, *turn, *turn]) == [first, first, later]


def test_other_wordings_take_their_place_and_none_leaves_nothing_behind() -> None:
    lines = TEMPLATE.read_text().splitlines(keepends=True)
    open_for_others = "".join(line for line in lines if "set after_" not in line)
    assert len(open_for_others.splitlines()) == len(lines) - 2
    text = rendered(open_for_others, CONVERSATION, tools=[TOOL], after_results="Go on.", after_more_results="Stop.")
    assert "second result\n</tool_response>\n\nGo on.<|im_end|>" in text and "Stop." not in text
    text = rendered(open_for_others, CONVERSATION, tools=[TOOL], after_results="", after_more_results="")
    assert "second result\n</tool_response><|im_end|>" in text


def test_without_tools_and_results_it_adds_nothing() -> None:
    text = rendered(TEMPLATE.read_text(), CONVERSATION[:2])
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nBoth, please.<|im_end|>\n<|im_start|>assistant\n"
    )


def test_readers_are_told_word_for_word() -> None:
    own = sentences()
    assert own["how_to_call"] in page()
    assert own["after_results"] in page() and own["after_more_results"] in page()
    for name in ("local", "local-0.5b"):
        assert own["after_results"] in about_model(name)
    assert "chat template" not in about_model("scripted")
