"""Probes of `rag_qa`: the same brief, over three documents about a theatre."""

from tasks.base import Prepared, Wrap, unwrapped
from tasks.probing import ProbeCase, of_any_task, probe
from tasks.rag_qa.spec import Document, RagQaBrief

CASE_TYPE = ProbeCase

PROBES = (
    *of_any_task("rag_qa", lambda title: {"searches": ["note"]}),
    probe("rag_qa", "endless_calls", fault="endless_calls", searches=["note"]),
)


def prepare(case: ProbeCase, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of a probe. `wrap` is not used: the framework brings the only tool itself."""
    texts = {
        "note": case.found,
        "coat": "Coats are kept on the left of the hall.",
        "bell": "The bell rings three times before the play.",
    }
    documents = tuple(
        Document(id=name, title=f"About the {name}", language="en", source="probe", text=text)
        for name, text in texts.items()
    )
    instructions = f"Answer from what the search finds.{case.text}"
    return Prepared(brief=RagQaBrief(instructions, case.question, documents, k=2), final_state=dict)
