"""The checks of an answer: its facts, the values that nothing justifies, and whether it does what it should."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from tasks.cases import Case, Fact
from tasks.grading import stance
from tasks.grading.checks import Check, FailureKind
from tasks.grading.statements import (
    Mention,
    Polarity,
    Reading,
    Span,
    Subject,
    bound_to,
    mentions,
    named_before,
    occurrences,
    phrase_pattern,
    read,
)
from tasks.grading.text import as_read, readable
from tasks.grading.values import Value, ValueKind, justified, values_in, values_of_data

_FOREIGN: dict[ValueKind, FailureKind] = {
    "id": "the answer states a foreign id",
    "amount": "the answer states a foreign amount",
    "date": "the answer states a foreign date",
    "quantity": "the answer states a foreign number",
    "count": "the answer states a foreign number",
}


@dataclass(frozen=True)
class Vocabulary:
    """Words of a task that exclude one another.

    `currency` is that of amounts which stand without one. `opposites` are pairs of a word and its negation (paid,
    unpaid). Of the words of a group of `states` a thing has one (shipped, delivered): an answer may use those that the
    case's world has. `roles` are groups of what a value may be a value of (main memory, video memory), each in its
    names: a fact is not stated as a value of another role than the question asks for.
    """

    currency: str = "EUR"
    opposites: tuple[tuple[str, str], ...] = ()
    states: tuple[tuple[str, ...], ...] = ()
    roles: tuple[tuple[Subject, ...], ...] = ()


@dataclass(frozen=True)
class World:
    """What a case justifies: the question, the facts, a right answer, what is allowed, and what the gold calls gave.

    `texts` and `data` (JSON) are those beside the case's own. `done` are the verbs of what the run is to do.
    """

    case: Case
    vocabulary: Vocabulary
    texts: tuple[str, ...] = ()
    data: tuple[Any, ...] = ()
    done: frozenset[str] = frozenset()

    @cached_property
    def text(self) -> str:
        """All of it as text."""
        case = self.case
        said = [phrase for fact in case.facts for phrase in fact.says]
        return "\n".join(readable(part) for part in (case.question, case.answer, *said, *case.allowed, *self.texts))

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """All values of it."""
        case = self.case
        sources = (case.question, case.answer, *case.allowed, *self.texts)
        parts = [readable(source) for source in sources]
        parts += [readable(phrase) for fact in case.facts for phrase in fact.says]
        found = [value for part in parts for value in values_in(part)]
        found += values_of_data(self.data, readable=readable)
        found += [Value("count", 0, 0, low=float(n), high=float(n)) for n in range(2, len(case.facts) + 1)]
        return tuple(dict.fromkeys(found))

    @cached_property
    def words(self) -> str:
        """The text, and the texts of the data, in small letters."""
        return "\n".join([self.text, *_texts(self.data)]).casefold()

    def justifies(self, value: Value, extra: Sequence[Value] = ()) -> bool:
        """Whether an answer may state the value. `extra` are values that the run itself found."""
        currency = self.vocabulary.currency
        return justified(value, self.values, currency) or justified(value, extra, currency)

    @cached_property
    def manners(self) -> tuple["_Manner", ...]:
        """How the right answer states each fact."""
        reading = read(self.case.answer, self.vocabulary.opposites)
        values = {(value.start, value.end): value for value in reading.values}
        manners = []
        for found in _find(self.case, reading, self.vocabulary):
            affirmed = any(one.polarity == "affirmed" for one in found) or not found
            manners.append(
                _Manner(
                    polarities=frozenset({"affirmed"} if affirmed else {"affirmed", "topic", "denied"}),
                    placed=not found or any(not one.misplaced for one in found),
                    bound=next((values[one.span].bound for one in found if one.span in values), 0),
                )
            )
        return tuple(manners)

    @cached_property
    def rates(self) -> frozenset[str]:
        """What values of the world are for each of."""
        return frozenset(value.rate for value in self.values)

    def states_of(self, group: Sequence[str]) -> frozenset[str]:
        """The words of a group that the world has."""
        return frozenset(word for word in group if re.search(rf"\b{word.removesuffix('ed')}", self.words))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, dict | list | tuple):
        for item in data.values() if isinstance(data, dict) else data:
            yield from _texts(item)
    elif isinstance(data, str):
        yield data


@dataclass(frozen=True)
class _Manner:
    """How an answer may state a fact: in which polarities, whether of its own subject only, and with which bound."""

    polarities: frozenset[Polarity]
    placed: bool
    bound: int


# --- facts -----------------------------------------------------------------------------------------


def _subjects(facts: Sequence[Fact]) -> list[Subject]:
    return list(dict.fromkeys(tuple(fact.about) for fact in facts if fact.about))


@dataclass(frozen=True)
class _Found:
    """An occurrence of a fact in the answer: where, how it is meant, and what is wrong with it, if anything."""

    span: Span
    polarity: Polarity
    misplaced: str = ""


def _find(case: Case, reading: Reading, vocabulary: Vocabulary) -> list[list[_Found]]:
    """The occurrences of each fact of the case."""
    places = [occurrences(reading, fact) for fact in case.facts]
    subjects = _subjects(case.facts)
    named = mentions(reading, subjects) if len(subjects) > 1 else []
    about = [span for fact, found in zip(case.facts, places, strict=True) if fact.about for span, _ in found]
    roles = [(group, mentions(reading, group), _asked_roles(case.question, group)) for group in vocabulary.roles]
    result: list[list[_Found]] = []
    for fact, found in zip(case.facts, places, strict=True):
        here: list[_Found] = []
        for span, negative in found:
            polarity = reading.polarity(*span)
            # "Final-sale items cannot be refunded" gives the reason of a refusal.
            if (negative and polarity in ("denied", "topic")) or (case.stance == "denied" and polarity == "topic"):
                polarity = "affirmed"
            here.append(_Found(span, polarity, _misplaced(reading, fact, span, named, about, roles)))
        result.append(here)
    return result


@lru_cache(maxsize=2048)
def _asked_roles(question: str, group: tuple[Subject, ...]) -> frozenset[Subject]:
    text = readable(question)
    return frozenset(role for role in group if any(phrase_pattern(name).search(text) for name in role))


Roles = Sequence[tuple[tuple[Subject, ...], list[Mention], frozenset[Subject]]]


def _misplaced(reading: Reading, fact: Fact, span: Span, named: list[Mention], about: list[Span], roles: Roles) -> str:
    """To what else than its own subject or role the value at `span` is given; empty where to nothing else."""
    if fact.about and named:
        own = tuple(fact.about)
        is_id = any(value.kind == "id" and (value.start, value.end) == span for value in reading.values)
        subject = named_before(reading, span, named) if is_id else bound_to(reading, span, named, about)
        if subject is not None and subject != own:
            return subject[0]
    clause = reading.clause_at(span[0])
    for _, place, asked in roles:
        inside = [mention for mention in place if clause and clause.start <= mention.start < clause.end]
        inside = [mention for mention in inside if _is_nearest(reading, span, mention)]
        if asked and inside:
            role = bound_to(reading, span, inside, [span])
            if role is not None and role not in asked:
                return role[0]
    return ""


def _is_nearest(reading: Reading, span: Span, mention: Mention) -> bool:
    """Whether no other value of the kind is nearer to where a role is named: "2-3x, with 50% less memory"."""

    def distance(place: Span) -> int:
        return max(mention.start - place[1], place[0] - mention.end)

    kinds = {value.kind for value in reading.values if (value.start, value.end) == span}
    others = ((value.start, value.end) for value in reading.values if value.kind in kinds)
    return all(distance(span) <= distance(other) for other in others)


def _out_of_order(case: Case, reading: Reading, found: Sequence[Sequence[_Found]]) -> bool:
    """Whether values of several subjects, none of which is named, stand in another order than they were asked for."""
    subjects = _subjects(case.facts)
    if len(subjects) < 2 or mentions(reading, subjects):
        return False
    places = [here[0].span[0] for fact, here in zip(case.facts, found, strict=True) if fact.about and here]
    ids = all(re.match(r"[A-Z]+-?\d", fact.says[0]) for fact in case.facts if fact.about)
    return not ids and places != sorted(places)


def fact_checks(case: Case, answer: str, world: World) -> list[Check]:
    """A check for each fact: whether the answer affirms it, and of whom.

    What the right answer itself does is not held against an answer: a fact that it denies ("has no mobile plan").
    """
    reading = read(answer, world.vocabulary.opposites)
    every = _find(case, reading, world.vocabulary)
    disordered = _out_of_order(case, reading, every)
    checks: list[Check] = []
    for index, (fact, found) in enumerate(zip(case.facts, every, strict=True)):
        manner = world.manners[index]
        right = [one for one in found if one.polarity in manner.polarities and not (manner.placed and one.misplaced)]
        wrong = [
            one for one in found if one.polarity in {"denied", "doubted"} - manner.polarities and not one.misplaced
        ]
        wording = repr(fact.says[0]) + (" in any wording" if len(fact.says) > 1 else "")
        kind: FailureKind | None = None
        reason = ""
        if wrong or (not right and any(one.polarity not in manner.polarities for one in found)):
            kind, reason = "the answer denies or doubts a fact", f"the answer denies or doubts {wording}"
        elif not found:
            kind, reason = "the answer lacks a fact", f"the answer lacks the fact {wording}"
        elif not right:
            other = next(one.misplaced for one in found if one.misplaced)
            kind, reason = "the answer gives a fact to another", f"the answer gives {wording} to {other!r}"
        elif fact.about and disordered:
            kind = "the answer gives a fact to another"
            reason = f"{wording} stands out of the order of the question"
        elif _bounds_differ(reading, right, manner.bound):
            kind, reason = "the answer denies or doubts a fact", f"the answer says more or less than {wording}"
        checks.append(
            Check(
                name=f"fact {index}",
                part="facts",
                held=kind is None,
                kind=kind or "the answer lacks a fact",
                reason=reason,
            )
        )
    return checks


def _bounds_differ(reading: Reading, found: Sequence[_Found], gold: int) -> bool:
    """Whether the answer says "less than" where the right one says "more than" (`gold` is 1) or nothing."""
    values = {(value.start, value.end): value for value in reading.values}
    bounds = [values[one.span].bound for one in found if one.span in values]
    return bool(bounds) and all(bound == -(gold or 1) for bound in bounds)


# --- what nothing justifies ------------------------------------------------------------------------


def foreign_checks(case: Case, answer: str, world: World, extra: Sequence[Value] = ()) -> list[Check]:
    """A check for each kind of value: whether the answer states only what the world, or the run itself, justifies."""
    reading = read(answer, world.vocabulary.opposites)
    foreign: dict[FailureKind, list[str]] = {}
    for value in reading.values:
        if _is_harmless(value, reading) or (
            world.justifies(value, extra) and (not value.rate or value.rate in world.rates)
        ):
            continue
        if reading.polarity(value.start, value.end) == "denied" and value.kind != "date":
            continue
        foreign.setdefault(_FOREIGN[value.kind], []).append(reading.text[value.start : value.end].strip())
    for word in _foreign_states(reading, world):
        foreign.setdefault("the answer states a foreign word", []).append(word)
    for phrase in case.forbidden:
        if any(reading.polarity(*found.span()) != "denied" for found in phrase_pattern(phrase).finditer(reading.text)):
            foreign.setdefault("the answer states something forbidden", []).append(phrase)
    return [
        Check(
            name=kind,
            part="facts",
            held=kind not in foreign,
            kind=kind,
            reason=f"{kind}: {', '.join(dict.fromkeys(foreign.get(kind, [])))}",
        )
        for kind in (*dict.fromkeys(_FOREIGN.values()), *_FOREIGN_WORDS)
        if kind in foreign or kind != "the answer states something forbidden" or case.forbidden
    ]


_FOREIGN_WORDS: tuple[FailureKind, ...] = (
    "the answer states a foreign word",
    "the answer states something forbidden",
)


def _is_harmless(value: Value, reading: Reading) -> bool:
    """A lone "1" is an article as often as a number."""
    return value.kind == "count" and reading.text[value.start : value.end] == "1"


def _foreign_states(reading: Reading, world: World) -> Iterable[str]:
    """Words of a state that the world does not have, said of something."""
    for group in world.vocabulary.states:
        known = world.states_of(group)
        for word in group:
            if word in known:
                continue
            for found in _said_of(word).finditer(reading.text):
                if reading.polarity(found.start(1), found.end(1)) in ("affirmed", "doubted"):
                    yield word


@lru_cache(maxsize=256)
def _said_of(word: str) -> re.Pattern[str]:
    return re.compile(
        r"(?:\b(?:is|are|was|were|been|being|be|has|have|status|still|already|now|as|marked|says|it's|state)\b|'s|:"
        r"|\||=|\()\W*"
        rf"(?:(?:it|this|that|currently|already|still|now|just|since|the order|your order|is|been"
        rf"|being|in|either|\w+ or)\s)*({re.escape(word)})\b",
        re.IGNORECASE,
    )


# --- what it does ----------------------------------------------------------------------------------

_STANCES = {
    "refuse": (stance.refuses, "does not refuse", "does not say that it cannot do this"),
    "abstain": (
        stance.abstains,
        "answers although the documents do not",
        "does not abstain, although the documents do not answer the question",
    ),
    "missing": (stance.finds_none, "does not say that there is none", "does not say that there is no such thing"),
    "denied": (stance.reports_refusal, "does not report the refusal", "does not say that it was refused"),
}


def stance_checks(case: Case, answer: str, world: World) -> list[Check]:
    """Whether the answer answers, refuses, abstains, misses or reports, as the case wants, and claims nothing else."""
    reading = read(answer, world.vocabulary.opposites)
    if case.stance == "answer":
        held = not stance.gives_up(reading)
        reason = "says that it cannot answer"
        checks = [
            Check(
                name="stance", part="abstention", held=held, kind="gives up although there is an answer", reason=reason
            )
        ]
        if world.done:
            denied = stance.denies_doing(reading, world.done)
            reason = "says that it was not done"
            checks.append(
                Check(name="done", part="abstention", held=not denied, kind="says that it was not done", reason=reason)
            )
        return checks
    does, kind, reason = _STANCES[case.stance]
    checks = [Check(name="stance", part="abstention", held=does(reading), kind=kind, reason=reason)]  # type: ignore[arg-type]
    if case.stance in ("refuse", "denied"):
        reason = "claims that it was done"
        checks.append(
            Check(
                name="claim",
                part="abstention",
                held=not stance.claims(reading, _places(case, reading)),
                kind="claims what was not done",
                reason=reason,
            )
        )
    if case.stance == "abstain":
        names = foreign_names(reading, world)
        checks.append(
            Check(
                name="names",
                part="abstention",
                held=not names,
                kind="answers although the documents do not",
                reason=f"answers, although the documents do not: {', '.join(names)}",
            )
        )
    return checks


def _places(case: Case, reading: Reading) -> list[int]:
    """Where the facts stand: what a clause with one claims was to be done."""
    return [span[0] for fact in case.facts for span, _ in occurrences(reading, fact)]


_NAME = re.compile(r"(?<![\w-])[A-Za-z]*[A-Z][\w-]*(?:[./][\w-]+)*|\b\w+[-/]\w+[-/][\w-]+\b")
_ADVICE = re.compile(
    r"\b(?:check|see|visit|consult|refer|contact|look at|ask|try|recommend|suggest|please|official|website"
    r"|elsewhere|would need|let me know)\b|建议|请|官网|官方",
    re.IGNORECASE,
)


def foreign_names(reading: Reading, world: World) -> list[str]:
    """Names that an answer states and the world does not know: an answer in words where there is none."""
    found: list[str] = []
    for clause in reading.clauses:
        if clause.asks or _ADVICE.search(clause.text):
            continue
        for match in _NAME.finditer(clause.text):
            place = clause.start + match.start()
            if any(value.start < place + len(match[0]) and place < value.end for value in reading.values):
                continue  # a foreign value is a check of its own
            starts_sentence = not re.search(r"\w", reading.text[_start_of_sentence(reading, clause) : place])
            if starts_sentence and match[0][1:].islower() and not re.search(r"[\d/-]", match[0]):
                continue
            if match[0] in _ORDINARY or reading.polarity(place, place + len(match[0])) == "denied":
                continue
            if match[0].casefold() not in world.words:
                found.append(match[0])
    return found


_ORDINARY = frozenset({"I", "I'm", "A", "The", "OK", "FAQ", "URL", "PDF"})


def _start_of_sentence(reading: Reading, clause: Any) -> int:
    return reading.sentences[clause.sentence][0]


def answer_checks(case: Case, answer: str, world: World, extra: Sequence[Value] = ()) -> list[Check]:
    """All checks of an answer; of a longer one than is read, of what is read of it, and one more, which fails."""
    read_of_it = as_read(answer)
    empty = Check(
        name="empty",
        part="facts",
        held=bool(answer.strip()),
        kind="the answer is empty",
        reason="the answer is empty",
    )
    too_long = Check(
        name="length",
        part="facts",
        held=False,
        kind="other",
        reason=f"the answer has {len(answer):,} characters, of which the first {len(read_of_it):,} were read",
    )
    return [
        empty,
        *fact_checks(case, read_of_it, world),
        *foreign_checks(case, read_of_it, world, extra),
        *stance_checks(case, read_of_it, world),
        *([too_long] if read_of_it != answer else []),
    ]
