import json

from evaluator import ROOT
from evaluator.analysis.failure_kinds import KINDS, OTHER, kind_of


def test_every_published_failure_has_a_kind() -> None:
    failures = json.loads((ROOT / "scorecard.json").read_text())["failures"]
    reasons = [reason for failure in failures for reason in failure["reasons"]]
    assert len(reasons) > 100
    assert [reason for reason in reasons if kind_of(reason) == OTHER] == []


def test_kinds_have_names_of_their_own() -> None:
    names = [kind for kind, _ in KINDS]
    assert len(set(names)) == len(names)
    assert kind_of("the weather was bad") == OTHER
    assert kind_of("the call f(text='a\nb') is missing") == "a tool call is missing"
