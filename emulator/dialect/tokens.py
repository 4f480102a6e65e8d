"""The tokens of a statement, cut as Spark's lexer does: comments, strings and quoted names whole."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum

from emulator.sql.errors import SqlError


class Kind(StrEnum):
    WORD = "word"
    QUOTED = "quoted"
    STRING = "string"
    NUMBER = "number"
    PARAMETER = "parameter"
    MARK = "mark"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    start: int
    end: int
    text: str
    upper: str

    @property
    def is_name(self) -> bool:
        return self.kind is Kind.WORD or self.kind is Kind.QUOTED

    @property
    def name(self) -> str:
        return self.text[1:-1].replace("``", "`") if self.kind is Kind.QUOTED else self.text


_SKIP = re.compile(r"(?:\s+|--(?:\\\n|[^\n])*)+")
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?(?:[lLsSyYdDfF]|[bB][dD])?(?!\w)")
_BACKTICK = re.compile(r"`(?:[^`]|``)*`")
_STRING = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"", re.S)
_RAW = re.compile(r"[rR](?:'[^']*'|\"[^\"]*\")")
_DOLLAR = re.compile(r"\$(\w*)\$.*?\$\1\$", re.S)
_PARAMETER = re.compile(r":(?=\w)\w+")
_OPERATOR = re.compile(r"<=>|<<|>>>|>>|::|\|\||\|>|->|=>|<=|>=|<>|!=|==|.", re.S)


def tokenize(text: str) -> list[Token]:
    """Tokens with their place in `text`; white space and comments are not among them.

    Raises PARSE_SYNTAX_ERROR for a string, quoted name or comment without its end.
    """
    tokens: list[Token] = []
    at, size = 0, len(text)
    while at < size:
        skipped = _SKIP.match(text, at)
        if skipped:
            at = skipped.end()
            continue
        char = text[at]
        if char == "/" and text.startswith("/*", at):
            at = _comment_end(text, at)
            continue
        kind = Kind.OPERATOR
        found: re.Match[str] | None
        if char == "`":
            kind, found = Kind.QUOTED, _BACKTICK.match(text, at)
        elif char in "'\"":
            kind, found = Kind.STRING, _STRING.match(text, at)
        elif char in "rR" and text[at + 1 : at + 2] in ("'", '"'):
            kind, found = Kind.STRING, _RAW.match(text, at)
        elif char == "$" and (dollar := _DOLLAR.match(text, at)):
            kind, found = Kind.STRING, dollar
        elif char.isdigit() or (
            char == "."
            and text[at + 1 : at + 2].isdigit()
            and not (tokens and tokens[-1].is_name and tokens[-1].end == at)
        ):
            found = _NUMBER.match(text, at)
            kind = Kind.NUMBER
            if not found:
                kind, found = Kind.WORD, _WORD.match(text, at)
        elif char == "_" or char.isalnum():
            kind, found = Kind.WORD, _WORD.match(text, at)
        elif char == ":" and text[at + 1 : at + 2] != ":" and (parameter := _PARAMETER.match(text, at)):
            kind, found = Kind.PARAMETER, parameter
        elif char == "?":
            kind, found = Kind.MARK, _OPERATOR.match(text, at)
        else:
            found = _OPERATOR.match(text, at)
        if found is None:
            raise SqlError("PARSE_SYNTAX_ERROR", f"Syntax error at or near {text[at : at + 20]!r}: it has no end.")
        word = found.group()
        tokens.append(Token(kind, at, found.end(), word, word.upper() if kind is Kind.WORD else word))
        at = found.end()
    return tokens


def _comment_end(text: str, at: int) -> int:
    """Past a bracketed comment; they nest."""
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, at):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    raise SqlError(
        "UNCLOSED_BRACKETED_COMMENT",
        "Found an unclosed bracketed comment. Please, append */ at the end of the comment.",
        "42601",
    )


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "0": "\0", "Z": "\x1a"}


def unquote_string(text: str) -> str:
    """The value of a string literal token."""
    if text[0] in "rR":
        return text[2:-1]
    if text[0] == "$":
        cut = text.index("$", 1) + 1
        return text[cut:-cut]
    body = text[1:-1].replace(text[0] * 2, text[0])
    if "\\" not in body:
        return body

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "uU":
            return chr(int(code[1:], 16))
        if len(code) == 3:
            return chr(int(code, 8))
        if code in "%_":
            return "\\" + code
        return _ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)", one, body, flags=re.S)


def line_of(text: str, offset: int) -> tuple[int, int]:
    """Line (from 1) and position (from 0) of an offset, as Spark's messages count them."""
    breaks = [index for index, char in enumerate(text) if char == "\n"]
    line = bisect_right(breaks, offset - 1) + 1
    begin = breaks[line - 2] + 1 if line > 1 else 0
    return line, offset - begin
