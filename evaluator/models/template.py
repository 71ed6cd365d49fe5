"""The chat template of the embedded models, and what it adds in words of our own."""

from pathlib import Path

import jinja2
from jinja2 import nodes

TEMPLATE = Path(__file__).parent / "templates" / "qwen2.5-coder-tools.jinja"
"""Chat template of the Qwen2.5-Coder models: asks for tool calls in the form that they write by nature."""


def sentences() -> dict[str, str]:
    """What the template says itself, by the name that it has there.

    `how_to_call` ends the system message where tools are offered. `after_results` follows the first results of tools
    since the user last spoke, `after_more_results` the later ones; both may be empty.
    """
    tree = jinja2.Environment().parse(TEMPLATE.read_text(encoding="utf-8"))
    return {
        node.target.name: node.node.value
        for node in tree.body
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name) and isinstance(node.node, nodes.Const)
    }
