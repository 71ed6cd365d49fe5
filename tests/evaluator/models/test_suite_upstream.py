from typing import Any

from evaluator.models.upstreams.suites import SuiteSession
from tasks.base import Step
from tasks.cases import Script

ARGUMENTS = {"parcel": "red"}
SCRIPT = Script(turns=[[Step(tool="GET_PARCEL_STATE", arguments=ARGUMENTS)]], answer="It is done.")


def offered(*names: str) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": name, "parameters": {}}} for name in names]


def said(session: SuiteSession, tools: list[dict[str, Any]], *more: dict[str, Any]) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Where is the red parcel?"}, *more]
    message: dict[str, Any] = session.complete({"model": "m", "messages": messages, "tools": tools})["choices"][0][
        "message"
    ]
    return message


def called(message: dict[str, Any]) -> list[str]:
    return [call["function"]["name"] for call in message.get("tool_calls") or []]


def test_a_tool_that_is_offered_under_another_name_is_called_by_that_name() -> None:
    tools = offered("handover", "get_parcel_state")
    session = SuiteSession(SCRIPT)
    first = said(session, tools)
    assert called(first) == ["get_parcel_state"]
    result = {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "Done."}
    assert said(session, tools, first, result)["content"] == "It is done."


def test_a_call_to_which_the_framework_gave_an_id_of_its_own_is_known_by_that_name_too() -> None:
    tools = offered("get_parcel_state")
    session = SuiteSession(SCRIPT)
    [call] = said(session, tools)["tool_calls"]
    again = {"role": "assistant", "content": None, "tool_calls": [{**call, "id": "its-own"}]}
    result = {"role": "tool", "tool_call_id": "its-own", "content": "Done."}
    assert said(session, tools, again, result)["content"] == "It is done."


def test_the_name_itself_comes_first_and_of_two_that_are_alike_none_is_taken() -> None:
    assert called(said(SuiteSession(SCRIPT), offered("get_parcel_state", "GET_PARCEL_STATE"))) == ["GET_PARCEL_STATE"]
    assert called(said(SuiteSession(SCRIPT), offered("get_parcel_state", "getParcelState"))) == []
    assert called(said(SuiteSession(SCRIPT), offered("get_parcel"))) == []
