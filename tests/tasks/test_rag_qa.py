import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import get_args

import bm25s
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.harness.jobs import Settings
from evaluator.models.embedding import Embedder
from tasks.base import Outcome
from tasks.cases import CasesError, Fact, load_cases, of_size
from tasks.grading import floor_outcomes, normalise, states, states_fact
from tasks.rag_qa import spec
from tasks.rag_qa.grade import gold, grade
from tasks.rag_qa.spec import CORPUS, K, RagQaCase, citations, load_documents

DOCUMENTS = {document.id: document for document in load_documents()}
ALL = spec.load()
ANSWERABLE = [case for case in ALL if case.gold]
UNANSWERABLE = [case for case in ALL if not case.gold]
CHAINS = [case for case in ALL if case.kind == "chain"]
LEVEL_1 = [case for case in ALL if case.level == 1]
KINDS = set(get_args(spec.Kind))
HAN = re.compile(r"[\u4e00-\u9fff]")


def each(cases: list[RagQaCase]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


ABSTENTIONS = (
    "I don't know",
    "the documents do not say",
    "nothing that I found mentions it",
    "it is not stated in the guide",
    "I have no information on this",
    "the guide leaves it open",
    "不知道",
    "文档没有提到",
    "资料中找不到",
)


def graded(case: RagQaCase, answer: str) -> tuple[bool, str]:
    result = grade(case, Outcome(answer=answer))
    assert result.passed == (not result.reasons)
    assert result.score is None or (result.score == 1) == result.passed
    return result.passed, "; ".join(result.reasons)


def without(answer: str, fact: Fact) -> str:
    """`answer` with every alternative of `fact` blanked out, longest first."""
    text = normalise(answer)
    for phrase in sorted(map(normalise, [*fact.says, *fact.needed()]), key=len, reverse=True):
        text = text.replace(phrase, "…")
    return text


def uncited(answer: str) -> str:
    return re.sub(r"\s*\[[^\]]*\]", "", answer)


# --- the corpus --------------------------------------------------------------------------------


def test_corpus_is_large_and_bilingual() -> None:
    assert len(DOCUMENTS) == len(list(CORPUS.glob("*.md"))) >= 45
    assert sum(document.language == "zh" for document in DOCUMENTS.values()) >= 8


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_document_is_short_and_names_its_source(document: spec.Document) -> None:
    han = len(HAN.findall(document.text))
    if document.language == "zh":
        assert 200 <= han <= 330
    else:
        assert han == 0 and 120 <= len(document.text.split()) <= 170
    assert document.source in {"2026 framework survey", "tool overview"}
    assert states(document.text, document.source)
    assert document.passage.startswith(f"[{document.id}] {document.title}\n")


def test_no_two_documents_share_a_sentence() -> None:
    sentences = Counter(
        sentence.strip()
        for document in DOCUMENTS.values()
        for sentence in re.split(r"[.。](?:\s|$)|(?<=。)", document.text)
        if len(sentence.strip()) > 20
    )
    assert [sentence for sentence, count in sentences.items() if count > 1] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id: a\n", "a.md:1: must be '---'"),
        ("---\nid: a\n", "a.md:2: the front matter has no closing"),
        ("---\nid: a\nnonsense\n---\ntext", "a.md:3: must be 'name: value'"),
        ("---\nid: a\nid: a\n---\ntext", "a.md:3: must be 'name: value'"),
        ("---\nid: a\ntitle: A\nlanguage: fr\nsource: s\n---\ntext", "a.md:4: language:"),
        ("---\nid: a\ntitle: A\nlanguage: en\nsource: s\nauthor: me\n---\ntext", "a.md:6: author:"),
        ("---\nid: a\ntitle: A\nlanguage: en\nsource: s\n---\n\n", "a.md:6: text:"),
        ("---\ntitle: A\nlanguage: en\nsource: s\n---\ntext", "a.md:5: id: Field required"),
        ("---\nid: b\ntitle: A\nlanguage: en\nsource: s\n---\ntext", "a.md:2: id: must be 'a'"),
        (b"\xff", "a.md: cannot be read"),
    ],
)
def test_malformed_document_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / "a.md").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CasesError, match=re.escape(message)):
        load_documents(tmp_path)


# --- the cases ---------------------------------------------------------------------------------


def test_kinds_levels_and_sizes() -> None:
    levels = Counter(case.level for case in ALL)
    assert set(levels) == {1, 2, 3, 4} and min(levels.values()) >= 16
    assert Counter(case.level for case in of_size(ALL, "quick")) == {1: 1, 2: 1}
    assert Counter(case.level for case in of_size(ALL, "standard")) == dict.fromkeys(levels, 4)
    assert {case.kind for case in ALL} == {case.kind for case in of_size(ALL, "standard")} == KINDS
    assert min(Counter(case.kind for case in ALL).values()) >= 4


def test_pure_refusals_are_rare() -> None:
    assert {case.id for case in UNANSWERABLE} == {case.id for case in ALL if case.kind == "unanswerable"}
    assert [len([case for case in of_size(UNANSWERABLE, size)]) for size in ("quick", "standard")] == [0, 1]
    assert 5 <= len(UNANSWERABLE) <= len(ALL) / 10


def test_what_the_documents_do_not_say_is_abstained_from() -> None:
    for case in ALL:
        assert (case.stance == "abstain") == (case.kind in ("unanswerable", "partly_answerable")), case.id


@each(ALL)
def test_whoever_does_nothing_passes_nothing(case: RagQaCase) -> None:
    for name, outcome in floor_outcomes(case, {}).items():
        result = grade(case, outcome)
        assert not result.passed and not result.score, name


def test_cases_without_a_shelf_have_the_full_setting() -> None:
    full = spec.prepare(next(case for case in ALL if case.id == "longlora-context")).brief
    assert (full.k, full.search_tool_description) == (K, spec.SEARCH_TOOL_DESCRIPTION)
    for case in ALL:
        brief = spec.prepare(case).brief
        same = (brief.instructions, brief.documents, brief.k, brief.search_tool_description) == (
            *(full.instructions, full.documents, full.k),
            full.search_tool_description,
        )
        assert same == (case.level > 1), case.id


@each(LEVEL_1)
def test_level_1_is_short(case: RagQaCase) -> None:
    full, short = (spec.prepare(one).brief for one in (ALL[0], case))
    assert len(short.instructions) < len(full.instructions) * 2 / 3
    assert {document.id for document in short.documents} == set(case.documents)
    assert len(short.documents) <= spec.LEVEL_1_DOCUMENTS and short.k <= spec.LEVEL_1_K
    assert len(case.facts) == 1


@each(LEVEL_1)
def test_level_1_needs_no_citation_but_no_wrong_one(case: RagQaCase) -> None:
    assert graded(case, uncited(case.answer)) == (True, "")
    assert not graded(case, f"{uncited(case.answer)} [pytorch-lightning]")[0]


@each([case for case in ALL if case.level == 4])
def test_level_4_takes_several_steps(case: RagQaCase) -> None:
    assert len(case.gold) + (case.kind == "partly_answerable") >= 3
    assert len(case.facts) >= 3 or case.kind == "partly_answerable"


def test_both_directions_of_cross_language() -> None:
    directions = Counter(
        (bool(HAN.search(case.question)), DOCUMENTS[id].language)
        for case in ALL
        if case.kind == "cross_language"
        for id in case.gold
    )
    assert directions[True, "en"] >= 2 and directions[False, "zh"] >= 2
    assert len(directions) == 2


def is_there(text: str, fact: Fact) -> bool:
    return states_fact(text, fact.needed())


@each(ANSWERABLE)
def test_facts_stand_in_gold_documents_and_not_in_the_question(case: RagQaCase) -> None:
    for fact in case.facts:
        assert fact.derived or any(is_there(DOCUMENTS[id].passage, fact) for id in case.gold), fact
        assert not states_fact(case.question, [*fact.says, *fact.needed()]), fact


@each(ANSWERABLE)
def test_every_gold_document_states_a_fact(case: RagQaCase) -> None:
    for id in case.gold:
        assert any(is_there(DOCUMENTS[id].passage, fact) for fact in case.facts), id


@each([case for case in ANSWERABLE if case.level < 4 and case.kind != "chain"])
def test_no_gold_document_can_be_done_without(case: RagQaCase) -> None:
    for id in case.gold:
        others = " ".join(DOCUMENTS[other].passage for other in case.gold if other != id)
        known = [is_there(others, fact) and (not fact.about or states_fact(others, fact.about)) for fact in case.facts]
        assert not all(known), id


@each([case for case in ALL if case.kind == "conflict"])
def test_conflict_is_between_two_sources(case: RagQaCase) -> None:
    assert len({DOCUMENTS[id].source for id in case.gold}) == 2
    assert len(case.gold) == case.level - 1


Find = Callable[[Sequence[spec.Document], list[str], int], list[set[str]]]


def by_words(documents: Sequence[spec.Document], queries: list[str], k: int) -> list[set[str]]:
    """The ids that BM25 finds, for each query."""

    def tokens(texts: list[str]) -> list[list[str]]:
        return [re.findall(r"[a-z0-9]+|[\u4e00-\u9fff]", text.lower()) for text in texts]

    index = bm25s.BM25()
    index.index(tokens([document.passage for document in documents]), show_progress=False)
    found, _ = index.retrieve(tokens(queries), k=k, show_progress=False)
    return [{documents[i].id for i in row} for row in found]


@cache
def embedder() -> Embedder:
    return Embedder()


def by_meaning(documents: Sequence[spec.Document], queries: list[str], k: int) -> list[set[str]]:
    """The ids that the embedding model finds, for each query, as the baseline does."""
    likeness = embedder().embed(queries) @ embedder().embed([document.passage for document in documents]).T
    return [{documents[i].id for i in row} for row in np.argsort(-likeness, axis=1, kind="stable")[:, :k]]


@pytest.mark.parametrize("find", [by_words, by_meaning])
@each(ANSWERABLE)
def test_searches_find_every_gold_document(case: RagQaCase, find: Find) -> None:
    brief = spec.prepare(case).brief
    assert set(case.gold) <= set().union(*find(brief.documents, case.searches, brief.k))


@pytest.mark.parametrize("find", [by_words, by_meaning])
@each(CHAINS)
def test_a_chain_takes_more_than_a_search_for_the_question(case: RagQaCase, find: Find) -> None:
    brief = spec.prepare(case).brief
    [found] = find(brief.documents, [case.question], brief.k)
    assert not set(case.gold) <= found


@each(CHAINS)
def test_a_chain_goes_on_with_what_a_document_names(case: RagQaCase) -> None:
    first, *_ = case.gold
    named = [fact for fact in case.facts if is_there(DOCUMENTS[first].passage, fact)]
    assert named and len(named) < len(case.facts)


SMALL = {"level": 1, "documents": ["longlora", "galore", "peft"], "k": 1, "prompt": "short"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gold": []}, "the line: .*gold must be empty for an unanswerable case, and for no other"),
        ({"kind": "unanswerable"}, "the line: .*gold must be empty for an unanswerable case, and for no other"),
        ({"facts": []}, "the line: .*needs facts"),
        ({"gold": ["longlora", "nowhere"]}, "the line: .*nowhere is not a document"),
        ({"documents": ["longlora", "elsewhere"]}, "the line: .*elsewhere is not a document"),
        ({"documents": ["awq", "gptq", "hqq"]}, "the line: .*longlora is not among the documents of the case"),
        ({"documents": ["longlora", "gptq"]}, "the line: .*documents must be .* at least k = 3"),
        ({"documents": ["longlora", "gptq", "gptq"]}, "the line: .*documents must be different ones"),
        ({"k": 0}, "k: "),
        ({"facts": [Fact(says=["4096"])]}, "the line: .*the fact '4096' stands in none of the documents longlora"),
        ({"level": 5}, "level: "),
        ({"level": 1}, f"the line: .*too much for a case of level 1: {len(DOCUMENTS)} documents, and not up to 8"),
        ({**SMALL, "k": 3}, "the line: .*too much for a case of level 1: k = 3, and not up to 2"),
        ({**SMALL, "searches": ["a", "b"]}, "the line: .*level 1: more than one document to cite or search to make"),
        ({**SMALL, "prompt": "full"}, "the line: .*level 1: the full prompt, and not the short one"),
        ({"answer": "32768 tokens."}, "the line: .*does not cite longlora"),
        ({"kind": "riddle"}, "kind: "),
        ({"surplus": 1}, "surplus: "),
    ],
)
def test_malformed_case_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    good = next(case for case in ALL if case.id == "longlora-context")
    bad = RagQaCase.model_construct(**{**dict(good), **change})
    path = tmp_path / "cases.jsonl"
    path.write_text(f"{good.model_dump_json()}\n\n{bad.model_dump_json(warnings=False)}\n")
    if "surplus" in change:
        path.write_text(good.model_dump_json() + "\n\n" + good.model_dump_json()[:-1] + ', "surplus": 1}\n')
    with pytest.raises(CasesError, match=rf"cases\.jsonl:3: {message}"):
        load_cases(path, RagQaCase)


# --- brief and script --------------------------------------------------------------------------


@each(ALL)
def test_brief_and_script(case: RagQaCase) -> None:
    prepared = spec.prepare(case)
    assert prepared.brief.question == case.question
    assert len(prepared.brief.documents) == len(case.documents or DOCUMENTS)
    assert prepared.brief.search_tool_name in prepared.brief.instructions
    assert prepared.final_state() == {}
    script = spec.script(case)
    assert len(script.searches) + 1 < Settings.max_model_calls
    shown = "\n".join(DOCUMENTS[id].passage for id in case.gold)
    assert all(states_fact(shown, need) for need in script.needs)
    assert not any(states(prepared.brief.instructions, f"[{id}]") for id in DOCUMENTS)


# --- grading -----------------------------------------------------------------------------------


@each(ALL)
def test_gold_answer_passes(case: RagQaCase) -> None:
    assert graded(case, case.answer) == (True, "")


@given(st.sampled_from(ANSWERABLE), st.data())
def test_a_fact_removed_fails(case: RagQaCase, data: st.DataObject) -> None:
    fact = data.draw(st.sampled_from(case.facts))
    passed, reasons = graded(case, without(case.answer, fact))
    assert not passed and repr(fact.says[0]) in reasons


@given(st.sampled_from([case for case in ANSWERABLE if case.cites]), st.data())
def test_a_citation_removed_fails(case: RagQaCase, data: st.DataObject) -> None:
    id = data.draw(st.sampled_from(case.gold))
    passed, reasons = graded(case, case.answer.replace(f"[{id}]", ""))
    assert not passed and f"does not cite {id}" in reasons


@given(st.sampled_from(ALL), st.sampled_from(sorted(DOCUMENTS)))
def test_another_citation_fails_unless_acceptable(case: RagQaCase, id: str) -> None:
    result = graded(case, f"{case.answer} 【{id.upper()}】")
    if id in case.gold or id in case.acceptable:
        assert result == (True, "")
    else:
        assert not result[0] and f"cites {id}, which does not support the answer" in result[1]


@given(st.sampled_from(ALL), st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True))
def test_an_invented_citation_fails(case: RagQaCase, id: str) -> None:
    passed, reasons = graded(case, f"{case.answer} [{id}]")
    if id not in DOCUMENTS:
        assert not passed and f"cites {id}, which is not a document" in reasons


@given(st.sampled_from([case for case in ALL if case.forbidden]), st.data())
def test_a_forbidden_phrase_fails(case: RagQaCase, data: st.DataObject) -> None:
    phrase = data.draw(st.sampled_from(case.forbidden))
    passed, reasons = graded(case, f"{case.answer} {phrase}.")
    assert not passed and re.search(rf"states something forbidden: [^;]*{re.escape(phrase)}", reasons)


@given(st.sampled_from(ANSWERABLE), st.sampled_from(ABSTENTIONS))
def test_abstaining_from_an_answerable_question_fails(case: RagQaCase, phrase: str) -> None:
    passed, reasons = graded(case, phrase)
    assert not passed and "the answer lacks the fact" in reasons


@given(
    st.sampled_from([c for c in ALL if c.stance == "answer"]),
    st.sampled_from(["I don't know.", "But I'm not sure.", "The guide does not say."]),
)
def test_a_right_answer_that_is_taken_back_fails(case: RagQaCase, phrase: str) -> None:
    passed, reasons = graded(case, f"{case.answer} {phrase}")
    assert not passed and "says that it cannot answer" in reasons


@given(st.sampled_from(ALL), st.text(alphabet=" \n\t"))
def test_an_empty_answer_fails(case: RagQaCase, answer: str) -> None:
    passed, reasons = graded(case, answer)
    assert not passed and "the answer is empty" in reasons


@given(st.sampled_from(UNANSWERABLE), st.sampled_from([c for c in ANSWERABLE if c.kind != "partly_answerable"]))
def test_answering_an_unanswerable_question_fails(case: RagQaCase, other: RagQaCase) -> None:
    passed, reasons = graded(case, uncited(other.answer))
    assert not passed and "does not abstain" in reasons


@given(st.sampled_from(UNANSWERABLE), st.sampled_from(ABSTENTIONS))
def test_every_way_to_abstain_passes(case: RagQaCase, phrase: str) -> None:
    assert graded(case, f"Sorry: {phrase}.") == (True, "")


@given(st.sampled_from(ALL), st.text())
def test_any_answer_can_be_graded(case: RagQaCase, answer: str) -> None:
    grade(case, Outcome(answer=answer))


@pytest.mark.parametrize(
    ("answer", "cited"),
    [
        ("A [vllm]. B [sglang].", ["vllm", "sglang"]),
        ("[vllm, sglang] [VLLM]", ["vllm", "sglang"]),
        ("【vllm】【sglang、awq】［gptq，hqq］", ["vllm", "sglang", "awq", "gptq", "hqq"]),
        ("see [vllm](vllm.md) and [[awq]]", ["vllm", "awq"]),
        ("[see below] [] [vllm", []),
        ("as in [1]", ["1"]),
    ],
)
def test_citations(answer: str, cited: list[str]) -> None:
    assert citations(answer) == cited


@each(ALL)
def test_documents_are_retrieved_before_they_are_answered_from(case: RagQaCase) -> None:
    assert grade(case, gold(case)).passed and grade(case, gold(case)).parts["retrieval"]
    assert "retrieval" not in grade(case, Outcome(answer=case.answer)).parts
    nothing = grade(case, Outcome(answer=case.answer, retrieved=[]))
    assert not nothing.parts["retrieval"] and set(nothing.kinds) == {"a document was not retrieved"}


def test_the_parts_of_a_grade_are_told_apart() -> None:
    case = next(case for case in ALL if case.id == "longlora-context")
    parts = grade(case, Outcome(answer="It is 2048 [vllm].", retrieved=["longlora"])).parts
    assert parts == {"facts": False, "citations": False, "abstention": True, "retrieval": True}
