"""Parallel agents in LangGraph: nodes of one step run at the same time, and each has an error handler."""

import operator
from collections.abc import Callable
from typing import Annotated, TypedDict

from langchain_openai import ChatOpenAI
from langgraph.errors import NodeError
from langgraph.graph import END, START, StateGraph

from tasks.base import Model
from tasks.parallel.spec import AgentSpec, ParallelBrief


class State(TypedDict):
    question: str
    found: Annotated[list[str], operator.add]
    answer: str


async def run(brief: ParallelBrief, model: Model) -> str:
    llm = ChatOpenAI(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
    )
    graph = StateGraph(State)
    graph.add_node(brief.join.name, joins(brief.join, llm))
    for branch in brief.branches:
        graph.add_node(branch.name, answers(branch, llm), error_handler=failed)
        graph.add_edge(START, branch.name)
        graph.add_edge(branch.name, brief.join.name)
    graph.add_edge(brief.join.name, END)
    result = await graph.compile().ainvoke({"question": brief.question})
    return result["answer"]


def answers(spec: AgentSpec, llm: ChatOpenAI) -> Callable:
    async def answer(state: State) -> dict:
        reply = await llm.ainvoke([("system", spec.instructions), ("user", state["question"])])
        return {"found": [f"{spec.name}: {reply.text}"]}

    return answer


def failed(state: State, error: NodeError) -> dict:
    return {"found": [f"{error.node}: failed with {error.error}"]}


def joins(spec: AgentSpec, llm: ChatOpenAI) -> Callable:
    async def join(state: State) -> dict:
        found = "\n".join([state["question"], *state["found"]])
        reply = await llm.ainvoke([("system", spec.instructions), ("user", found)])
        return {"answer": reply.text}

    return join
