"""From what was asked for to the runs to make."""

from pathlib import Path

import pytest
from fakes import MakeFramework

from evaluator.catalog.suites import all_suites
from evaluator.catalog.tasks import all_tasks
from evaluator.errors import Mistake
from evaluator.harness.limiter import RateLimits
from evaluator.models import specs
from evaluator.suites import outside
from evaluator.suites.planning import Asked, for_endpoints, planned

LIMITS = RateLimits(rpm=60)


def resolved(*names: str) -> list[specs.ModelSpec]:
    return [specs.resolve(name, None if name == "scripted" else "http://127.0.0.1:9/v1", None) for name in names]


def test_limits_are_those_of_models_that_have_a_server(make_framework: MakeFramework) -> None:
    framework = make_framework(tool_calling="")
    asked = Asked([framework], [all_tasks()["tool_calling"]], None, None, 4, None, 10, None, Path("none"), rates=LIMITS)
    models = for_endpoints(resolved("scripted", "mine"), LIMITS)
    assert [planned(spec, asked, print).settings.limits for spec in models] == [None, LIMITS]
    limits = outside.Limits.of(rates=LIMITS)
    suite = all_suites()["bfcl"]
    assert [outside.settings(spec, suite, limits).limits for spec in models] == [None, LIMITS]


def test_limits_are_a_mistake_where_no_model_has_a_server() -> None:
    assert for_endpoints(resolved("scripted"), None) == resolved("scripted")
    with pytest.raises(Mistake, match="not for -m scripted"):
        for_endpoints(resolved("scripted"), LIMITS)
