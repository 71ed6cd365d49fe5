"""Questions over a field guide to LLM tooling, to be answered from retrieved documents with citations.

The brief holds the documents only: indexing and searching them is the framework's part.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from tasks.base import Data, Prepared, Wrap, unwrapped
from tasks.cases import Case, CasesError, Script, load_cases

CORPUS = Path(__file__).parent / "corpus"
CASES = Path(__file__).parent / "cases.jsonl"

K = 3
"""How many documents one search returns in the full setting."""

LEVEL_1_DOCUMENTS = 8
LEVEL_1_K = 2
"""At most so many documents are on the shelf of a case of level 1, and in one search result of it."""

SEARCH_TOOL_NAME = "search_guide"


def search_tool_description(k: int) -> str:
    """What the search tool says of itself where one search returns `k` documents."""
    best = f"{k} documents that fit the query best, each" if k > 1 else "document that fits the query best,"
    return (
        f"Search the field guide to LLM tooling. Returns the {best} headed by its id in square brackets and its title."
    )


SEARCH_TOOL_DESCRIPTION = search_tool_description(K)
INSTRUCTIONS = f"""\
Answer questions about LLM tooling with the function {SEARCH_TOOL_NAME}, which searches a field guide.
1. Call {SEARCH_TOOL_NAME} with a few key words of the question. Call it again with other words if something is missing.
2. Answer from the documents found, in at most three sentences, in the language of the question. \
After each fact, cite its document by the id in square brackets, for example [some-id]. \
Where documents disagree, report what each says and cite both.
3. If the documents found do not have the answer, say that you don't know and cite nothing.
"""

SHORT_INSTRUCTIONS = f"""\
Answer questions about LLM tooling with the function {SEARCH_TOOL_NAME}, which searches a field guide.
1. Call {SEARCH_TOOL_NAME} with a few key words of the question. Call it again with other words if something is missing.
2. Answer from the documents found, in one sentence.
"""
"""What to do without how to cite, which small models do not follow; with less on the search they made none."""

Kind = Literal[
    "single_fact",
    "comparison",
    "conflict",
    "cross_language",
    "near_duplicate",
    "unanswerable",
    "chain",
    "several_demands",
    "partly_answerable",
]


class Document(Data):
    """One document of the corpus; `source` is the survey that its facts come from."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = Field(min_length=1)
    language: Literal["en", "zh"]
    source: str = Field(min_length=1)
    text: str = Field(min_length=1)

    @property
    def passage(self) -> str:
        """What a search result must show the model: the id to cite, the title, the text."""
        return f"[{self.id}] {self.title}\n{self.text}"


class RagQaCase(Case):
    """A question, the documents that a right answer cites, and queries that find them.

    `gold` must be found and, where the prompt asks for citations, cited; `acceptable` may be cited. `gold` is empty
    where the corpus has no answer. What an implementation receives is the full setting, unless `documents` names the
    ids of a small shelf in place of the whole corpus, `k` is not the usual number of documents in a search result, or
    `prompt` asks for the short instructions.
    """

    expectation = Case.expectation | {"gold", "acceptable", "searches"}

    kind: Kind
    documents: list[str] = Field(default=[])
    k: int = Field(default=K, ge=1)
    prompt: Literal["full", "short"] = "full"
    gold: list[str]
    acceptable: list[str] = Field(default=[])
    searches: list[str] = Field(min_length=1)

    @property
    def cites(self) -> bool:
        """Whether the instructions ask for citations."""
        return self.prompt == "full"

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.kind == "unanswerable") == bool(self.gold):
            raise ValueError("gold must be empty for an unanswerable case, and for no other")
        if self.gold and not self.facts:
            raise ValueError("an answerable case needs facts")
        if unknown := {*self.gold, *self.acceptable, *self.documents} - document_ids():
            raise ValueError(f"{', '.join(sorted(unknown))} is not a document")
        if uncited := set(self.gold) - set(citations(self.answer)):
            raise ValueError(f"the answer does not cite {', '.join(sorted(uncited))}")
        shelf = self.documents or sorted(document_ids())
        if absent := {*self.gold, *self.acceptable} - set(shelf):
            raise ValueError(f"{', '.join(sorted(absent))} is not among the documents of the case")
        if len(set(shelf)) < len(shelf) or self.k > len(shelf):
            raise ValueError(f"documents must be different ones, and at least k = {self.k}")
        if self.level == 1 and (surplus := self._too_much_for_level_1()):
            raise ValueError(f"too much for a case of level 1: {surplus}")
        return self

    @model_validator(mode="after")
    def _facts_stand_in_gold_documents(self) -> Self:
        told = "\n".join(_plain(document.passage) for document in corpus() if document.id in self.gold)
        for fact in self.facts if self.gold else []:
            spellings = [re.escape(_plain(spelling)) for spelling in fact.needed()]
            # Only letters and digits of ASCII make a longer word: in Chinese a value stands between letters.
            if spellings and not re.search(rf"(?a:(?<!\w)({'|'.join(spellings)})(?!\w))", told):
                raise ValueError(f"the fact {fact.says[0]!r} stands in none of the documents {', '.join(self.gold)}")
        return self

    def _too_much_for_level_1(self) -> str | None:
        """In words, what a case that is one step with little to read may not have; None where it has nothing such."""
        if not 0 < len(self.documents) <= LEVEL_1_DOCUMENTS:
            return f"{len(self.documents or document_ids())} documents, and not up to {LEVEL_1_DOCUMENTS}"
        if self.k > LEVEL_1_K:
            return f"k = {self.k}, and not up to {LEVEL_1_K}"
        if len(self.gold) > 1 or len(self.searches) > 1:
            return "more than one document to cite or search to make"
        return None if self.prompt == "short" else "the full prompt, and not the short one"


@dataclass(frozen=True)
class RagQaBrief:
    """What an implementation receives: build a search tool over `documents`, let an agent answer.

    The tool has the given name and description, takes a query and returns the `k` best documents.
    `Document.passage` is the text to index and to return, whole: a document is one chunk.
    """

    instructions: str
    question: str
    documents: tuple[Document, ...]
    k: int
    search_tool_name: str = SEARCH_TOOL_NAME
    search_tool_description: str = SEARCH_TOOL_DESCRIPTION


CASE_TYPE = RagQaCase


def citations(answer: str) -> list[str]:
    """The ids cited in `answer`, each once, in order: `[vllm]`, `[vllm, sglang]`, `【vllm】`.

    Whatever stands alone in brackets and is spelled like an id counts, even if no document has it.
    """
    groups = re.findall(r"[\[【]([^\[\]【】]+)[\]】]", _plain(answer))
    parts = [part.strip() for group in groups for part in re.split(r"[,;、]", group)]
    return list(dict.fromkeys(part for part in parts if re.fullmatch(r"[a-z0-9][a-z0-9-]*", part)))


def _plain(text: str) -> str:
    """The text without what does not change what it says: width and case of letters."""
    return unicodedata.normalize("NFKC", text).casefold()


def load_documents(folder: Path = CORPUS) -> list[Document]:
    """Read the Markdown files of `folder`, sorted by name.

    Raises `CasesError` naming file and line of the first mistake.
    """
    return [_parse_document(path) for path in sorted(folder.glob("*.md"))]


def _parse_document(path: Path) -> Document:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CasesError(f"{path}: cannot be read: {error}") from None
    if not lines or lines[0] != "---":
        raise CasesError(f"{path}:1: must be '---', the start of the front matter")
    if "---" not in lines[1:]:
        raise CasesError(f"{path}:{len(lines)}: the front matter has no closing '---'")
    end = lines.index("---", 1)
    fields: dict[str, str] = {}
    line_of = {"text": end + 1}
    for number, line in enumerate(lines[1:end], start=2):
        name, colon, value = line.partition(":")
        if not colon or name in line_of:
            raise CasesError(f"{path}:{number}: must be 'name: value', each name once, and not {line!r}")
        fields[name], line_of[name] = value.strip(), number
    try:
        document = Document.model_validate({**fields, "text": "\n".join(lines[end + 1 :]).strip()})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        raise CasesError(f"{path}:{line_of.get(field, end + 1)}: {field}: {first['msg']}") from None
    if document.id != path.stem:
        raise CasesError(f"{path}:{line_of['id']}: id: must be {path.stem!r}, as the file is named")
    return document


@cache
def corpus() -> tuple[Document, ...]:
    """The documents of the task, read once for all cases."""
    return tuple(load_documents())


@cache
def document_ids() -> frozenset[str]:
    """What may be cited."""
    return frozenset(document.id for document in corpus())


def load() -> list[RagQaCase]:
    """All cases of the task. Raises `CasesError`."""
    return load_cases(CASES, RagQaCase)


def prepare(case: RagQaCase, wrap: Wrap = unwrapped) -> Prepared:
    """The brief of one run. `wrap` is not used: the framework brings the only tool itself."""
    brief = RagQaBrief(
        instructions=SHORT_INSTRUCTIONS if case.prompt == "short" else INSTRUCTIONS,
        question=case.question,
        documents=tuple(document for document in corpus() if not case.documents or document.id in case.documents),
        k=case.k,
        search_tool_description=search_tool_description(case.k),
    )
    return Prepared(brief=brief, final_state=dict)


def script(case: RagQaCase) -> Script:
    """The perfect run: search, and answer once every fact and every document to cite was seen."""
    needs = [*case.needs(), *([f"[{id}]"] for id in case.gold)]
    return Script(searches=case.searches, needs=needs, answer=case.answer)
