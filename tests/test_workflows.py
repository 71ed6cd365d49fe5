"""What the workflows call is there, and the upgrade finds the frameworks by their folders."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluator import ROOT
from evaluator.catalog.frameworks import framework_folders
from evaluator.cli import COMMANDS

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
UPGRADE = ROOT / ".ci" / "upgrade"


def jobs(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"])


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_workflow_calls_is_there(path: Path) -> None:
    assert steps(path)
    for step in steps(path):
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))
        said = step.get("run", "")
        for script in re.findall(r"\.ci/\w+", said):
            assert os.access(ROOT / script, os.X_OK), script
        assert {*re.findall(r"\bbakeoff (\w+)", said)} <= COMMANDS.keys()


def test_the_weekly_upgrade_calls_only_its_script_and_sends_the_words_that_it_leaves() -> None:
    workflow = ROOT / ".github" / "workflows" / "upgrade.yml"
    triggers = yaml.safe_load(workflow.read_text(encoding="utf-8"))[True]  # `on` is true in YAML
    assert {*triggers} == {"schedule", "workflow_dispatch"}
    said = [step["run"] for step in steps(workflow) if "run" in step]
    assert all(".ci/upgrade" in line and "\n" not in line for line in said)
    [opened] = [step["with"] for step in steps(workflow) if "body-path" in step.get("with", {})]
    left = re.search(r"^words=(\S+)$", UPGRADE.read_text(encoding="utf-8"), re.M)
    assert left is not None
    assert left[1].replace("$name", "${{ matrix.framework }}") == opened["body-path"]


def test_the_upgrade_lists_the_frameworks_and_knows_no_others() -> None:
    listed = subprocess.run([UPGRADE, "--list"], capture_output=True, text=True, check=True)
    assert {*json.loads(listed.stdout)} == {folder.name for folder in framework_folders()}
    for arguments in ((), ("no_such_framework",)):
        refused = subprocess.run([UPGRADE, *arguments], capture_output=True, text=True)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
