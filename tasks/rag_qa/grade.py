"""Grades an answer with citations: the facts, who is cited for them, and knowing when not to answer."""

from tasks.base import Outcome
from tasks.grading import Check, Grade, fact_checks, states_fact
from tasks.rag_qa.spec import RagQaCase, citations, document_ids

_ENGLISH = (
    "don't know, do not know, not sure, unable to answer, cannot answer, can't answer, could not answer, "
    "not answer, not answered, cannot be answered, not say, doesn't say, don't say, not state, not stated, "
    "not specify, not specified, not mention, not mentioned, doesn't mention, don't mention, not covered, "
    "no information, not contain information, not contain any information, not provide information, "
    "not provide any information, not include information, no mention, no answer, cannot find, can't find, "
    "could not find, couldn't find, did not find, didn't find"
)
_CHINESE = (
    "不知道, 不清楚, 不了解, 无法回答, 不能回答, 没有回答, 无法确定, 无法得知, 没有提到, 没有提及, 未提到, 未提及, "
    "没有说明, 未说明, 没有给出, 未给出, 没有提供, 未提供, 没有记载, 没有找到, 未找到, 找不到, 没有相关"
)
ABSTENTIONS = [*_ENGLISH.split(", "), *_CHINESE.split(", ")]
"""Ways to say that the documents do not answer."""


def abstains(answer: str) -> bool:
    """Whether `answer` says that it does not know, or that the documents do not."""
    return states_fact(answer, ABSTENTIONS)


def grade(case: RagQaCase, outcome: Outcome) -> Grade:
    """Grade one outcome: the answer alone counts, not how it was found."""
    cited = citations(outcome.answer)
    checks = fact_checks(case, outcome.answer)
    if case.gold:
        # "Not mentioned" may be part of a right answer, so it counts only where a fact is missing too.
        gave_up = abstains(outcome.answer) and not all(states_fact(outcome.answer, [*fact.says, *fact.needed()]) for fact in case.facts)
        reason = "abstains, although the documents answer the question"
        checks.append(Check(held=not gave_up, kind="gives up although the documents answer", reason=reason))
    else:
        reason = "does not abstain, although the documents do not answer the question"
        held = abstains(outcome.answer)
        checks.append(Check(held=held, kind="answers although the documents do not", reason=reason))
    # Citation recall, one check a gold document, and citation precision, one check a cited id.
    checks += [Check(held=id in cited, kind="a citation is missing", reason=f"does not cite {id}") for id in case.gold]
    for id in cited:
        right = id in case.gold or id in case.acceptable
        reason = "which does not support the answer" if id in document_ids() else "which is not a document"
        checks.append(Check(held=right, kind="a citation is wrong", reason=f"cites {id}, {reason}"))
    return Grade.of(checks)
