"""`bakeoff list`."""

import json

from commands import Bakeoff

from evaluator.catalog.tasks import all_tasks


def test_the_list_is_json_where_asked(bakeoff: Bakeoff) -> None:
    said = bakeoff("list", "--json")
    assert (said.code, said.err) == (0, "")
    listed = json.loads(said.out)
    assert listed["frameworks"][0]["name"] == "baseline"
    assert {task["name"] for task in listed["tasks"]} == set(all_tasks())
    assert all(
        counts["quick"] <= counts["standard"] <= counts["full"] for counts in (t["cases"] for t in listed["tasks"])
    )
    plain = bakeoff("list")
    assert plain.code == 0 and "\x1b" not in plain.out
    assert all(framework["name"] in plain.out for framework in listed["frameworks"])
    assert listed["model_files"] == ["gguf:PATH", "hf:REPO/FILE"]
    assert ", gguf:PATH, hf:REPO/FILE, ENDPOINT/MODEL, " in " ".join(plain.out.split())
