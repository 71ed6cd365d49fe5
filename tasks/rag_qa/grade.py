"""Grades an answer with citations: retrieval, the facts, who is cited for them, and knowing when not to answer."""

from tasks.base import Outcome
from tasks.grading import Check, Grade, Vocabulary, World, answer_checks, as_read, held_by_floors, per_case
from tasks.rag_qa.spec import RagQaCase, citations, corpus, document_ids

VOCABULARY = Vocabulary(
    currency="USD",
    roles=(
        (
            ("main memory", "RAM", "system memory", "内存", "主存"),
            ("video memory", "VRAM", "GPU memory", "graphics memory", "显存"),
            ("disk", "storage", "SSD", "磁盘", "硬盘"),
        ),
        (
            ("speed", "fast", "faster", "speedup", "speed-up", "quicker"),
            ("slow", "slower"),
            ("throughput", "吞吐量"),
            ("memory", "显存", "内存"),
            ("latency", "延迟"),
            ("accuracy", "quality"),
        ),
    ),
)


def gold(case: RagQaCase) -> Outcome:
    """What a perfect run of `case` does: it retrieves what it cites, or something, and gives the right answer."""
    return Outcome(answer=case.answer, retrieved=case.gold or [corpus()[0].id])


def grade(case: RagQaCase, outcome: Outcome) -> Grade:
    """Grade one outcome: the answer, and where it is known which documents were retrieved."""
    return Grade.of(_checks(case, outcome), _floor(case))


def _checks(case: RagQaCase, outcome: Outcome) -> list[Check]:
    return [
        *_retrieval_checks(case, outcome.retrieved),
        *answer_checks(case, outcome.answer, _world(case)),
        *_citation_checks(case, as_read(outcome.answer)),
    ]


def _retrieval_checks(case: RagQaCase, retrieved: list[str] | None) -> list[Check]:
    """A check for each gold document; where there is none, that something was looked at before abstaining."""
    if retrieved is None:
        return []
    if not case.gold:
        return [
            Check(
                name="retrieved any",
                part="retrieval",
                held=bool(retrieved),
                kind="a document was not retrieved",
                reason="abstains without having looked: no document was retrieved",
            )
        ]
    return [
        Check(
            name=f"retrieved {id}",
            part="retrieval",
            held=id in retrieved,
            kind="a document was not retrieved",
            reason=f"{id} was not retrieved",
        )
        for id in case.gold
    ]


def _citation_checks(case: RagQaCase, answer: str) -> list[Check]:
    """Citation recall, one check a gold document where citations are asked for, and precision, one a cited id."""
    cited = citations(answer)
    checks = [
        Check(
            name=f"cites {id}",
            part="citations",
            held=id in cited,
            kind="a citation is missing",
            reason=f"does not cite {id}",
        )
        for id in (case.gold if case.cites else [])
    ]
    for id in cited:
        if id not in case.gold:
            reason = "which does not support the answer" if id in document_ids() else "which is not a document"
            held = id in case.acceptable
            checks.append(
                Check(
                    name=f"cites {id}",
                    part="citations",
                    held=held,
                    kind="a citation is wrong",
                    reason=f"cites {id}, {reason}",
                )
            )
    return checks


@per_case
def _world(case: RagQaCase) -> World:
    """What the documents that may be cited say; of a question without answer, those that it names."""
    named = {document.id for document in corpus() if document.id in case.question.casefold()}
    ids = {*case.gold, *case.acceptable, *(() if case.gold else named)}
    texts = [f"{doc.title}\n{doc.source}\n{doc.text}" for doc in corpus() if doc.id in ids]
    return World(case, VOCABULARY, texts=tuple(texts))


@per_case
def _floor(case: RagQaCase) -> frozenset[str]:
    """The checks that hold for an agent that does nothing."""
    return held_by_floors(case, {}, _checks)
