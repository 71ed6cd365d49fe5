"""How much code an implementation is."""

import ast
import io
import tokenize

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def source_lines(source: str) -> int:
    """The physical lines of a Python source that hold code.

    Not counted: blank lines, lines with nothing but a comment, docstrings, and what is there only to
    hand the framework's own token count to the harness: the statement `model.report_usage(…)`, and
    lines that end in the comment `# for report_usage`. Each line of a string that spans several
    counts, since its text is part of the program (a prompt, say). Raises `SyntaxError`.
    """
    tree = ast.parse(source)
    docstrings = _docstring_lines(tree)
    lines: set[int] = set()
    reporting = _reporting_lines(tree)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.string == "# for report_usage":
            reporting.add(token.start[0])
        span = range(token.start[0], token.end[0] + 1)
        is_docstring = token.type == tokenize.STRING and docstrings.issuperset(span)
        if token.type not in _NO_CODE and not is_docstring:
            lines.update(span)
    return len(lines - reporting)


def _reporting_lines(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="report_usage"))):
                lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def _docstring_lines(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            first = node.body[0]
            lines.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines
