"""The columns of the table of all runs, whatever the format."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evaluator.analysis.graded_run import GradedRun
from evaluator.trace import Setup


@dataclass(frozen=True)
class Column:
    """One column. `kind` is the type of its values; the unit is empty where there is none."""

    name: str
    kind: type[str] | type[int] | type[float] | type[bool]
    unit: str
    meaning: str
    value: Callable[[GradedRun, Setup], Any]


COLUMNS = (
    Column("model", str, "", "what answered", lambda run, _: run.key.model),
    Column("framework", str, "", "the framework's folder", lambda run, _: run.key.framework),
    Column("task", str, "", "the task", lambda run, _: run.key.task),
    Column("case", str, "", "the case of the task", lambda run, _: run.key.case),
    Column("level", int, "", "how hard the case is, 1 to 4; none where it is not known", lambda run, _: run.level),
    Column("trial", int, "", "the how-manieth repetition", lambda run, _: run.key.trial),
    Column("framework_version", str, "", "the framework's version", lambda _, setup: setup.framework_version),
    Column("started_at", str, "", "when the run was made, in ISO 8601", lambda _, setup: setup.started_at),
    Column(
        "sitting",
        str,
        "",
        "the uninterrupted, interleaved recording that it belongs to; times compare only within one",
        lambda _, setup: setup.sitting,
    ),
    Column("ended", str, "", "answered, error, timeout or call_limit", lambda run, _: run.ended),
    Column("passed", bool, "", "whether all checks held", lambda run, _: run.passed),
    Column("score", float, "share", "what was earned; none where nothing can be", lambda run, _: run.score),
    Column("reasons", str, "", "why it did not pass, separated by semicolons", lambda run, _: "; ".join(run.reasons)),
    Column("wall_s", float, "s", "wall time, the sum of the next four", lambda run, _: run.wall_s),
    Column("model_s", float, "s", "time with the model at work", lambda run, _: run.split.model_s),
    Column("tool_s", float, "s", "time in tools", lambda run, _: run.split.tool_s),
    Column("gateway_s", float, "s", "time in the gateway", lambda run, _: run.split.gateway_s),
    Column("overhead_s", float, "s", "time in none of these", lambda run, _: run.split.overhead_s),
    Column(
        "first_token_s",
        float,
        "s",
        "wait for the first streamed answer",
        lambda r, _: next(iter(r.first_token_s), None),
    ),
    Column("model_calls", int, "calls", "chat calls, failed ones too", lambda run, _: run.model_calls),
    Column("prompt_tokens", int, "tokens", "prompt tokens on the wire", lambda run, _: run.prompt_tokens),
    Column("completion_tokens", int, "tokens", "completion tokens on the wire", lambda run, _: run.completion_tokens),
    Column("cached_tokens", int, "tokens", "prompt tokens from the upstream's cache", lambda run, _: run.cached_tokens),
    Column(
        "reasoning_tokens",
        int,
        "tokens",
        "completion tokens that the model thought with, where the server says",
        lambda run, _: run.reasoning_tokens,
    ),
    Column("embedding_tokens", int, "tokens", "tokens that were embedded", lambda run, _: run.embedding_tokens),
    Column("usage_counted", bool, "", "whether the gateway counted some of them itself", lambda r, _: r.usage_counted),
    Column(
        "injected_tokens",
        int,
        "tokens",
        "prompt tokens beyond the canonical requests', in the calls that can be compared",
        lambda run, _: run.injected_tokens,
    ),
    Column("compared_calls", int, "calls", "how many calls these are", lambda run, _: run.compared_calls),
    Column(
        "reported_prompt_tokens", int, "tokens", "the framework's own count", lambda run, _: run.reported_prompt_tokens
    ),
    Column(
        "reported_completion_tokens",
        int,
        "tokens",
        "the framework's own count",
        lambda run, _: run.reported_completion_tokens,
    ),
    Column("cost_usd", float, "USD", "price of the chat calls, where it is known", lambda run, _: run.cost_usd),
    Column("import_s", float, "s", "time in which its worker imported all", lambda run, _: run.import_s),
    Column(
        "memory_after_import_mb",
        float,
        "MB",
        "memory of its worker after that",
        lambda run, _: run.memory_after_import_mb,
    ),
    Column("peak_memory_mb", float, "MB", "peak memory of its worker so far", lambda run, _: run.peak_memory_mb),
    Column("packages", int, "packages", "packages in the framework's environment", lambda run, _: run.packages),
    Column("installed_mb", float, "MB", "size of their files, without bytecode", lambda run, _: run.installed_mb),
)
"""Key, outcome and metrics of a run. MB are 10^6 bytes."""
