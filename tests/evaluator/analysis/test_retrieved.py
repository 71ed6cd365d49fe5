"""Which documents stood in what the model was sent."""

import json
from collections.abc import Callable

import pytest
from played import played

from evaluator.analysis.graded_run import grade_run
from evaluator.catalog.tasks import all_tasks
from evaluator.trace import Trace

TASKS = all_tasks()


def with_results(change: Callable[[str], str]) -> Trace:
    """The perfect run of a case whose tool messages are changed."""
    whole = played("rag_qa", "longlora-context")
    calls = []
    for call in whole.model_calls:
        request = json.loads(json.dumps(call.request))
        for message in request["messages"]:
            if message["role"] == "tool":
                message["content"] = change(message["content"])
        calls.append(call.model_copy(update={"request": request}))
    return whole.model_copy(update={"model_calls": calls})


@pytest.mark.parametrize(
    ("change", "held"),
    [
        (str, True),
        (lambda text: json.dumps({"result": text}), True),
        (lambda text: text.replace("\n", "\r\n  "), True),
        (lambda text: text[:60], False),
        (lambda text: "", False),
    ],
    ids=["as it is", "JSON", "other blanks", "cut", "nothing"],
)
def test_a_document_counts_where_it_stands_whole_in_any_layout(change: Callable[[str], str], held: bool) -> None:
    run = grade_run(with_results(change), TASKS["rag_qa"])
    assert run.parts["retrieval"] == held
    assert ("a document was not retrieved" in run.kinds) != held


def test_a_task_without_documents_has_no_such_check() -> None:
    trace = played("tool_calling", "delivered-since")
    assert "retrieval" not in grade_run(trace, TASKS["tool_calling"]).parts
