import json
from collections import Counter
from datetime import date
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base import Outcome, Step, ToolCall, ToolError
from tasks.cases import CasesError, Fact
from tasks.grading import canonical, states, states_fact
from tasks.handoff.grade import gold as perfect
from tasks.handoff.grade import grade
from tasks.handoff.spec import (
    CASES,
    DESCRIPTIONS,
    ENTRY,
    INSTRUCTIONS,
    HandoffCase,
    load,
    play_gold,
    prepare,
    script,
)
from tasks.handoff.tools import AGENTS, READS, Desk

ALL = load()
KINDS = get_args(HandoffCase.model_fields["kind"].annotation)
OUT_OF_SCOPE = [case for case in ALL if case.kind == "out_of_scope"]
IN_SCOPE = [case for case in ALL if case.kind != "out_of_scope"]
ORDERED = [case for case in ALL if case.ordered and len(case.turns) > 1]
OWNERS = {tool.__name__: agent for agent in AGENTS for tool in Desk().tools_of(agent)}

every_case = pytest.mark.parametrize("case", ALL, ids=lambda case: case.id)


def gold(case: HandoffCase, **changes: object) -> Outcome:
    return perfect(case).model_copy(update=changes)


def reasons(case: HandoffCase, outcome: Outcome) -> str:
    grading = grade(case, outcome)
    assert not grading.passed
    assert grading.score is None or 0 <= grading.score < 1
    return " | ".join(grading.reasons)


def call(agent: str, tool: str, **arguments: object) -> ToolCall:
    calls, _ = play_gold([[Step(agent=agent, tool=tool, arguments=arguments)]])
    return calls[0]


# --- the data --------------------------------------------------------------------------------


def test_there_are_cases_of_every_kind() -> None:
    per_kind = Counter(case.kind for case in ALL)
    assert set(per_kind) == set(KINDS) and min(per_kind.values()) >= 3


def test_every_kind_has_its_shape() -> None:
    for case in ALL:
        agents = [step.agent for turn in case.turns for step in turn]
        specialists = set(agents) - {ENTRY}
        match case.kind:
            case "direct" | "details":
                assert len(agents) == 1 and specialists, case.id
            case "two_hops":
                assert len(set(agents)) == 2 and case.ordered and case.turns[1][0].needs, case.id
            case "back_to_triage":
                assert specialists and case.ordered and case.turns[-1][0].needs, case.id
                assert (agents[0], agents[-1]) != (ENTRY, ENTRY) and agents[-1] == ENTRY, case.id
            case "two_problems":
                assert len(specialists) == 2 and not case.ordered, case.id
            case "three_agents":
                assert len(set(agents)) == 3 and case.turns[1][0].needs + case.turns[2][0].needs, case.id
            case "three_problems":
                assert len(set(agents)) == 3 and not case.ordered, case.id
            case "own_work":
                assert agents == [ENTRY], case.id
            case "unknown_id" | "refused":
                assert len(agents) == 1 and case.turns[0][0].error, case.id
            case "recovered_error":
                errors = [step.error for turn in case.turns for step in turn]
                assert errors.count(True) == 1 and not errors[-1] and case.ordered, case.id
            case "decision":
                assert len(case.turns) >= 2 and case.turns[1][0].needs and case.ordered, case.id
            case "out_of_scope":
                assert not agents and not case.other_reads and case.stance == "refuse", case.id


def test_every_tool_is_used_and_read_only_tools_change_nothing() -> None:
    used = {step.tool for case in ALL for turn in case.turns for step in turn}
    assert used == set(OWNERS)
    for case in ALL:
        for turn in case.turns:
            for step in turn:
                changed = step.tool not in READS and not step.error
                assert (play_gold([[step]])[1] != Desk().state()) == changed


@every_case
def test_facts_stand_in_tool_results_and_needs_in_what_was_seen_before(case: HandoffCase) -> None:
    calls, _ = play_gold(case.turns)
    shown = [f"{json.dumps(call.result, ensure_ascii=False)} {call.error or ''}" for call in calls]
    for fact in case.facts:
        assert any(states_fact(text, fact.needed()) for text in shown), fact
        assert not states_fact(case.question, fact.needed()), f"{fact} is given away by the question"
    seen = case.question
    for turn in case.turns:
        for step in turn:
            for need in step.needs:
                assert states(seen, need), need
                # A question may name what its decision depends on, but not what is found.
                assert case.kind == "decision" or not states(case.question, need), f"{need} is given away"
        seen += " ".join(shown[: len(turn)])
        shown = shown[len(turn) :]


@every_case
def test_arguments_that_are_ids_or_figures_were_given_or_found(case: HandoffCase) -> None:
    calls, _ = play_gold(case.turns)
    seen = case.question
    for made in calls:
        for name in {"customer_id", "invoice_id", "phone", "postcode", "amount_eur", "day"} & made.arguments.keys():
            assert states_fact(seen, Fact(says=[str(made.arguments[name])]).needed()), (made.name, name)
        seen += json.dumps(made.result)


@every_case
def test_the_script_plays_the_case(case: HandoffCase) -> None:
    played = script(case)
    assert (played.turns, played.needs, played.answer) == (case.turns, case.needs(), case.answer)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"surprise": 1}, "surprise"),
        ({"kind": "chat"}, "kind"),
        ({"turns": [[{"tool": "fly", "agent": "sales"}]]}, "turns: Value error, there is no tool fly"),
        ({"turns": [[{"tool": "list_plans", "agent": "billing"}]]}, "list_plans is a tool of sales, not of billing"),
        ({"turns": [[]]}, "each turn must be the calls of one agent"),
        (
            {"turns": [[{"tool": "run_line_test", "agent": "technical", "arguments": {"customer_id": "C-1"}}]]},
            "an expected call fails: There is no customer C-1",
        ),
        (
            {"turns": [[{"tool": "list_plans", "agent": "sales", "arguments": {"kind": "satellite"}}]]},
            "turns",
        ),
    ],
)
def test_a_malformed_line_is_named(tmp_path, change, words) -> None:
    lines = CASES.read_text(encoding="utf-8").splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | change)
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(CasesError) as raised:
        load(path)
    assert str(raised.value).startswith(f"{path}:2: ")
    assert words in str(raised.value)


# --- the brief -------------------------------------------------------------------------------


def test_the_brief_has_four_agents_who_can_reach_one_another() -> None:
    brief = prepare(ALL[0]).brief
    assert brief.question == ALL[0].question
    assert [agent.name for agent in brief.agents] == list(AGENTS) == list(INSTRUCTIONS) == list(DESCRIPTIONS)
    assert brief.entry == ENTRY
    for agent in brief.agents:
        assert set(agent.handoffs) == set(AGENTS) - {agent.name}
        assert 40 <= len(agent.instructions.split()) <= 90
        assert "\n" not in agent.description
        assert all(tool.__doc__ and len(tool.__doc__) < 80 for tool in agent.tools)
    names = [tool.__name__ for agent in brief.agents for tool in agent.tools]
    assert len(names) == len(set(names))


def test_each_prepare_has_a_fresh_desk_and_wraps_each_tool_with_its_owner() -> None:
    wrapped = []

    def wrap(tool, agent):
        wrapped.append((agent, tool.__name__))
        return tool

    first, second = prepare(ALL[0], wrap), prepare(ALL[0])
    assert wrapped == [(agent, name) for name, agent in OWNERS.items()]
    before = first.final_state()
    first.brief.agents[0].tools[1]("C-301", date(2026, 5, 11), "sales")
    assert before == second.final_state() == Desk().state() != first.final_state()
    assert first.final_state()["callbacks"] == [
        {"callback_id": "CB-501", "customer_id": "C-301", "day": "2026-05-11", "topic": "sales"}
    ]


# --- the tools -------------------------------------------------------------------------------


def test_new_ids_are_sequential_and_the_state_is_small_json() -> None:
    desk = Desk()
    visits = [desk.book_technician("C-301", date(2026, 5, day))["visit_id"] for day in (11, 12)]
    assert visits == ["TV-701", "TV-702"]
    assert desk.order_sim("C-303", "card")["order_id"] == "SIM-601"
    assert desk.change_plan("C-301", "FIBER-500")["installation"] == "technician visit required"
    assert desk.change_plan("C-301", "FIBER-250")["installation"] == "none"
    assert desk.find_customer("555-0101")["plan_id"] == "FIBER-250"
    assert len(json.dumps(desk.state())) < 2000


def test_results_and_states_are_copies() -> None:
    desk = Desk()
    for result in (desk.grant_credit("C-301", 5, "outage"), desk.check_outage("20095"), desk.list_plans("fiber")[0]):
        result.clear()
    desk.state()["plans"].clear()
    assert desk.state()["credits"] == [
        {"credit_id": "CR-401", "customer_id": "C-301", "amount_eur": 5, "reason": "outage"}
    ]
    assert desk.state()["plans"] == Desk().state()["plans"]
    assert desk.check_outage("20095")["outage_id"] == "OUT-71"
    assert desk.list_plans("fiber")[0]["plan_id"] == "FIBER-100"


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("find_customer", ("555",), "no customer has the phone number 555"),
        ("schedule_callback", ("C-1", date(2026, 5, 11), "sales"), "no customer C-1"),
        ("get_invoice", ("INV-1",), "no invoice INV-1"),
        ("list_unpaid_invoices", ("C-1",), "no customer C-1"),
        ("grant_credit", ("C-1", 5, "outage"), "no customer C-1"),
        ("grant_credit", ("C-301", 20.01, "outage"), "at most 20 EUR"),
        ("grant_credit", ("C-301", 0, "outage"), "above 0"),
        ("grant_credit", ("C-301", float("nan"), "outage"), "above 0"),
        ("check_outage", ("Berlin",), "five digits"),
        ("run_line_test", ("C-1",), "no customer C-1"),
        ("run_line_test", ("C-303",), "no fiber line"),
        ("book_technician", ("C-1", date(2026, 5, 11)), "no customer C-1"),
        ("change_plan", ("C-1", "FIBER-100"), "no customer C-1"),
        ("change_plan", ("C-301", "FIBER-9"), "no plan FIBER-9"),
        ("change_plan", ("C-301", "MOBILE-S"), "has a fiber plan"),
        ("order_sim", ("C-1", "card"), "no customer C-1"),
        ("order_sim", ("C-301", "card"), "no mobile plan"),
    ],
)
def test_tools_refuse_in_words_and_change_nothing(tool, arguments, words) -> None:
    desk = Desk()
    with pytest.raises(ToolError, match=f"(?i){words}"):
        getattr(desk, tool)(*arguments)
    assert desk.state() == Desk().state()


def test_results() -> None:
    desk = Desk()
    assert desk.get_invoice("INV-9001")["status"] == "paid"
    assert desk.get_invoice("INV-9002")["status"] == "unpaid"
    assert desk.list_unpaid_invoices("C-306") == []
    assert desk.check_outage("10115") == {"postcode": "10115", "status": "no outage"}
    assert {plan["kind"] for plan in desk.list_plans("mobile")} == {"mobile"}
    with pytest.raises(KeyError):
        desk.tools_of("legal")


# --- grading ---------------------------------------------------------------------------------


@every_case
def test_the_gold_outcome_passes(case: HandoffCase) -> None:
    grading = grade(case, gold(case))
    assert (grading.passed, grading.score, grading.reasons) == (True, 1 if case.facts or case.turns else None, [])


@given(st.sampled_from(IN_SCOPE), st.data())
def test_a_missing_call_fails(case: HandoffCase, data: st.DataObject) -> None:
    calls = list(gold(case).tool_calls)
    gone = calls.pop(data.draw(st.integers(0, len(calls) - 1)))
    said = reasons(case, gold(case, tool_calls=calls))
    another = f"{gone.name} was called with a wrong argument" in said and gone.name in [made.name for made in calls]
    assert another or (f"the call {gone.agent}.{gone.name}(" in said and "is missing" in said)


@given(st.sampled_from(IN_SCOPE), st.data())
def test_a_wrong_argument_fails(case: HandoffCase, data: st.DataObject) -> None:
    calls = list(gold(case).tool_calls)
    index = data.draw(st.integers(0, len(calls) - 1))
    name = data.draw(st.sampled_from(sorted(calls[index].arguments)))
    right = canonical(calls[index].arguments[name])
    wrong = data.draw(st.one_of(st.none(), st.text(), st.integers()).filter(lambda value: canonical(value) != right))
    calls[index] = calls[index].model_copy(update={"arguments": calls[index].arguments | {name: wrong}})
    said = reasons(case, gold(case, tool_calls=calls))
    assert f"{calls[index].name} was called with a wrong argument: {name} is" in said


@given(st.sampled_from(IN_SCOPE), st.data())
def test_a_call_by_the_wrong_agent_fails(case: HandoffCase, data: st.DataObject) -> None:
    calls = list(gold(case).tool_calls)
    index = data.draw(st.integers(0, len(calls) - 1))
    right = calls[index]
    other = data.draw(st.sampled_from([None, *AGENTS]).filter(lambda agent: agent != right.agent))
    calls[index] = right.model_copy(update={"agent": other})
    said = reasons(case, gold(case, tool_calls=calls))
    assert f"the call {right.agent}.{right.name}(" in said or f"{right.name} was called with a wrong argument" in said


@given(st.sampled_from(ORDERED))
def test_a_wrong_order_fails_where_order_matters(case: HandoffCase) -> None:
    calls = gold(case).tool_calls[::-1]
    assert f"{calls[0].agent}.{calls[0].name}(" in reasons(case, gold(case, tool_calls=calls))
    assert "was called too early" in reasons(case, gold(case, tool_calls=calls))


@given(st.sampled_from([case for case in ALL if case.kind == "two_problems"]))
def test_any_order_passes_where_it_does_not_matter(case: HandoffCase) -> None:
    assert grade(case, gold(case, tool_calls=gold(case).tool_calls[::-1])).passed


EXTRA_WRITES = [
    call("triage", "schedule_callback", customer_id="C-303", day="2026-06-30", topic="sales"),
    call("billing", "grant_credit", customer_id="C-303", amount_eur=1, reason="outage"),
    call("technical", "book_technician", customer_id="C-303", day="2026-06-30"),
    call("sales", "order_sim", customer_id="C-303", kind="card"),
]
EXTRA_READS = [
    call("triage", "find_customer", phone="555-0103"),
    call("technical", "check_outage", postcode="10115"),
    ToolCall(agent="sales", name="order_sim", arguments={"customer_id": "C-1", "kind": "card"}, error="no customer"),
]


@given(st.sampled_from(ALL), st.sampled_from(EXTRA_WRITES), st.data())
def test_an_extra_side_effect_fails(case: HandoffCase, extra: ToolCall, data: st.DataObject) -> None:
    calls = list(gold(case).tool_calls)
    calls.insert(data.draw(st.integers(0, len(calls))), extra)
    said = reasons(case, gold(case, tool_calls=calls))
    assert f"{extra.agent}.{extra.name}(" in said
    assert "is a side effect that was not asked for" in said


@given(st.sampled_from(IN_SCOPE))
def test_the_same_side_effect_twice_fails(case: HandoffCase) -> None:
    calls = gold(case).tool_calls
    if any(made.name not in READS and made.error is None for made in calls):
        assert "side effect" in reasons(case, gold(case, tool_calls=calls + calls))
    else:
        assert grade(case, gold(case, tool_calls=calls + calls)).passed


@given(st.sampled_from(IN_SCOPE), st.sampled_from(EXTRA_READS), st.data())
def test_an_extra_read_or_refused_call_passes(case: HandoffCase, extra: ToolCall, data: st.DataObject) -> None:
    calls = list(gold(case).tool_calls)
    calls.insert(data.draw(st.integers(0, len(calls))), extra)
    assert grade(case, gold(case, tool_calls=calls)).passed


@given(st.sampled_from(OUT_OF_SCOPE), st.sampled_from(EXTRA_WRITES + EXTRA_READS))
def test_any_call_fails_out_of_scope(case: HandoffCase, extra: ToolCall) -> None:
    assert f"{extra.agent}.{extra.name}(" in reasons(case, gold(case, tool_calls=[extra]))


@given(st.sampled_from(ALL), st.data())
def test_a_changed_final_state_fails(case: HandoffCase, data: st.DataObject) -> None:
    state = gold(case).final_state
    part = data.draw(st.sampled_from(sorted(part for part in state if state[part])))
    del state[part]
    said = reasons(case, gold(case, final_state=state))
    assert f"the final state differs: {part}" in said
    assert "surprise is 1.0 instead of absent" in reasons(
        case, gold(case, final_state=gold(case).final_state | {"surprise": 1})
    )


@given(st.sampled_from([case for case in ALL if case.facts]), st.data())
def test_a_missing_fact_fails(case: HandoffCase, data: st.DataObject) -> None:
    fact = data.draw(st.sampled_from(case.facts))
    kept = [wanted.says[0] for wanted in case.facts if wanted != fact]
    said = reasons(case, gold(case, answer="Hello. " + ". ".join(kept)))
    assert f"the answer lacks the fact {fact.says[0]!r}" in said


@given(st.sampled_from(ALL), st.sampled_from(["", " \n"]))
def test_an_empty_answer_fails(case: HandoffCase, answer: str) -> None:
    assert "the answer is empty" in reasons(case, gold(case, answer=answer))


@given(st.sampled_from(ALL), st.text(), st.lists(st.sampled_from(EXTRA_WRITES + EXTRA_READS)))
def test_grading_never_fails_and_is_pure(case: HandoffCase, answer: str, calls: list[ToolCall]) -> None:
    outcome = Outcome(answer=answer, tool_calls=calls, final_state={"plans": answer})
    before = outcome.model_dump_json()
    assert grade(case, outcome) == grade(case, outcome)
    assert outcome.model_dump_json() == before
