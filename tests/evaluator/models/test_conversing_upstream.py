"""The scripted model in a conversation: it plays what the user has said so far, and only from what it was sent."""

from typing import Any

from evaluator.models.upstreams.conversing import ConversingSession, ConversingUpstream, conversing_digest
from evaluator.models.upstreams.suites import SuiteSession, suites_digest
from tasks.base import Step
from tasks.cases import Script
from tasks.conversation import ConversationScript

MESSAGES = ["Go into the folder.", "Thanks.", "Read the note, and go\nback."]
SCRIPT = ConversationScript(
    turns=[
        [Step(tool="cd", arguments={"folder": "a"})],
        [],
        [Step(tool="cat", arguments={"name": "note"}), Step(tool="cd", arguments={"folder": ".."})],
    ],
    messages=MESSAGES,
    answer="It is done.",
)
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("cd", "cat")]

Message = dict[str, Any]


def said(session: SuiteSession, messages: list[Message], tools: list[Message] = TOOLS) -> Message:
    request = {"model": "m", "messages": messages, "tools": tools}
    message: Message = session.complete(request)["choices"][0]["message"]
    return message


def talk(
    session: SuiteSession, tools: list[Message] = TOOLS, asked: list[str] = MESSAGES
) -> tuple[list[list[str]], list[Message]]:
    """The calls for each message, and all messages, where everything is carried on."""
    messages: list[Message] = [{"role": "system", "content": "Help."}]
    turns: list[list[str]] = []
    for message in asked:
        messages.append({"role": "user", "content": message})
        turns.append([])
        while calls := said(session, messages, tools).get("tool_calls"):
            turns[-1] += [call["function"]["name"] for call in calls]
            messages.append(said(session, messages, tools))
            messages += [{"role": "tool", "tool_call_id": call["id"], "content": "Done."} for call in calls]
        messages.append(said(session, messages, tools))
    return turns, messages


def test_it_makes_the_calls_for_each_message_one_after_another_and_then_answers() -> None:
    turns, messages = talk(ConversingSession(SCRIPT))
    assert turns == [["cd"], [], ["cat", "cd"]]
    assert [m["content"] for m in messages if m["role"] == "assistant" and "tool_calls" not in m] == ["It is done."] * 3
    assert max(len(m.get("tool_calls") or []) for m in messages) == 1


def test_a_tool_that_is_offered_under_another_name_is_the_same_in_all_turns() -> None:
    tools = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("CD", "Cat")]
    assert talk(ConversingSession(SCRIPT), tools)[0] == [["CD"], [], ["Cat", "CD"]]


def conversation() -> tuple[ConversingSession, list[Message]]:
    """A conversation up to the last message of the user, which is not answered yet."""
    session = ConversingSession(SCRIPT)
    _, messages = talk(session, asked=MESSAGES[:-1])
    return session, [*messages, {"role": "user", "content": MESSAGES[-1]}]


def test_a_result_of_an_earlier_turn_that_is_lost_is_noticed() -> None:
    session, messages = conversation()
    kept = [message for message in messages if message["role"] != "tool" and "tool_calls" not in message]
    assert said(session, kept)["content"].startswith("I don't know what cd gave: nothing that I was sent")
    assert said(session, messages)["tool_calls"][0]["function"]["name"] == "cat"


def test_a_message_of_the_user_that_is_lost_or_out_of_order_is_noticed() -> None:
    session, messages = conversation()
    [second] = (number for number, message in enumerate(messages) if message["content"] == "Thanks.")
    without = messages[:second] + messages[second + 1 :]
    assert said(session, without)["content"] == "It is done."
    swapped = [*without, messages[second]]
    assert said(session, swapped)["content"] == "It is done."
    assert "tool_calls" in said(session, messages)


def test_what_the_user_says_may_stand_in_a_text_of_the_frameworks_own_with_other_blanks() -> None:
    session, messages = conversation()
    messages[-1] = {"role": "user", "content": [{"type": "text", "text": "Current Task: Read the note, and go back."}]}
    assert "tool_calls" in said(session, messages)


def test_calls_to_which_the_framework_gives_ids_of_its_own_are_known_by_what_they_call() -> None:
    session, messages = conversation()
    renamed = [
        {**message, "tool_calls": [{**call, "id": "its-own"} for call in message["tool_calls"]]}
        if "tool_calls" in message
        else {**message, "tool_call_id": "its-own"}
        if "tool_call_id" in message
        else message
        for message in messages
    ]
    assert "tool_calls" in said(session, renamed)


def test_a_case_that_is_no_conversation_is_played_as_in_other_suites() -> None:
    assert type(ConversingUpstream().session(Script(answer="Yes."))) is SuiteSession
    assert type(ConversingUpstream().session(SCRIPT)) is ConversingSession


def test_its_digest_is_its_own() -> None:
    assert conversing_digest() != suites_digest() and len(conversing_digest()) == 16
