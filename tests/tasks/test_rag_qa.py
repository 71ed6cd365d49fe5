import re
from collections import Counter
from pathlib import Path

import bm25s
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base import CasesError, Fact, Outcome, load_cases, of_size
from tasks.grading import normalise, states, states_fact
from tasks.rag_qa import spec
from tasks.rag_qa.grade import ABSTENTIONS, abstains, grade
from tasks.rag_qa.spec import CORPUS, K, RagQaCase, citations, load_documents

DOCUMENTS = {document.id: document for document in load_documents()}
ALL = spec.load()
ANSWERABLE = [case for case in ALL if case.gold]
UNANSWERABLE = [case for case in ALL if not case.gold]
KINDS = {"single_fact", "comparison", "conflict", "cross_language", "near_duplicate", "unanswerable"}
HAN = re.compile(r"[\u4e00-\u9fff]")


def each(cases: list[RagQaCase]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


def graded(case: RagQaCase, answer: str) -> tuple[bool, str]:
    result = grade(case, Outcome(answer=answer))
    assert result.passed == (not result.reasons) == (result.score == 1)
    return result.passed, "; ".join(result.reasons)


def without(answer: str, fact: Fact) -> str:
    """`answer` with every alternative of `fact` blanked out, longest first."""
    text = normalise(answer)
    for phrase in sorted(map(normalise, fact), key=len, reverse=True):
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


def test_kinds_and_sizes() -> None:
    assert [len(of_size(ALL, size)) for size in ("quick", "standard")] == [2, 8]
    assert len({case.kind for case in of_size(ALL, "quick")}) == 2
    assert len(ALL) >= 26
    assert {case.kind for case in of_size(ALL, "standard")} == KINDS
    assert len(UNANSWERABLE) >= 5
    counts = Counter(case.kind for case in ALL).values()
    assert len(counts) == len(KINDS) and max(counts) - min(counts) <= 1


def test_both_directions_of_cross_language() -> None:
    directions = Counter(
        (bool(HAN.search(case.question)), DOCUMENTS[id].language)
        for case in ALL
        if case.kind == "cross_language"
        for id in case.gold
    )
    assert directions[True, "en"] >= 2 and directions[False, "zh"] >= 2
    assert len(directions) == 2


@each(ANSWERABLE)
def test_facts_stand_in_gold_documents_and_not_in_the_question(case: RagQaCase) -> None:
    for fact in case.facts:
        assert any(states_fact(DOCUMENTS[id].passage, fact) for id in case.gold), fact
        assert not states_fact(case.question, fact)


@each(ANSWERABLE)
def test_every_gold_document_is_needed(case: RagQaCase) -> None:
    for id in case.gold:
        others = " ".join(DOCUMENTS[other].passage for other in case.gold if other != id)
        assert not all(states_fact(others, fact) for fact in case.facts), id


@each([case for case in ALL if case.kind == "conflict"])
def test_conflict_is_between_two_sources(case: RagQaCase) -> None:
    assert len({DOCUMENTS[id].source for id in case.gold}) == len(case.gold) == 2


def _retrieved() -> dict[str, set[str]]:
    """For each case the documents that BM25 finds with its searches."""

    def tokens(texts: list[str]) -> list[list[str]]:
        return [re.findall(r"[a-z0-9]+|[\u4e00-\u9fff]", text.lower()) for text in texts]

    ids = list(DOCUMENTS)
    index = bm25s.BM25()
    index.index(tokens([document.passage for document in DOCUMENTS.values()]), show_progress=False)
    return {
        case.id: {ids[i] for i in index.retrieve(tokens(case.searches), k=K, show_progress=False)[0].flat}
        for case in ALL
    }


def test_searches_find_every_gold_document() -> None:
    found = _retrieved()
    assert {case.id: missing for case in ALL if (missing := set(case.gold) - found[case.id])} == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gold": []}, "the line: .*gold must be empty for an unanswerable case, and for no other"),
        ({"kind": "unanswerable"}, "the line: .*gold must be empty for an unanswerable case, and for no other"),
        ({"facts": []}, "the line: .*needs facts"),
        ({"gold": ["longlora", "nowhere"]}, "the line: .*nowhere is not a document"),
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
    assert len(prepared.brief.documents) == len(DOCUMENTS)
    assert prepared.brief.search_tool_name in prepared.brief.instructions
    assert prepared.final_state() == {}
    script = spec.script(case)
    assert script.searches and len(script.searches) <= 3
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
    assert not passed and f"lacks the fact {fact[0]!r}" in reasons


@given(st.sampled_from(ANSWERABLE), st.data())
def test_a_citation_removed_fails(case: RagQaCase, data: st.DataObject) -> None:
    id = data.draw(st.sampled_from(case.gold))
    assert graded(case, case.answer.replace(f"[{id}]", "")) == (False, f"does not cite {id}")


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
    assert graded(case, f"{case.answer} {phrase}.") == (False, f"the answer states the forbidden {phrase!r}")


@given(st.sampled_from(ANSWERABLE), st.sampled_from(ABSTENTIONS))
def test_abstaining_from_an_answerable_question_fails(case: RagQaCase, phrase: str) -> None:
    passed, reasons = graded(case, phrase)
    assert not passed and "abstains, although the documents answer the question" in reasons


@given(st.sampled_from(ANSWERABLE), st.sampled_from(ABSTENTIONS))
def test_a_right_answer_may_also_say_what_is_not_stated(case: RagQaCase, phrase: str) -> None:
    assert graded(case, f"{case.answer} More is {phrase}.") == (True, "")


@given(st.sampled_from(ALL), st.text(alphabet=" \n\t"))
def test_an_empty_answer_fails(case: RagQaCase, answer: str) -> None:
    passed, reasons = graded(case, answer)
    assert not passed and "the answer is empty" in reasons


@given(st.sampled_from(UNANSWERABLE), st.sampled_from(ANSWERABLE))
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


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("I don’t know.", True),
        ("The documents do not say which.", True),
        ("The guide does not mention a licence.", True),
        ("文档中没有提到这一点。", True),
        ("我不知道。", True),
        ("vLLM uses PagedAttention.", False),
        ("", False),
    ],
)
def test_abstains(answer: str, expected: bool) -> None:
    assert abstains(answer) == expected
