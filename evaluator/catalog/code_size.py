"""How much code an implementation is, by the standard library's own tokenizer and syntax tree.

Nothing is counted that is there only to hand the framework's own token count to the harness: the
statement `model.report_usage(…)`, and lines that end in the comment `# for report_usage`.
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}

_OURS = frozenset({"tasks"})
"""What implementations import that belongs to no framework, the standard library aside."""


@dataclass(frozen=True)
class CodeSize:
    """The size of one implementation, or of several together.

    `lines`: physical lines that hold code; not blank lines, comments and docstrings. Each line of a
    string that spans several counts, since its text is part of the program (a prompt, say).
    `tokens`: names, numbers, strings and operators on these lines; a string is one token.
    `branches`: places where the program can go one way or another: `if`, `elif`, conditional
    expressions, loops (those of comprehensions, too, and their conditions), `except`, `case`, each
    further operand of `and` and `or`; the decisions of McCabe, "A Complexity Measure", IEEE
    Transactions on Software Engineering 2 (1976).
    `framework_names`: what a reader must know of other packages, by dotted name: names imported
    from packages that are neither the standard library nor ours, and attributes taken from these
    names. Methods of objects that such names return are not seen.
    `lines_by_hand`: those of `lines` for which the framework has no facility of its own.
    """

    lines: int
    tokens: int
    branches: int
    framework_names: frozenset[str]
    lines_by_hand: int


def code_size(source: str, by_hand: bool = False) -> CodeSize:
    """The size of one implementation; `by_hand` tells that its framework has no facility for the task.

    Raises `SyntaxError`.
    """
    tree = _parsed(source)
    tokens = _code_tokens(source, tree)
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    counted = [node for node in ast.walk(tree) if getattr(node, "lineno", None) in lines]
    return CodeSize(
        lines=len(lines),
        tokens=len(tokens),
        branches=sum(_branches(node) for node in counted),
        framework_names=frozenset(_framework_names(counted)),
        lines_by_hand=len(lines) if by_hand else 0,
    )


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (MemoryError, RecursionError):  # so the parser says that something is nested too deep
        raise SyntaxError("it is nested too deep") from None


def source_lines(source: str) -> int:
    """The physical lines of a Python source that hold code. Raises `SyntaxError`."""
    return code_size(source).lines


def total_size(sizes: Iterable[CodeSize]) -> CodeSize:
    """Several implementations together; a name that two of them use counts once."""
    every = list(sizes)
    return CodeSize(
        lines=sum(size.lines for size in every),
        tokens=sum(size.tokens for size in every),
        branches=sum(size.branches for size in every),
        framework_names=frozenset().union(*(size.framework_names for size in every)),
        lines_by_hand=sum(size.lines_by_hand for size in every),
    )


def _code_tokens(source: str, tree: ast.Module) -> list[tokenize.TokenInfo]:
    """The tokens that count; an f-string is one of them in every version of Python."""
    docstrings, reporting = _docstring_lines(tree), _reporting_lines(tree)
    tokens: list[tokenize.TokenInfo] = []
    for token in _with_whole_f_strings(tokenize.generate_tokens(io.StringIO(source).readline)):
        if token.type == tokenize.COMMENT and token.string == "# for report_usage":
            reporting.add(token.start[0])
        span = range(token.start[0], token.end[0] + 1)
        is_docstring = token.type == tokenize.STRING and docstrings.issuperset(span)
        if token.type not in _NO_CODE and not is_docstring:
            tokens.append(token)
    return [token for token in tokens if token.start[0] not in reporting]


def _with_whole_f_strings(tokens: Iterator[tokenize.TokenInfo]) -> Iterator[tokenize.TokenInfo]:
    """From Python 3.12 on an f-string comes in pieces; here it is one string, as before."""
    start, end = getattr(tokenize, "FSTRING_START", None), getattr(tokenize, "FSTRING_END", None)
    depth = 0
    first: tokenize.TokenInfo | None = None
    for token in tokens:
        if start is not None and token.type == start:
            first = first or token
            depth += 1
        elif end is not None and token.type == end:
            depth -= 1
            if depth == 0 and first is not None:
                yield tokenize.TokenInfo(tokenize.STRING, "", first.start, token.end, first.line)
                first = None
        elif depth == 0:
            yield token


def _branches(node: ast.AST) -> int:
    match node:
        case ast.If() | ast.IfExp() | ast.For() | ast.AsyncFor() | ast.While() | ast.ExceptHandler():
            return 1
        case ast.BoolOp(values=values):
            return len(values) - 1
        case ast.Match(cases=cases):
            return len(cases)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            return sum(1 + len(part.ifs) for part in node.generators)
    return 0


def _framework_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    every = list(nodes)
    imported: dict[str, str] = {}
    for node in every:
        match node:
            case ast.Import(names=names):
                for name in names:
                    # `import a.b` binds `a`, `import a.b as c` binds `a.b`.
                    bound = name.name if name.asname else name.name.partition(".")[0]
                    imported[name.asname or bound] = bound
            case ast.ImportFrom(module=str(module), level=0, names=names):
                imported |= {name.asname or name.name: f"{module}.{name.name}" for name in names}
    foreign = {
        name: path
        for name, path in imported.items()
        if (package := path.partition(".")[0]) not in sys.stdlib_module_names and package not in _OURS
    }
    yield from foreign.values()
    for node in every:
        if isinstance(node, ast.Attribute) and (path := _dotted(node, foreign)):
            yield path


def _dotted(node: ast.Attribute, foreign: dict[str, str]) -> str | None:
    """`package.name.attribute`, if it starts at an imported name."""
    match node.value:
        case ast.Name(id=name) if name in foreign:
            return f"{foreign[name]}.{node.attr}"
        case ast.Attribute() as inner if path := _dotted(inner, foreign):
            return f"{path}.{node.attr}"
    return None


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
