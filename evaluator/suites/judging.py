"""Asks a judge, a model of the user's, about every run that it has not judged yet."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from evaluator.analysis import judge
from evaluator.analysis.gather import Seen, Whole, every_task, gather, to_judge
from evaluator.analysis.judge import Question, Said, Verdict
from evaluator.analysis.judge.verdicts import add, tidy
from evaluator.analysis.parallel import Workers
from evaluator.catalog.frameworks import IMPLEMENTATIONS, framework_folders
from evaluator.errors import Failure, Mistake, error_in_words
from evaluator.harness.records import exclusive
from evaluator.models import specs
from evaluator.models.specs import ModelSpec
from evaluator.models.upstreams import Upstream, UpstreamError
from evaluator.providers.names import PLAYED, is_real
from evaluator.text import shortened
from evaluator.trace import Key
from evaluator.wire.bodies import parsed
from evaluator.wire.failures import Refusal, message_of
from evaluator.wire.messages import completion_of
from tasks.cases import Script

AT_ONCE = 4
"""Questions under way at a server that takes a key. One without is likely to be the user's own, which may answer one
after the other, so that further questions would only wait and run into their time limit."""

TRIES = 5
"""How often a server is asked that is busy or out of order. A question that runs into its time limit is left."""

GONE_AFTER = 5
"""Questions in a row that were not answered in all their tries, after which no other is asked."""

FIRST_WAIT_S = 1.0
"""Before the second try; doubled before each further one. A server may ask for more."""

LONGEST_WAIT_S = 60.0

_LINES = 20
"""How many lines of progress there are where there is no terminal."""

_LONGEST_WHY = 300
_NOT_UNDERSTOOD = 2
"""So many replies that are not understood are no verdict."""

_WORTH_ANOTHER_TRY = frozenset({408, 409, 425, 429})

_WRAPPED = re.compile(
    r"\s*(?:<think>.*?</think>)?\s*(?:```(?:json)?\s*(?P<fenced>\{.*\})\s*```|(?P<bare>\{.*\}))\s*", re.S
)
"""A reply with nothing but one JSON object, as it is or in a fence of Markdown; reasoning models think before it."""


class _VerdictReply(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: Said
    why: str


class _Unanswered(Exception):
    """A question was not answered, in all its tries. The message is for people."""


class _Refused(_Unanswered):
    """Any other question would be refused as well."""


class _Busy(Exception):
    """Another try may do, after so many seconds. The message is for people."""

    def __init__(self, message: str, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.after_s = after_s


@dataclass(frozen=True)
class Judged:
    """How many runs there were to judge, and how many of these were not, because the server did not answer: why."""

    runs: int
    left: int
    why: str


def resolve(name: str, base_url: str | None, key_variable: str | None) -> ModelSpec:
    """The model that shall judge. Raises `Mistake`."""
    if name in PLAYED:
        raise Mistake(f"--judge {name!r} plays what is expected or recorded, and cannot judge: name a real model")
    try:
        return specs.resolve(name, base_url, key_variable)
    except Mistake as mistake:  # the same names as for --model, and the same mistakes
        raise Mistake(str(mistake).replace("--model", "--judge")) from None


async def judge_all(
    traces: Path,
    spec: ModelSpec,
    console: Console,
    say: Callable[[str], None],
    *,
    models: Sequence[str] | None = None,
    keep: Callable[[Key], bool] = lambda key: True,
    implementations: Path = IMPLEMENTATIONS,
) -> Judged:
    """Have all runs below `traces` judged that are not yet and whose key `keep` accepts, with `models` only theirs.

    Each verdict is written as it comes, so whatever ends this, the next call goes on from there. `say` is told a line
    for each step; `console` shows the progress. Raises `Failure` where the judge's server cannot be used at all,
    `Mistake` where nothing can be written.
    """
    with exclusive(traces):
        questions = await asyncio.to_thread(_questions, traces, models, keep, implementations)
        digest = await asyncio.to_thread(specs.digest, spec, console)
        with _tidy(traces, spec.name, {question.key.model for question in questions}):
            missing = _missing(questions, traces, spec.name, digest)
            if len(missing) < len(questions):
                say(f"{len(questions) - len(missing)} of {len(questions)} runs are judged by {spec.name} already")
            if not missing:
                return Judged(len(questions), 0, "")
            if spec.endpoint is None:
                say(f"warning: {spec.name} is a small model and judges badly; what it says shows little but itself")
            say(f"asking {spec.name} about {len(missing)} runs")
            async with specs.running(spec, console) as upstream:
                try:
                    judging = _Judging(_Judge(upstream, spec), spec.name, digest, traces)
                    hosted = spec.endpoint is not None and spec.endpoint.key is not None
                    await judging.all_of(missing, AT_ONCE if hosted else 1, console)
                finally:
                    await upstream.close()
        return Judged(len(questions), len(judging.left), judging.left[0] if judging.left else "")


@contextlib.contextmanager
def _tidy(traces: Path, name: str, models: Iterable[str]) -> Iterator[None]:
    """Put the judge's files in order before and after, whatever ends this."""

    def tidy_all() -> None:
        with _writing(traces):
            for model in models:
                tidy(traces, model, name)

    tidy_all()
    try:
        yield
    finally:
        tidy_all()


@contextlib.contextmanager
def _writing(traces: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Mistake(f"--traces {traces}: verdicts cannot be written: {error_in_words(error)}") from None


def _questions(
    traces: Path, models: Sequence[str] | None, keep: Callable[[Key], bool], implementations: Path
) -> list[Question]:
    """What there is to ask about the runs below `traces`, each once."""
    frameworks = [folder.name for folder in framework_folders(implementations)]
    found: dict[Key, Question] = {}
    with Workers() as workers:
        for one in gather(
            traces,
            models,
            lambda key: is_real(key.model) and keep(key),
            frameworks,
            workers=workers,
            look=_asked_about,
        ):
            if isinstance(one, Seen):
                for question in one.made:
                    found.setdefault(question.key, question)
    return list(found.values())


def _asked_about(whole: Sequence[Whole]) -> list[Question]:
    """What there is to ask about the runs of a case."""
    runs = (one.trace for one in whole if one.scored is not None and to_judge(one.trace))
    return [judge.question(trace, every_task()[trace.key.task]) for trace in runs]


def _missing(questions: Iterable[Question], traces: Path, name: str, digest: str) -> list[Question]:
    verdicts, _ = judge.read_verdicts(traces)
    return [
        question
        for question in questions
        if (known := verdicts.get(question.key, {}).get(name)) is None
        or (known.judged, known.judge_digest) != (question.digest, digest)
    ]


class _Judge:
    """A model that is asked for verdicts."""

    def __init__(self, upstream: Upstream, spec: ModelSpec) -> None:
        self._upstream = upstream
        self._spec = spec

    async def verdict(self, question: Question) -> tuple[Said | None, str]:
        """What the judge says, and why; None and the beginning of its reply where that is not understood.

        Raises `_Unanswered`.
        """
        text = ""
        for _ in range(_NOT_UNDERSTOOD):
            text = await self._ask(question)
            if (reply := understood(text)) is not None:
                return reply
        return None, shortened(text, _LONGEST_WHY)

    async def _ask(self, question: Question) -> str:
        """What the model says. Raises `_Unanswered`."""
        for tried in range(TRIES):
            try:
                return await self._try(question)
            except _Busy as busy:
                if tried == TRIES - 1:
                    raise _Unanswered(str(busy)) from None
                await asyncio.sleep(min(max(busy.after_s, FIRST_WAIT_S * 2**tried), LONGEST_WAIT_S))
        raise AssertionError("the last try either answers or raises")

    async def _try(self, question: Question) -> str:
        request = {"model": self._spec.sent_name, "messages": list(question.messages), "temperature": 0}
        session = self._upstream.session(Script(answer=""))
        limit_s = self._spec.timeout_s
        try:
            async with asyncio.timeout(limit_s):
                reply = await self._upstream.chat(orjson.dumps(request), request, session, limit_s)
                body = reply.body if isinstance(reply.body, bytes) else b"".join([piece async for piece in reply.body])
        except TimeoutError:
            raise _Unanswered(f"no answer within {limit_s:.0f} s") from None
        except UpstreamError as error:
            raise _Busy(str(error)) from None
        response = session.without_secrets(parsed(body))
        completion = completion_of(response)
        if reply.status < 400 and completion.message is not None:
            return completion.text
        if reply.status < 400:
            raise _Busy(f"the model's server answered {reply.status}: {message_of(response)}".removesuffix(": "))
        refusal = Refusal(reply.status, response, reply.retry_after)
        if refusal.come_back or refusal.is_of_all:
            raise _Refused(refusal.come_back or str(refusal))
        if reply.status in _WORTH_ANOTHER_TRY or reply.status >= 500:
            raise _Busy(str(refusal), refusal.wait_s or 0.0)
        raise _Unanswered(str(refusal))


def understood(reply: str) -> tuple[Said, str] | None:
    """The verdict and the sentence of a reply; None unless the reply is one JSON object with just these."""
    wrapped = _WRAPPED.fullmatch(reply)
    if wrapped is None:
        return None
    try:
        read = _VerdictReply.model_validate_json(wrapped["fenced"] or wrapped["bare"])
    except ValidationError:
        return None
    return read.verdict, shortened(read.why, _LONGEST_WHY)


@dataclass
class _Judging:
    """The asking of many questions, some of them at once."""

    judge: _Judge
    name: str
    digest: str
    traces: Path
    left: list[str] = field(default_factory=list)
    in_a_row: int = 0

    async def all_of(self, questions: Sequence[Question], at_once: int, console: Console) -> None:
        """Ask them all. Raises `Failure` where the server is gone."""
        waiting = iter(questions)
        with _Shown(console, self.name, len(questions)) as shown:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(at_once):
                        group.create_task(self._each(waiting, shown.advance))
            except BaseExceptionGroup as several:
                raise several.exceptions[0] from None

    async def _each(self, waiting: Iterable[Question], done: Callable[[], None]) -> None:
        for question in waiting:
            await self._one(question)
            done()

    async def _one(self, question: Question) -> None:
        try:
            verdict, why = await self.judge.verdict(question)
        except _Unanswered as error:
            self.left.append(str(error))
            self.in_a_row += 1
            if isinstance(error, _Refused) or self.in_a_row >= GONE_AFTER:
                raise Failure(
                    f"--judge {self.name}: {error}; what was judged is kept, and the same command goes on from here"
                ) from None
            return
        self.in_a_row = 0
        said = Verdict(
            key=question.key,
            judge=self.name,
            judge_digest=self.digest,
            judged=question.digest,
            verdict=verdict,
            why=why,
        )
        with _writing(self.traces):
            add(self.traces, said)


class _Shown:
    """A bar on a terminal, elsewhere a line now and then."""

    def __init__(self, console: Console, name: str, total: int) -> None:
        self._console = console
        self._total = total
        self._done = 0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(f"judged by {name}", total=total)

    def __enter__(self) -> "_Shown":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self) -> None:
        """One more is done."""
        before, self._done = self._done, self._done + 1
        self._bar.update(self._task, completed=self._done)
        worth_a_line = self._done * _LINES // self._total > before * _LINES // self._total
        if worth_a_line and not self._console.is_terminal:
            self._console.print(f"{self._done} of {self._total} runs judged", highlight=False)
