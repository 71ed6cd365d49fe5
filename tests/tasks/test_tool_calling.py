import inspect
from collections import Counter
from datetime import date
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import to_json

from tasks.base import Outcome, Tool, ToolCall, ToolError, bound_arguments, play
from tasks.cases import CasesError, load_cases
from tasks.grading import matches, states, states_fact
from tasks.tool_calling.grade import gold, grade
from tasks.tool_calling.spec import CASE_TYPE, INSTRUCTIONS, Kind, ToolCallingCase, load, prepare, script
from tasks.tool_calling.tools import READS, Address, OrderLine, Shop

CASES = load()
BERGEN = {"street": "Parkveien 30", "postal_code": "5007", "city": "Bergen", "country_code": "NO"}
SIDE_EFFECT = ToolCall(
    name="open_ticket",
    arguments={"customer_id": "C-101", "subject": "Hello", "priority": "normal", "due": None},
    result={"ticket_id": "T-9"},
)
READ = ToolCall(name="find_customer", arguments={"email": "ana.lopez@example.com"}, result={"customer_id": "C-101"})


def cases_where(condition: Any) -> st.SearchStrategy[ToolCallingCase]:
    return st.sampled_from([case for case in CASES if condition(case)])


def with_calls(case: ToolCallingCase, calls: list[ToolCall]) -> Outcome:
    return gold(case).model_copy(update={"tool_calls": calls})


def fails_naming(case: ToolCallingCase, outcome: Outcome, *words: str) -> bool:
    verdict = grade(case, outcome)
    named = any(all(word in reason for word in words) for reason in verdict.reasons)
    return not verdict.passed and (verdict.score is None or verdict.score < 1) and named


# --- the data ----------------------------------------------------------------------------------


def test_there_are_cases_of_every_kind():
    per_kind = Counter(case.kind for case in CASES)
    assert set(per_kind) == set(get_args(Kind)) and min(per_kind.values()) >= 3


def test_every_tool_is_used():
    used = {step.tool for case in CASES for turn in case.turns for step in turn}
    assert used == {tool.__name__ for tool in Shop().tools()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case_is_sound(case: ToolCallingCase):
    perfect = gold(case)  # raises if an expected call does not work
    seen = f"{INSTRUCTIONS}\n{case.question}"
    calls = iter(perfect.tool_calls)
    for turn in case.turns:
        known_before = seen
        for step in turn:
            call = next(calls)
            assert all(states(known_before, needed) for needed in step.needs), step
            seen += f"\n{call.error or to_json(call.result).decode()}"
    told = seen.replace(case.question, "")
    assert all(states_fact(told, spellings) for spellings in case.needs())
    assert grade(case, perfect).passed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_kind_is_what_it_says(case: ToolCallingCase):
    sizes = [len(turn) for turn in case.turns]
    errors = [step.error for turn in case.turns for step in turn]
    match case.kind:
        case "one_call":
            assert sizes == [1] and errors == [False]
        case "decision":
            assert len(sizes) >= 2 and case.turns[1][0].needs and not any(errors)
        case "several_demands":
            assert len(errors) >= 3
        case "recovered_error":
            assert errors.count(True) == 1 and not errors[-1]
        case "independent_calls":
            assert sizes == [2] and not any(errors)
        case "chained_calls":
            assert sizes == [1, 1] and case.turns[1][0].needs and not any(errors)
        case "long_chain":
            assert len(sizes) >= 4 and not any(errors)
        case "no_call" | "no_tool":
            assert not sizes and not case.other_reads
        case "flaky_tool":
            assert sum(case.outages.values()) == sum(errors) == 1
            failed = next(turn for turn, steps in enumerate(case.turns) if steps[0].error)
            assert case.turns[failed + 1][0].needs[-1] == "temporarily unavailable"
        case "unknown_id" | "forbidden_refund":
            assert errors == [True]
    changes_state = any(step.tool not in READS and not step.error for turn in case.turns for step in turn)
    assert any(gold(case).final_state.values()) == changes_state


def test_a_turn_creates_at_most_one_record():
    """Else the new ids would depend on the order within the turn."""
    for case in CASES:
        for turn in case.turns:
            writes = [step.tool for step in turn if step.tool not in READS]
            assert len(writes) == len(set(writes))


def test_script_plays_the_case():
    for case in CASES:
        plan = script(case)
        assert (plan.turns, plan.needs, plan.answer) == (case.turns, case.needs(), case.answer)


def test_malformed_line_is_named(tmp_path):
    path = tmp_path / "mine.jsonl"
    good = CASES[0].model_dump_json()
    for bad, field in (
        ('{"id": "x"', "the line"),
        (good.replace('"one_call"', '"two_calls"'), "kind"),
        (good.replace('"list_orders"', '"list_everything"'), "turns"),
        (good.replace('"outages":{}', '"outages":{"nothing":1}'), "outages"),
    ):
        path.write_text(f"{good}\n{bad}\n")
        with pytest.raises(CasesError, match=rf"mine\.jsonl:2: {field}"):
            load_cases(path, CASE_TYPE)


# --- the tools ---------------------------------------------------------------------------------


def schemas() -> dict[str, dict[str, Any]]:
    return {tool.__name__: TypeAdapter(tool).json_schema() for tool in Shop().tools()}


def test_schemas_have_every_kind_of_argument():
    listing, stock, quote = (schemas()[name] for name in ("list_orders", "check_stock", "quote_shipping"))
    assert listing["required"] == ["customer_id"]
    status, since = (listing["properties"][name]["anyOf"] for name in ("status", "since"))
    assert status == [{"enum": ["processing", "shipped", "delivered", "cancelled"], "type": "string"}, {"type": "null"}]
    assert since == [{"format": "date", "type": "string"}, {"type": "null"}]
    assert stock["properties"]["product_ids"]["items"] == {"type": "string"}
    assert quote["properties"]["address"] == {"$ref": "#/$defs/Address"}
    assert schemas()["create_order"]["properties"]["lines"]["items"] == {"$ref": "#/$defs/OrderLine"}


def test_at_least_nine_documented_typed_tools():
    tools = Shop().tools()
    assert 9 <= len(tools) <= 10
    for tool in tools:
        assert tool.__doc__
        parameters = inspect.signature(tool).parameters.values()
        assert all(parameter.annotation not in (inspect.Parameter.empty, Any) for parameter in parameters)
        assert set(get_type_hints(tool)) == {parameter.name for parameter in parameters} | {"return"}
    assert {tool.__name__ for tool in tools} >= READS


def test_orders_are_filtered():
    shop = Shop()
    every = [order["order_id"] for order in shop.list_orders("C-102")]
    assert every == ["O-5003", "O-5004", "O-5005"]
    assert [order["order_id"] for order in shop.list_orders("C-102", since=date(2026, 5, 30))] == ["O-5003", "O-5005"]
    assert shop.list_orders("C-102", "delivered", date(2026, 5, 31)) == []


def test_money_has_cents_only():
    shop = Shop()
    assert shop.get_order("O-5012")["total"] == 37.35
    assert shop.quote_shipping(BERGEN, 0.333)["price"] == 9.33
    assert shop.create_refund("O-5001", 10.001, "late")["amount"] == 10.0


@pytest.mark.parametrize(
    ("order_id", "amount", "reason", "words"),
    [
        ("O-5010", 79.95, "late", "shipped, not delivered"),
        ("O-5009", 34.95, "late", "cancelled, not delivered"),
        ("O-5011", 64.95, "damaged", "more than 30 days ago"),
        ("O-5006", 119.95, "damaged", "final-sale"),
        ("O-5003", 59.96, "damaged", "up to 59.95 EUR"),
        ("O-5003", 0, "damaged", "up to 59.95 EUR"),
        ("O-5003", float("nan"), "damaged", "up to 59.95 EUR"),
        ("O-5999", 1, "damaged", "There is no order O-5999"),
        ("O-5003", 1, "bored", "reason"),
    ],
)
def test_refund_policy_refuses(order_id, amount, reason, words):
    shop = Shop()
    with pytest.raises(ToolError, match=words):
        shop.create_refund(order_id=order_id, amount=amount, reason=reason)
    assert shop.state() == Shop().state()


def test_refunds_add_up_to_the_total():
    shop = Shop()
    assert shop.create_refund("O-5008", 17.25, "late")["refund_id"] == "R-1"
    assert shop.create_refund("O-5008", 67.2, "late")["refund_id"] == "R-2"
    with pytest.raises(ToolError, match=r"up to 0\.00 EUR"):
        shop.create_refund("O-5008", 0.01, "late")


def test_only_processing_orders_change_address():
    shop = Shop()
    assert shop.change_address("O-5002", BERGEN)["address"] == BERGEN
    assert shop.get_order("O-5002")["address"] == BERGEN
    with pytest.raises(ToolError, match="is shipped"):
        shop.change_address("O-5005", BERGEN)


def test_new_order_can_be_read():
    shop = Shop()
    created = shop.create_order("C-105", [OrderLine(product_id="P-18", quantity=2)])
    assert created == {"order_id": "O-5013", "total": 34.5}
    assert shop.get_order("O-5013")["status"] == "processing"
    assert shop.create_order("C-105", [{"product_id": "P-18", "quantity": 1}])["order_id"] == "O-5014"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda shop: shop.create_order("C-105", []), "at least one line"),
        (lambda shop: shop.create_order("C-105", [{"product_id": "P-12", "quantity": 14}]), "13 are in stock"),
        (lambda shop: shop.create_order("C-105", [{"product_id": "P-12"}]), r"lines\.0\.quantity|quantity"),
        (lambda shop: shop.create_order("C-999", []), "no customer C-999"),
        (lambda shop: shop.check_stock(["P-11", "P-99"]), "no product P-99"),
        (lambda shop: shop.check_stock(["P-11"], "paris"), "'berlin', 'madrid' or 'oslo'"),
        (lambda shop: shop.quote_shipping(BERGEN | {"country_code": "AQ"}, 1), "does not ship to AQ"),
        (lambda shop: shop.quote_shipping(BERGEN, 0), "up to 30 kg"),
        (lambda shop: shop.find_customer("x@example.com"), "no customer with the e-mail address x@example.com"),
        (lambda shop: shop.list_orders("C-999"), "no customer C-999"),
        (lambda shop: shop.open_ticket("C-101", "Hello", due="2026-06-14"), "in the past"),
    ],
)
def test_tools_say_no_in_words(call, words):
    shop = Shop()
    with pytest.raises(ToolError, match=words):
        call(shop)
    assert shop.state() == Shop().state()


def test_state_is_small_and_a_copy():
    for case in CASES:
        assert len(to_json(gold(case).final_state)) < 3000
    shop = Shop()
    shop.state()["refunds"]["R-1"] = {}
    assert shop.state()["refunds"] == {}


def test_hyphens_of_other_fonts_are_hyphens():
    assert states("Order O\u20115003", "O-5003")


def test_outage_ends():
    shop = Shop({"get_order": 2})
    for _ in range(2):
        with pytest.raises(ToolError, match="get_order is temporarily unavailable, try again"):
            shop.get_order("O-5001")
    assert shop.get_order("O-5001")["total"] == 104.85


def test_typed_values_and_json_are_the_same():
    shop = Shop()

    def call(tool: Tool, **arguments: Any) -> ToolCall:
        return ToolCall(name=tool.__name__, arguments=bound_arguments(tool, (), arguments))

    for typed, from_json in (
        (
            call(shop.quote_shipping, address=Address(**BERGEN), weight_kg=2),
            call(shop.quote_shipping, address=BERGEN, weight_kg=2.0, express=False),
        ),
        (
            call(shop.list_orders, customer_id="C-102", since=date(2026, 1, 2)),
            call(shop.list_orders, customer_id="C-102", status=None, since="2026-01-02"),
        ),
        (
            call(shop.create_order, customer_id="C-102", lines=[OrderLine(product_id="P-11", quantity=1)]),
            call(shop.create_order, customer_id="C-102", lines=[{"quantity": 1, "product_id": "P-11"}]),
        ),
    ):
        assert matches(typed, from_json) and matches(from_json, typed)
    assert Shop().quote_shipping(Address(**BERGEN), 2) == Shop().quote_shipping(BERGEN, 2.0)


# --- a run -------------------------------------------------------------------------------------


def test_each_run_starts_fresh():
    case = next(case for case in CASES if case.id == "refund-flaky")
    for _ in range(2):
        run = prepare(case)
        assert (run.brief.instructions, run.brief.question) == (INSTRUCTIONS, case.question)
        assert run.final_state() == Shop().state()
        play([step for turn in case.turns for step in turn], {tool.__name__: tool for tool in run.brief.tools})
        assert run.final_state() == gold(case).final_state != Shop().state()


def test_tools_are_wrapped_without_an_agent():
    seen: list[tuple[str, str | None]] = []

    def wrap(tool: Tool, agent: str | None) -> Tool:
        seen.append((tool.__name__, agent))
        return tool

    tools = prepare(CASES[0], wrap).brief.tools
    assert seen == [(tool.__name__, None) for tool in tools]


# --- grading -----------------------------------------------------------------------------------


@given(cases_where(lambda case: True), st.data())
def test_order_within_a_turn_is_free(case, data):
    calls = iter(gold(case).tool_calls)
    shuffled = [data.draw(st.permutations([next(calls) for _ in turn])) for turn in case.turns]
    assert grade(case, with_calls(case, [call for turn in shuffled for call in turn])).passed


@given(cases_where(lambda case: case.turns), st.data())
def test_missing_call_fails(case, data):
    calls = gold(case).tool_calls
    missing = data.draw(st.sampled_from(range(len(calls))))
    assert fails_naming(case, with_calls(case, calls[:missing] + calls[missing + 1 :]), calls[missing].name)


@given(cases_where(lambda case: case.turns and case.kind != "flaky_tool"), st.data())
def test_wrong_argument_fails(case, data):
    calls = gold(case).tool_calls
    steps = [step for turn in case.turns for step in turn]
    index = data.draw(st.sampled_from(range(len(calls))))
    name = data.draw(st.sampled_from(sorted(calls[index].arguments)))
    wrong = calls[index].model_copy(update={"arguments": calls[index].arguments | {name: "something else"}})
    outcome = with_calls(case, [*calls[:index], wrong, *calls[index + 1 :]])
    if name in steps[index].free:
        assert grade(case, outcome).passed
    else:
        assert fails_naming(case, outcome, wrong.name, "wrong argument", name)


@given(cases_where(lambda case: case.turns), st.data())
def test_another_tool_fails(case, data):
    calls = gold(case).tool_calls
    index = data.draw(st.sampled_from(range(len(calls))))
    others = sorted({tool.__name__ for tool in Shop().tools()} - {call.name for call in calls})
    other = calls[index].model_copy(update={"name": data.draw(st.sampled_from(others))})
    assert fails_naming(case, with_calls(case, [*calls[:index], other, *calls[index + 1 :]]), calls[index].name)


@given(cases_where(lambda case: True), st.data())
def test_side_effect_fails(case, data):
    calls = gold(case).tool_calls
    at = data.draw(st.integers(0, len(calls)))
    damaged = with_calls(case, [*calls[:at], SIDE_EFFECT, *calls[at:]])
    assert fails_naming(case, damaged, "open_ticket", "side effect that was not asked for")


@given(cases_where(lambda case: True))
def test_further_read_fails_only_where_no_call_is_needed(case):
    damaged = with_calls(case, [*gold(case).tool_calls, READ])
    if case.other_reads:
        assert grade(case, damaged).passed
    else:
        assert fails_naming(case, damaged, "find_customer", "no such call was needed")


@given(cases_where(lambda case: True), st.sampled_from(["orders", "addresses", "refunds", "tickets"]))
def test_changed_final_state_fails(case, group):
    state = gold(case).final_state
    added = state | {group: state[group] | {"X-9": {"amount": 1}}}
    assert fails_naming(case, gold(case).model_copy(update={"final_state": added}), "final state", f"{group} X-9")
    if state[group]:
        emptied = gold(case).model_copy(update={"final_state": state | {group: {}}})
        assert fails_naming(case, emptied, "final state", f"{group} {next(iter(state[group]))} is absent")


@given(cases_where(lambda case: case.facts), st.data())
def test_missing_fact_fails(case, data):
    fact = data.draw(st.sampled_from(case.facts))
    outcome = gold(case).model_copy(update={"answer": "I looked into it."})
    assert fails_naming(case, outcome, "lacks the fact", fact.says[0])


@given(cases_where(lambda case: case.forbidden), st.data())
def test_forbidden_phrase_fails(case, data):
    phrase = data.draw(st.sampled_from(case.forbidden))
    outcome = gold(case).model_copy(update={"answer": f"{case.answer} {phrase}."})
    assert fails_naming(case, outcome, "forbidden", phrase)


@given(cases_where(lambda case: case.ordered))
def test_broken_order_fails(case):
    assert fails_naming(case, with_calls(case, gold(case).tool_calls[::-1]), "too early")


def test_empty_answer_fails():
    for case in CASES:
        assert fails_naming(case, gold(case).model_copy(update={"answer": " "}), "the answer is empty")
