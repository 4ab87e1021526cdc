"""Texts that people read, by file: docstrings, comments, messages and pages."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
NOT_PROSE = re.compile(r"```.*?```|<(script|style)\b.*?</\1>|<[^>]*>|\{[%{#].*?[%}#]\}", re.DOTALL)
# A string of JavaScript or a comment, whichever begins first.
SCRIPT_TEXT = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`""", re.DOTALL)
SENTENCE = re.compile(r"[A-Za-z]{2,},? [a-z]{2,}")
INSTRUCTION = re.compile(r"# ?(noqa|type:|ruff:|mypy:|pragma)")


@dataclass(frozen=True)
class Text:
    """A piece of text, with the line of the file on which it begins."""

    path: str
    line: int
    content: str


@dataclass(frozen=True)
class Module:
    """A parsed file of Python."""

    path: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def docstrings(self) -> list[Text]:
        nodes = [docstring for node in self.nodes if (docstring := find_docstring(node))]
        return [Text(self.path, node.lineno, str(node.value)) for node in nodes]

    def comments(self) -> Iterator[Text]:
        """Yield each comment; comments on consecutive lines are one text."""
        first, lines = 0, list[str]()
        for token in tokenize.generate_tokens(io.StringIO(self.source).readline):
            if token.type != tokenize.COMMENT or INSTRUCTION.match(token.string):
                continue
            if lines and token.start[0] != first + len(lines):
                yield Text(self.path, first, "\n".join(lines))
                lines = []
            first = first if lines else token.start[0]
            lines.append(token.string.lstrip("# "))
        if lines:
            yield Text(self.path, first, "\n".join(lines))

    def messages(self) -> Iterator[Text]:
        """Yield the strings that have two words in a row and are not docstrings."""
        docstrings = {id(docstring) for node in self.nodes if (docstring := find_docstring(node))}
        parts = {id(part) for node in self.nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in self.nodes:
            if isinstance(node, ast.JoinedStr):
                content = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | parts:
                content = node.value
            else:
                continue
            if SENTENCE.search(content):
                yield Text(self.path, node.lineno, content)


def find_docstring(node: ast.AST) -> ast.Constant | None:
    if isinstance(node, Documented) and node.body and isinstance(node.body[0], ast.Expr):
        value = node.body[0].value
        return value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
    return None


def read_page(path: str, source: str) -> Text:
    """Return the prose of a page of Markdown or HTML, with the line breaks of what is left out."""
    return Text(path, 1, NOT_PROSE.sub(lambda match: "\n" * match[0].count("\n") or " ", source))


def read_hash_comments(path: str, source: str) -> Iterator[Text]:
    """Yield the comments of a Makefile, Dockerfile, or file of YAML or TOML."""
    for number, line in enumerate(source.splitlines(), start=1):
        if comment := re.search(r"(?:^|\s)#+ (.*)", line):
            yield Text(path, number, comment[1])


def read_script(path: str, source: str) -> Iterator[Text]:
    """Yield the comments and the messages of a script or style sheet."""
    for match in SCRIPT_TEXT.finditer(source):
        if SENTENCE.search(match[0]):
            yield Text(path, source.count("\n", 0, match.start()) + 1, match[0].strip("/*\"'` "))
