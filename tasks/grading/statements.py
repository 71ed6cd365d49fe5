"""What an answer states: which values and words, of whom, and whether it affirms, denies or doubts them.

The rules read clauses. A negated verb denies what follows it in its clause, and what stands before it is not affirmed
either; "not", "no", "instead of" and the like before a noun deny that noun; words of doubt weaken a clause; what is
asked, or is a condition, states nothing. A value belongs to the subject that is named nearest to it: in its cell or
row, in its clause, or last before it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Literal

from tasks.cases import Fact
from tasks.grading.text import ADDRESS, HAN, Clause, clauses, readable, sentence_spans
from tasks.grading.values import Value, matches_value, single_value, values_in

Polarity = Literal["affirmed", "topic", "open", "denied", "doubted"]
"""`topic`: what stands before a negated verb, of which something is denied. `open`: what is asked, or a condition."""

Span = tuple[int, int]

# --- polarity ------------------------------------------------------------------------------------

_AUX = (
    "is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|must"
    "|be|been|being|ca|wo|ai"  # "ca" and "wo" are those of can't and won't
)
_SENTENTIAL = re.compile(
    rf"\b(?:{_AUX})(?:n't|\s(?:\w+ly\s|yet\s|also\s|still\s)?not\b)|\bcannot\b|\bcan not\b|\bnever\b|\bno longer\b"
    r"|\b(?:fail(?:s|ed)?|unable|impossible|refus(?:es|ed)|declin(?:es|ed)) to\b"
    r"|(?:并不|并没有|并未|不会|不能|无法|没能|不支持|不可以)",
    re.IGNORECASE,
)
_CONSTITUENT = re.compile(
    r"\b(?:not|no|without|neither|nor|none(?: of)?|nobody|nothing|instead of|rather than|in place of|other than"
    r"|except(?: for)?|excluding|unlike|as opposed to|contrary to|replac(?:es|ing)|wrong(?:ly)?|false(?:ly)?"
    r"|incorrect(?:ly)?)\b"
    r"|而不是|不是|并非|没有|没|未|无(?!状态)|不(?!仅|只|过|少于|超过|低于|同|足)|非",
    re.IGNORECASE,
)
_NO_NEGATION = re.compile(
    r"\bnot (?:only|just|merely|to mention|to worry|later than|more than|less than|fewer than)\b"
    r"|\bno (?:more than|later than|less than|fewer than|problem|doubt|worries|others?|further|additional|extra|need)\b"
    r"|\bnothing (?:else|more|further)\b|\bnone other than\b|\bwhether or not\b|\bif not\b|\bwithout (?:further"
    r"|any further)\b"
    r"|\bnot (?:exceed|surpass)\w*|\bnever exceed\w*|^\s*no\s*[,.:;!-]|^\s*no$"
    r"|\b(?:is|are|was)n't (?:that|it)\b\s*\?",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"\b(?:after|later than|beyond|more than|longer than|older than|over|above|past|exceed\w*|once|until|unless|within"
    r"|without|but|only|other than|except|higher than|larger than|because)\b",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|presumably|supposedly|allegedly|apparently|might|likely|seems?|seemingly"
    r"|appears? to|i (?:think|believe|guess|assume|suspect|suppose|imagine)|if i (?:remember|recall)\w*"
    r"|(?:may|could|should) (?:be|have)(?! (?:\w+ed|sent|made|paid|put|found|given|taken|able|possible|available)\b)"
    r"|not (?:entirely |quite |completely |fully |really )?(?:sure|certain|clear)|unsure|uncertain|unclear|i'd guess"
    r"|my (?:best )?guess|a guess|guessing|hard to say|can(?:'t|not) (?:be sure|confirm|verify|guarantee)|doubt\w*)\b"
    r"|可能|也许|大概|或许|似乎|好像|应该是|估计|恐怕|不确定|猜",
    re.IGNORECASE,
)
_CERTAIN = re.compile(r"\b(?:no doubt|without (?:a )?doubt|not only)\b|不可能", re.IGNORECASE)
_CONDITION = re.compile(
    r"^\W*(?:and |but |or |so )?(?:if|unless|whether|in case|should you|provided)\b|如果|是否", re.IGNORECASE
)


_NOT_BEFORE = re.compile(r"\b(?:not|no|never|cannot|impossible)\b|n't\b", re.IGNORECASE)
_END_OF_VERB = re.compile(r":|\s-\s")
_END_OF_NOUN = re.compile(r",|:|\s-\s|\sand\s|和|与", re.IGNORECASE)


class _Ahead:
    """Searches a text from places that only go forward, and goes over no part of it twice for the same end."""

    def __init__(self, pattern: re.Pattern[str], text: str) -> None:
        self._pattern = pattern
        self._text = text
        self._end = -1
        self._found: re.Match[str] | None = None

    def search(self, place: int, end: int) -> re.Match[str] | None:
        """The first match between `place` and `end`."""
        if end != self._end or (self._found is not None and self._found.start() < place):
            self._end, self._found = end, self._pattern.search(self._text, place, end)
        return self._found


def _denied_spans(text: str) -> tuple[list[Span], list[Span]]:
    """What a clause denies, and of what it denies something."""
    text = ADDRESS.sub(lambda found: "@" * len(found[0]), text)
    spared = [found.span() for found in _NO_NEGATION.finditer(text)]
    denied: list[Span] = []
    topics: list[Span] = []
    for pattern, whole in ((_SENTENTIAL, True), (_CONSTITUENT, False)):
        stops, limits = _Ahead(_END_OF_VERB if whole else _END_OF_NOUN, text), _Ahead(_LIMIT, text)
        for found in pattern.finditer(text):
            if any(start < found.end() and found.start() < end for start, end in spared):
                continue
            if found[0].casefold() == "without" and (denied or _NOT_BEFORE.search(text, 0, found.start())):
                continue  # "not possible without" demands
            if whole:
                topics.append((0, found.start()))
            stop = stops.search(found.end(), len(text))
            end = stop.start() if stop else len(text)
            limit = limits.search(found.end(), end)
            denied.append((found.start(), limit.start() if limit else end))
    return denied, topics


@dataclass(frozen=True)
class Reading:
    """An answer as it is read: its text, clauses and values, and how each clause takes what it says.

    `denied`, `doubted`, `left_open` and `topics` are places in `text`.
    """

    text: str
    clauses: tuple[Clause, ...]
    values: tuple[Value, ...]
    denied: tuple[Span, ...]
    doubted: tuple[Span, ...]
    left_open: tuple[Span, ...]
    topics: tuple[Span, ...]

    def polarity(self, start: int, end: int) -> Polarity:
        """How the answer takes what stands between `start` and `end`."""
        spans: tuple[tuple[Polarity, tuple[Span, ...]], ...] = (
            ("denied", self.denied),
            ("doubted", self.doubted),
            ("open", self.left_open),
            ("topic", self.topics),
        )
        return next((name for name, of in spans if any(a <= start and end <= b for a, b in of)), "affirmed")

    def clause_at(self, place: int) -> Clause | None:
        """The clause that `place` is in."""
        number = bisect_right(self._starts, place) - 1
        return self.clauses[number] if number >= 0 and place < self.clauses[number].end else None

    @cached_property
    def _starts(self) -> list[int]:
        """Where each clause begins, in order."""
        return [clause.start for clause in self.clauses]

    @cached_property
    def sentences(self) -> dict[int, Span]:
        """The place of each sentence, by its number."""
        return sentence_spans(self.clauses)


_CITED = re.compile(r"\[[^\[\]]*\]")


def _end_of_span(spans: Sequence[Span], place: int) -> int:
    """The end of the last of some spans in a row that begins at `place` or before; -1 where there is none."""
    number = bisect_right(spans, place, key=lambda span: span[0]) - 1
    return spans[number][1] if number >= 0 else -1


@lru_cache(maxsize=2048)
def read(answer: str, opposites: tuple[tuple[str, str], ...] = ()) -> Reading:
    """Read an answer. `opposites` are words of which one is the negation of the other, such as paid and unpaid."""
    text = readable(answer)
    for plain, negated in opposites:
        text = _opposite(plain).sub(rf"\1 {negated}", text)
    pieces = clauses(text)
    sentences = sentence_spans(pieces)
    cited = [found.span() for found in _CITED.finditer(text)]
    values = tuple(v for v in values_in(text) if v.end > _end_of_span(cited, v.start))
    denied: list[Span] = []
    doubted: list[Span] = []
    left_open: list[Span] = []
    topics: list[Span] = []
    for piece in pieces:
        clause_denied, clause_topics = _denied_spans(piece.text)
        denied += [(piece.start + a, piece.start + b) for a, b in clause_denied]
        topics += [(piece.start + a, piece.start + b) for a, b in clause_topics]
        if piece.asks or _CONDITION.search(piece.text):
            left_open.append((piece.start, piece.end))
        if _DOUBT.search(_CERTAIN.sub("", piece.text)):
            doubted.append(sentences[piece.sentence])
    return Reading(text, pieces, values, tuple(denied), tuple(doubted), tuple(left_open), tuple(topics))


@cache
def _opposite(word: str) -> re.Pattern[str]:
    return re.compile(
        rf"\b((?:is|are|was|were|has|have|had))(?:n't| not)(?: yet| been| yet been)*(?: \w+ly)?\s{word}\b"
        rf"|\bnot (?:yet )?(?:been )?{word}\b",
        re.IGNORECASE,
    )


# --- facts -----------------------------------------------------------------------------------------


@cache
def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """Finds a phrase as whole words, in any case, with or without hyphens, in the plural; "not" in any form."""
    parts = re.split(r"[\s_-]+", readable(phrase))
    words = [re.escape(part) for part in parts if part]
    pattern = r"[\s_-]*".join(words) if not HAN.search(phrase) else r"\s*".join(words)
    if words[0].casefold() == "not" and len(words) > 1:
        pattern = r"(?:\bnot|n't)(?:\s(?:yet|been|be|\w+ly))*\s" + r"[\s_-]*".join(words[1:])
    if re.match(r"[A-Za-z0-9]", pattern):
        pattern = r"(?<![A-Za-z0-9])(?<!\d\.)" + pattern
    if re.search(r"[A-Za-z]$", pattern):
        pattern += r"(?:e?s|'s)?(?![A-Za-z0-9])"
    elif re.search(r"\d$", pattern):
        pattern += r"(?![A-Za-z0-9]|[.,]\d)"
    return re.compile(pattern, re.IGNORECASE)


_NOUGHT = re.compile(
    r"\b(?:no|none|nil|nothing|sold out|out of stock|not (?:any|in stock|available)|unavailable|n't (?:any"
    r"|in stock))\b|没有|无货|无",
    re.IGNORECASE,
)


def occurrences(reading: Reading, fact: Fact) -> list[tuple[Span, bool]]:
    """Where any wording of the fact stands, and whether it is a negation by itself, which is not denied."""
    found: list[tuple[Span, bool]] = []
    for phrase in fact.says:
        wanted = single_value(readable(phrase))
        if wanted is not None and wanted.kind != "id":
            found += [
                ((got.start, got.end), False)
                for got in reading.values
                if matches_value(wanted, got) and not _counts_else(reading, wanted, got)
            ]
            if wanted.kind in ("count", "quantity") and wanted.low == wanted.high == 0:
                found += [(match.span(), True) for match in _NOUGHT.finditer(reading.text)]
        else:
            negative = bool(
                re.search(r"^(?:un|non-)|\b(?:not|no|never|without|cannot)\b|n't\b|不|没|未", phrase, re.IGNORECASE)
            )
            found += [(match.span(), negative) for match in phrase_pattern(phrase).finditer(reading.text)]
    cited = [match.span() for match in _CITED.finditer(reading.text)]
    return sorted({one for one in found if one[0][0] >= _end_of_span(cited, one[0][0])})


_ANY_NOUN = frozenset({"unit", "piece", "item", "time"})


def _counts_else(reading: Reading, wanted: Value, got: Value) -> bool:
    """Whether the answer counts other things than are wanted: "50 model providers" for 50 tools."""
    noun = wanted.noun.split()[-1].rstrip("s") if wanted.noun else ""
    if not noun or noun in _ANY_NOUN or got.kind != "count" or not got.noun.endswith("s"):
        return False
    clause = reading.clause_at(got.start)
    return clause is not None and noun not in clause.text.casefold()


# --- whose value it is -----------------------------------------------------------------------------

Subject = tuple[str, ...]
"""The names of one subject."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A place where a subject is named. A `cited` one stands in brackets after what it belongs to."""

    start: int
    end: int
    subject: Subject
    cited: bool


def mentions(reading: Reading, subjects: Iterable[Subject]) -> list[Mention]:
    """Where the subjects are named, in order; of two names at one place the longer."""
    cited = [found.span() for found in _CITED.finditer(reading.text)]
    found = [
        Mention(match.start(), match.end(), subject, match.start() < _end_of_span(cited, match.start()))
        for subject in subjects
        for name in subject
        for match in _name_pattern(name).finditer(reading.text)
    ]
    found.sort(key=lambda mention: (mention.start, -mention.end))
    kept: list[Mention] = []
    for mention in found:
        if not kept or mention.start >= kept[-1].end:
            kept.append(mention)
    return kept


@cache
def _name_pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name), re.IGNORECASE) if name.startswith("[") else phrase_pattern(name)


_JOINED = re.compile(
    r"\s*(?:\w+\s)?(?:of|for|in|at|to|on|with|by|from|about|through|via|under|=)\s(?:the |a |an |its |order )?|\s?[(]",
    re.I,
)


def bound_to(reading: Reading, span: Span, named: Sequence[Mention], others: Sequence[Span]) -> Subject | None:
    """The subject that the value at `span` belongs to. `others` are the places of all values that have one.

    None where no subject is named before it, nor in its sentence.
    """
    clause = reading.clause_at(span[0])
    if clause is None or not named:
        return None
    in_brackets = _BRACKETS.match(reading.text, span[1])
    if in_brackets:
        there = {mention.subject for mention in named if in_brackets.start(1) <= mention.start < in_brackets.end(1)}
        if len(there) == 1:
            return there.pop()  # "2-5x (survey)"
    inside = [mention for mention in named if clause.start <= mention.start < clause.end]
    inside = [mention for mention in inside if not (mention.start < span[1] and span[0] < mention.end)]
    if clause.row >= 0 and not inside:
        line = [piece for piece in reading.clauses if piece.line == clause.line]
        inside = [mention for mention in named if line[0].start <= mention.start < line[-1].end]
        if not inside:
            inside = [mention for mention in named if _is_head(reading, clause, mention.start)]
    if inside:
        return _nearest(reading, span, inside, [other for other in others if clause.start <= other[0] < clause.end])
    sentence = [piece for piece in reading.clauses if piece.sentence == clause.sentence]
    before = [mention for mention in named if mention.end <= span[0]]
    if before:
        last = reading.clause_at(before[-1].start)
        listed = list(
            dict.fromkeys(one.subject for one in before if last and one.start >= last.start and not one.cited)
        )
        places = sorted({other for other in (*others, span) if clause.start <= other[0] < clause.end})
        # "A and B are there. They cost 3 EUR and 4 EUR."
        return listed[places.index(span)] if len(listed) == len(places) > 1 else before[-1].subject
    after = [mention for mention in named if span[1] <= mention.start < sentence[-1].end]
    return after[0].subject if after else None


def named_before(reading: Reading, span: Span, named: Sequence[Mention]) -> Subject | None:
    """The subject that stands right before an id, as in "ticket T-1": an id says by itself what it is of."""
    before = [mention for mention in named if mention.end <= span[0]]
    return before[-1].subject if before and _OF_ID.fullmatch(reading.text, before[-1].end, span[0]) else None


_OF_ID = re.compile(
    r"'?s?\s*(?:(?:id|number|no\.?|reference|ref\.?|is|was|has|the)\s*)*[:=(#|-]*\s*(?:is )?", re.IGNORECASE
)


_BRACKETS = re.compile(r"\s*\(([^()]*)\)")


def _is_head(reading: Reading, clause: Clause, place: int) -> bool:
    """Whether `place` is in the head of the column of a table that the clause is in."""
    other = reading.clause_at(place)
    return other is not None and other.row == 0 and other.cell == clause.cell and other.line < clause.line


def _nearest(reading: Reading, span: Span, inside: Sequence[Mention], others: Sequence[Span]) -> Subject:
    subjects = list(dict.fromkeys(mention.subject for mention in inside))
    if len(subjects) == 1:
        return subjects[0]
    words = [mention for mention in inside if not mention.cited]
    places = sorted({other for other in others} | {span})
    in_order = list(dict.fromkeys(mention.subject for mention in words))
    if len(in_order) == len(places) > 1 and (words[-1].end <= places[0][0] or places[-1][1] <= words[0].start):
        return in_order[places.index(span)]  # "Dify and FastGPT ask for 32 GB and 8-16 GB"
    left = [mention for mention in words if mention.end <= span[0]]
    right = [mention for mention in inside if span[1] <= mention.start]
    if left and _attached(reading, left[-1], span):
        return left[-1].subject
    # A citation closes what stands before it.
    if right and right[0].cited and not any(span[1] <= other[0] < right[0].start for other in places):
        return right[0].subject
    right = [mention for mention in right if not mention.cited]
    if not right:
        return left[-1].subject if left else subjects[0]
    if not left:
        return right[0].subject
    joined = _JOINED.fullmatch(reading.text, span[1], right[0].start)
    if joined:
        return right[0].subject
    first_word, first_place = words[0].start, places[0][0]
    return left[-1].subject if first_word < first_place else right[0].subject


def _attached(reading: Reading, mention: Mention, span: Span) -> bool:
    between = reading.text[mention.end : span[0]]
    return bool(re.fullmatch(r"(?:'s)?\s*[:=(-]?\s*[$€£]?", between))
