"""Databricks source format: a notebook's text to cells, a SQL cell to statements. Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emulator.files import COMMENT, language_of_source

MAGIC = {"%python": "python", "%sql": "sql", "%md": "md", "%run": "run", "%sh": "sh", "%fs": "fs", "%pip": "pip"}
OTHER_MAGIC = {"%scala": "scala", "%r": "r"}


@dataclass(frozen=True)
class Cell:
    """language: python, sql, md, run, ... ; text: the cell without magic; line: of its first line in the
    source, from 1."""

    language: str
    text: str
    line: int


def cells_of(source: str, language: str) -> list[Cell]:
    """The cells of a notebook. language: the notebook's own (PYTHON, SQL), used where its first line does not say."""
    language = language_of_source(source) or language
    mark = COMMENT[language]
    lines = source.lstrip("\ufeff").split("\n")
    start = 1 if language_of_source(source) else 0
    cells: list[Cell] = []
    block: list[str] = []
    first = start + 1
    for number, line in enumerate(lines[start:], start + 1):
        if re.fullmatch(rf"{re.escape(mark)} COMMAND -+\s*", line):
            cells.extend(_cell(block, first, mark, language))
            block, first = [], number + 1
        else:
            block.append(line)
    cells.extend(_cell(block, first, mark, language))
    return cells


def _cell(block: list[str], first: int, mark: str, language: str) -> list[Cell]:
    while block and not block[0].strip():
        block, first = block[1:], first + 1
    while block and not block[-1].strip():
        block = block[:-1]
    block = [] if block and all(line.startswith(f"{mark} DBTITLE") for line in block) else block
    if not block:
        return []
    while block and block[0].startswith(f"{mark} DBTITLE"):
        block, first = block[1:], first + 1
    magic = f"{mark} MAGIC"
    if not any(line.startswith(magic) for line in block):
        return [Cell(language.lower(), "\n".join(block), first)] if block else []
    text = [re.sub(rf"^{re.escape(magic)} ?", "", line) for line in block]
    word, _, rest = text[0].partition(" ")
    word = word.strip()
    if word in MAGIC or word in OTHER_MAGIC:
        kind = MAGIC.get(word) or OTHER_MAGIC[word]
        return [Cell(kind, "\n".join([rest, *text[1:]]), first)]
    return [Cell(language.lower(), "\n".join(text), first)]


def statements_of(sql: str) -> list[tuple[str, int]]:
    """(statement, its line within the text from 0) for each statement of a SQL text, split at `;` outside of quotes,
    comments and BEGIN ... END blocks. Statements of comments alone are left out."""
    found: list[tuple[str, int]] = []
    part: list[str] = []
    depth, line, started = 0, 0, 0
    content = False
    for kind, text in _tokens(sql):
        if kind == "end" and depth == 0:
            if content:
                found.append(("".join(part).strip(), started))
            part, content = [], False
        else:
            if kind in ("word", "quoted", "other") and not content and text.strip():
                started, content = line, True
            if kind == "word":
                word = text.upper()
                if word == "CASE" or (word == "BEGIN" and not "".join(part).strip()):
                    depth += 1
                elif word == "END" and depth:
                    depth -= 1
            part.append(text)
        line += text.count("\n")
    if content:
        found.append(("".join(part).strip(), started))
    return found


_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<quoted>'(?:\\.|''|[^'\\])*'|"(?:\\.|""|[^"\\])*"|`(?:``|[^`])*`)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<end>;)
      | (?P<other>.)""",
    re.S | re.X,
)


def _tokens(sql: str) -> list[tuple[str, str]]:
    return [(m.lastgroup or "other", m.group()) for m in _TOKEN.finditer(sql)]


def parameter_markers(sql: str) -> set[str]:
    """Names of the `:name` markers of a statement, outside of quotes and comments and not `::` casts."""
    names: set[str] = set()
    tokens = [t for t in _tokens(sql) if t[0] != "comment"]
    for i, (kind, text) in enumerate(tokens[1:], 1):
        if kind == "word" and tokens[i - 1] == ("other", ":"):
            before = tokens[i - 2] if i >= 2 else ("other", " ")
            joined = before[0] in ("word", "quoted") or before[1] in (":", ")", "]")
            if not joined:
                names.add(text)
    return names


def substitute(sql: str, values: dict[str, str]) -> str:
    """`${name}`, `$name` and `getArgument("name")` replaced by widget values, as the old syntax does textually."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return values.get(name, match.group())

    sql = re.sub(r"\$\{([A-Za-z_][\w.]*)\}", value, sql)
    sql = re.sub(
        r"""getArgument\(\s*["']([^"']+)["']\s*\)""",
        lambda m: "'" + values[m.group(1)].replace("'", "\\'") + "'" if m.group(1) in values else m.group(),
        sql,
    )
    return re.sub(r"\$([A-Za-z_]\w*)", value, sql)
