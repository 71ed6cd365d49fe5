"""Answers as text: one spelling for comparison, and the clauses that an answer falls into.

A clause is the piece of an answer that states one thing: a sentence, a line, a cell of a table, or a part of one that
has a verb of its own.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from text_to_num import alpha2digit

HAN = re.compile(r"[\u4e00-\u9fff]")

ADDRESS = re.compile(r"(?<!\S)\S+@\S+")
"""An e-mail address and what stands around it without a blank. It is looked for at the beginnings of words only: from
every letter of a word as long as an answer that would take hours."""

LONGEST_ANSWER = 20_000
"""Characters of an answer that are read. Some of the rules that read it look at its parts in pairs."""


def as_read(answer: str) -> str:
    """As much of an answer as is read."""
    return answer[:LONGEST_ANSWER]


@lru_cache(maxsize=1024)  # an answer is looked at for each fact, a fact in each answer
def normalise(text: str) -> str:
    """One spelling for comparison: NFKC, lower case, one hyphen, single spaces, no thousands separators."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("\u2010", "-").replace("**", "")
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return re.sub(r"\s+", " ", text).strip()


def states(text: str, phrase: str) -> bool:
    """Whether `phrase` stands in `text` as whole words and whole numbers.

    "8 GB" is not in "18 GB" and "1.1" is not in "1.15". Only Latin letters and digits make a
    word boundary, so that Chinese text needs no spaces.
    """
    wanted = re.escape(normalise(phrase))
    if re.match(r"\\?[a-z0-9]", wanted):
        wanted = r"(?<![a-z0-9])(?<!\d\.)" + wanted
    if re.search(r"[a-z0-9]$", wanted):
        wanted += r"(?![a-z0-9])(?!\.\d)"
    return re.search(wanted, normalise(text)) is not None


def states_fact(text: str, spellings: Sequence[str]) -> bool:
    """Whether any of `spellings` stands in `text`."""
    return any(states(text, phrase) for phrase in spellings)


# --- how an answer is read ---------------------------------------------------------------------

_NUMBER_WORD = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    "|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand"
)
_ORDINAL_WORD = (
    "third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|[a-z]{3,5}teenth|(?:twen|thir|for|fif)tieth"
)
_COUNTED = re.compile(
    rf"\b(?:one (?=hundred|thousand)|(?=[a-z]+))(?:{_NUMBER_WORD}|{_ORDINAL_WORD})\b"
    rf"(?:(?:[ -]|,? and )(?:{_NUMBER_WORD}|{_ORDINAL_WORD}|one|first|second)\b)*",
    re.IGNORECASE,
)
"""A number in words. "One", "first" and "second" are only numbers within others: alone they are words as often."""
_HAN_NUMBER = re.compile(
    r"[二三四五六七八九十百千][一二三四五六七八九十百千零点]*(?=\s*(?:多|几)?\s*[倍个种天位张台次%])"
)
_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "`": "", "×": "x", "《": '"', "》": '"'})
MARKUP = re.compile(r"\*+|__+|(?m:^(?<!\n\n)\s*#+\s)")
"""Of a heading also the blank lines before it. It is not looked for behind an empty line: it has begun with that."""
_HYPHENS = re.compile(r"[\u2010-\u2013\u2212]")


@lru_cache(maxsize=2048)
def readable(text: str) -> str:
    """`text` as it is read: without markup, in plain punctuation, numbers in figures and in groups of no spaces.

    English number words from two on and Chinese ones before a measure word become figures. Line breaks stay.
    """
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    text = _HYPHENS.sub("-", text).replace("\u2014", " - ").replace("\u2015", " - ")
    text = MARKUP.sub("", text)
    text = re.sub(r"\b([ei])\.\s?([ge])\.,?", r"\1\2", text)
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r"(?<![\w.,-])(\d{1,3})((?: \d{3})+)(?![\w,]|\.\d)", lambda found: found[0].replace(" ", ""), text)
    text = re.sub(r"\bzero\b", "0", text, flags=re.IGNORECASE)
    text = _COUNTED.sub(lambda found: str(alpha2digit(found[0], "en", 1.5)), text)
    text = re.sub(r"(?<=\d)-(?=(?:day|fold|unit|bit|month|week|hour|year|times)\b)", " ", text)
    if HAN.search(text):
        text = _HAN_NUMBER.sub(_han_number, text)
    return text.strip()


def _han_number(found: re.Match[str]) -> str:
    import cn2an  # takes long, and few answers need it

    return f"{cn2an.cn2an(found[0], 'smart'):g}"


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of an answer, by its place in the readable text. `line` and `sentence` count from 0.

    `row` and `cell` are those of a table, else -1. `asks` is true of a question.
    """

    start: int
    end: int
    text: str
    line: int
    sentence: int
    row: int = -1
    cell: int = -1
    asks: bool = False


_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|am|has|have|had|do|does|did|can|could|will|would|may|might|must|should|shall"
    r"|cannot|costs?|supports?|needs?|asks?|requires?|uses?|says?|gives?|holds?|shows?|lists?|names?|mentions?"
    r"|contains?"
    r"|goes|comes?|belongs?|runs?|starts?|models?|calls?|puts?|takes?|makes?|makes|reports?|recommends?|expects?|wants?"
    r"|remains?|stands?|weighs?|exists?|pays?|found|got|made|gave|went|sent|put|set|paid|[a-z]{3,}ed)\b"
    r"|'(?:s|re|ve|ll|m|d)\b|n't\b",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"\s*(?:it|this|that|these|those|the|they|he|she|i|we|you|there|its|your|our|my|which|who|so|all|none|no|please)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?]+[\"')\]]*(?=\s|$)|[。！？!?]+(?=[^\x00-\x7f])|[。]")
_CONNECTOR = (
    r"but|while|whereas|although|though|because|since|however|which|who|whose|when|where|once|unless|if|so|yet|then"
    r"|whether|even though|until"
)
_CUT = re.compile(
    rf";|[()]|\s-\s|,(?!\d)\s*(?:and\s|so\s|but\s)?|(?<=\s)(?=(?:{_CONNECTOR})\s)|(?<=\w)\s(?=(?:{_CONNECTOR}|and"
    rf"|or)\s)"
    r"|(?<=[\u4e00-\u9fff])(?=但|不过|然而|因为|所以|而(?![且]))",
    re.IGNORECASE,
)
_HARD = re.compile(rf"^\s*(?:;|[()]|-|(?:{_CONNECTOR})\s|[但不然因所而])", re.IGNORECASE)


@lru_cache(maxsize=2048)
def clauses(text: str) -> tuple[Clause, ...]:
    """The clauses of a readable text, in order, without gaps but for what separates them."""
    found: list[Clause] = []
    sentence = 0
    offset = 0
    row = -1
    for number, line in enumerate(text.split("\n")):
        cells = _cells(line)
        row = row + 1 if len(cells) > 1 else -1
        for cell, (cell_start, cell_end) in enumerate(cells):
            for start, end in _sentences(line, cell_start, cell_end):
                asks = line[start:end].rstrip("\"')] ").endswith("?")
                for a, b in _parts(line, start, end):
                    piece = Clause(
                        offset + a, offset + b, line[a:b], number, sentence, row, cell if row >= 0 else -1, asks
                    )
                    found.append(piece)
                sentence += 1
        offset += len(line) + 1
    return tuple(found)


def sentence_spans(pieces: Sequence[Clause]) -> dict[int, tuple[int, int]]:
    """Where each sentence begins and ends, by its number."""
    spans: dict[int, tuple[int, int]] = {}
    for piece in pieces:
        start, _ = spans.get(piece.sentence, (piece.start, 0))
        spans[piece.sentence] = start, piece.end
    return spans


def _cells(line: str) -> list[tuple[int, int]]:
    """The parts of a line of a table, or the whole line; nothing of a line that only draws."""
    if not re.search(r"\w", line):
        return []
    if line.count("|") < 2:
        return [(0, len(line))]
    bars = [found.start() for found in re.finditer(r"\|", line)]
    edges = [-1, *bars, len(line)]
    spans = [(a + 1, b) for a, b in pairwise(edges)]
    outer = [spans[0], spans[-1]]
    return [span for span in spans if line[slice(*span)].strip() or span not in outer]


def _sentences(line: str, start: int, end: int) -> list[tuple[int, int]]:
    spans, last = [], start
    for found in _SENTENCE.finditer(line, start, end):
        # "1." at the head of a line numbers it.
        if re.fullmatch(r"\s*\d{1,2}\.", line[last : found.end()]):
            continue
        spans.append((last, found.end()))
        last = found.end()
    if line[last:end].strip():
        spans.append((last, end))
    return spans


def _parts(line: str, start: int, end: int) -> list[tuple[int, int]]:
    """The clauses of one sentence: cut where what follows has a verb of its own, and not within a list."""
    cuts = [found for found in _CUT.finditer(line, start, end) if start < found.start()]
    edges = [start]
    for index, found in enumerate(cuts):
        following = line[found.start() : cuts[index + 1].start() if index + 1 < len(cuts) else end]
        if _is_boundary(found[0], following, line[edges[-1] : found.start()], line[found.end() : end]):
            edges.append(found.start())
    edges.append(end)
    return [(a, b) for a, b in pairwise(edges) if re.search(r"\w", line[a:b])]


def _is_boundary(mark: str, following: str, before: str, rest: str) -> bool:
    """Whether a sentence is cut at `mark`, which begins the part `following`; `rest` is all that is behind the mark."""
    if _HARD.match(following):
        return True
    if HAN.search(before) and mark.startswith(","):
        return True
    own_verb = _VERB.search(following.lstrip(", "))
    if re.match(r"\s*or\s|\s*and \S+\s*$", following):
        return False
    if mark.startswith(",") or re.match(r"\s*and\s", following):
        return bool(own_verb and (_VERB.search(before) or _SUBJECT.match(rest)))
    return bool(own_verb)
