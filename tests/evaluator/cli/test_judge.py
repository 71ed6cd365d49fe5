"""`bakeoff score --judge`."""

import json
from pathlib import Path

import jsonschema
import pytest
from commands import PLANTED, Bakeoff
from judged import RIGHT, WRONG, run, write_all
from model_server import Answer, completion, serving

from evaluator.scorecard import schema
from evaluator.suites import judging

SCORE = ("score", "--traces", "traces", "--out", "out")
JUDGE = ("--judge", "mine", "--base-url")


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "FIRST_WAIT_S", 0.0)
    (tmp_path / "out").mkdir()
    write_all(tmp_path / "traces", run("a"), run("b"), run("c", "Go away."), run("d", ended="timeout"))


def right_then_wrong(number: int, headers: dict[str, str]) -> Answer:
    return Answer(200, completion(RIGHT if number == 0 else WRONG))


def written(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_what_a_judge_says_stands_beside_the_rules(bakeoff: Bakeoff, tmp_path: Path) -> None:
    assert bakeoff(*SCORE).code == 0
    without = written(tmp_path)
    with serving(right_then_wrong) as server:
        said = bakeoff(*SCORE, *JUDGE, server.url)
    assert said.code == 0
    assert "asking mine about 3 runs" in said.out
    assert "local · judged by mine" in said.out
    document = json.loads(written(tmp_path)["scorecard.json"])
    jsonschema.validate(document, schema.schema("scorecard.json"))
    for cell in (*document["cells"], *document["totals"]):
        [row] = cell["judges"]
        # Of a and b, which pass, one is judged right; c is wrong for both, and d has no answer.
        assert (row["judge"], row["runs"], row["verdicts"], row["right"], row["unanswered"]) == ("mine", 4, 3, 1, 1)
        assert (row["right_share"], row["agreement"], row["kappa"]) == (0.25, 0.666667, 0.4)
    summary = written(tmp_path)["SCORECARD.md"].decode()
    [line] = [line for line in summary.splitlines() if line.startswith("|") and "67% (n = 3)" in line]
    assert [cell.strip() for cell in line.strip("|").split("|")][2:] == [
        "25% [0–75]",
        "4/4",
        "0",
        "67% (n = 3)",
        "0.40",
    ]
    # Nothing but the judge's columns is added.
    for name in without.keys() - {"scorecard.json", "SCORECARD.md"}:
        assert written(tmp_path)[name] == without[name]
    for cell in (*document["cells"], *document["totals"]):
        del cell["judges"]
    assert document == json.loads(without["scorecard.json"])
    assert set(without["SCORECARD.md"].splitlines()) <= set(summary.encode().splitlines())


def test_from_then_on_the_scorecard_has_it_without_a_model_to_the_byte(bakeoff: Bakeoff, tmp_path: Path) -> None:
    assert bakeoff(*SCORE).code == 0
    without = written(tmp_path)
    with serving(right_then_wrong) as server:
        assert bakeoff(*SCORE, *JUDGE, server.url).code == 0
    judged = written(tmp_path)
    assert judged != without
    assert bakeoff(*SCORE).code == 0
    assert written(tmp_path) == judged
    for path in (tmp_path / "traces").rglob("*.jsonl"):
        path.unlink()
    assert bakeoff(*SCORE).code == 0
    assert written(tmp_path) == without


def test_a_verdict_on_another_answer_does_not_count(bakeoff: Bakeoff, tmp_path: Path) -> None:
    with serving(Answer(200, completion(RIGHT))) as server:
        assert bakeoff(*SCORE, *JUDGE, server.url).code == 0
    write_all(tmp_path / "traces", run("a", "Hello, you."))
    assert bakeoff(*SCORE).code == 0
    [cell] = json.loads(written(tmp_path)["scorecard.json"])["cells"]
    assert cell["judges"][0]["verdicts"] == 2


def test_what_could_not_be_judged_is_said_after_the_scorecard(bakeoff: Bakeoff, tmp_path: Path) -> None:
    def refuses_one(number: int, headers: dict[str, str]) -> Answer:
        return Answer(400, {"error": {"message": "too long"}}) if number == 0 else Answer(200, completion(RIGHT))

    with serving(refuses_one) as server:
        said = bakeoff(*SCORE, *JUDGE, server.url)
    assert (said.code, said.err) == (
        1,
        "bakeoff: 1 of 3 runs could not be judged: the model's server answered 400 (request refused): too long; the "
        "same command asks again\n",
    )
    assert "SCORECARD.md" in said.out
    assert written(tmp_path)


def test_no_key_is_written_anywhere(bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)

    def shows_the_key(number: int, headers: dict[str, str]) -> Answer:
        key = headers["authorization"]
        if number == 0:
            return Answer(500, {"error": {"message": f"wrong key: {key}"}})
        return Answer(200, completion(json.dumps({"verdict": "right", "why": key}) if number == 1 else key))

    with serving(shows_the_key) as server:
        said = bakeoff(*SCORE, *JUDGE, server.url)
    assert said.code == 0
    assert server.headers[0]["authorization"] == f"Bearer {PLANTED}"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "judged-by.mine.jsonl" for path in files)
    for text in (said.out, said.err, *(path.read_text(errors="replace") for path in files)):
        assert PLANTED not in text
        assert "127.0.0.1" not in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--base-url", "http://127.0.0.1:1/v1"), "name it with --judge MODEL"),
        (("--key-variable", "HOME"), "name it with --judge MODEL"),
        (("--judge", "scripted"), "--judge 'scripted' plays what is expected"),
        (("--judge", "nobody"), "--judge 'nobody' is unknown"),
        (("--judge", "local", "--base-url", "http://127.0.0.1:1/v1"), "--judge 'local' is built in"),
        (("--judge", "m", "--base-url", "http://127.0.0.1:1/v1", "--weights", "cost=1"), "leave one of them out"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    bakeoff: Bakeoff, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    said = bakeoff(*SCORE, *arguments)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert told in said.err
    assert not written(tmp_path)
