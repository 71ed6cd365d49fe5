import pytest

from evaluator.wire.handoffs import is_handoff, names_agent


@pytest.mark.parametrize(
    "tool",
    [
        "transfer_to_billing",
        "handoff",
        "hand_over",
        "HandOff-Sales",
        "delegate_work_to_coworker",
        "route_to",
        "Transfer",
    ],
)
def test_the_ways_in_which_frameworks_name_a_handoff(tool: str) -> None:
    assert is_handoff(tool)


@pytest.mark.parametrize("tool", ["get_invoice", "find_customer", "ask_billing", "billings", "search"])
def test_other_tools_are_none(tool: str) -> None:
    assert not is_handoff(tool)


def test_the_name_of_an_agent_is_enough_where_it_is_a_word_of_its_own() -> None:
    assert is_handoff("ask_Billing", ["sales", "billing"])
    assert not is_handoff("billings", ["billing"])
    assert names_agent("transfer_to_billing", "billing") and not names_agent("transfer_to_billing", "sales")
