"""What holds for the whole repository. What holds for each framework: `test_conformance.py`."""

import ast
import subprocess
import sys

from evaluator import ROOT
from evaluator.catalog.frameworks import BASELINE, framework_folders


def test_nothing_outside_its_folder_names_a_framework() -> None:
    names = {folder.name for folder in framework_folders()} - {BASELINE}
    sources = [*ROOT.glob("evaluator/**/*.py"), *ROOT.glob("tasks/*.py"), *ROOT.glob("tasks/*/*.py")]
    for path in [*sources, *ROOT.glob("tests/test_*.py")]:
        strings = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not names & strings, path


def test_tasks_and_probes_need_only_the_standard_library_and_pydantic() -> None:
    foreign = "set(m.split('.')[0] for m in sys.modules) & {'numpy', 'orjson', 'aiohttp', 'psutil', 'rich', 'yarl'}"
    modules = "tasks.rag_qa.spec, tasks.tool_calling.spec, tasks.handoff.spec"
    modules += ", evaluator.probes.briefs, evaluator.worker.watched, evaluator.worker.main"
    code = f"import sys, {modules}; print({foreign} or 'none')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip() == "none"


def test_tasks_import_nothing_of_ours() -> None:
    code = (
        "import sys, tasks.rag_qa.spec, tasks.tool_calling.spec, tasks.handoff.spec; print('evaluator' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip() == "False"
