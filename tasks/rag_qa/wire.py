"""What stands on the wire of `rag_qa`: one agent, and a search tool that the framework makes."""

from tasks.rag_qa.spec import RagQaBrief
from tasks.wire import ONLY_AGENT, Agent, OnTheWire, SearchTool


def on_the_wire(brief: RagQaBrief) -> OnTheWire:
    """What the requests of a run are read against."""
    search = SearchTool(brief.search_tool_name, brief.search_tool_description)
    return OnTheWire(
        question=brief.question,
        agents=(Agent(ONLY_AGENT, brief.instructions, (search,)),),
        passages={document.id: document.passage for document in brief.documents},
        k=brief.k,
    )
