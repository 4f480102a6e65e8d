"""A place in the tokens of a statement, and what is read from it: words, strings, dotted names, names of tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from emulator.dialect.keywords import NO_ALIAS
from emulator.dialect.names import quoted, split_name
from emulator.dialect.statement import Ref, Role, Statement
from emulator.dialect.tokens import Kind, Token, unquote_string
from emulator.shared.names import folded
from emulator.sql.errors import SqlError


class Cursor:
    """Goes over the tokens of one statement once, from left to right. at: index of the token to read next."""

    def __init__(self, statement: Statement, parameters: Mapping[str, object] | Sequence[object] | None) -> None:
        self.s = statement
        self.t = statement.tokens
        self.n = len(self.t)
        self.parameters = parameters
        self.at = 0

    # ---- looking

    def word(self, index: int) -> str:
        """The unquoted word at index in capitals, an operator as it is, "" otherwise or past the end."""
        if 0 <= index < self.n:
            token = self.t[index]
            if token.kind in (Kind.WORD, Kind.OPERATOR):
                return token.upper
        return ""

    def take(self, *words: str) -> bool:
        """Step over these words if they stand here."""
        if all(self.word(self.at + offset) == word for offset, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def choose(self, *words: str) -> str:
        here = self.word(self.at)
        if here in words:
            self.at += 1
            return here
        return ""

    def fail(self, what: str = "") -> SqlError:
        near = f"'{self.t[self.at].text}'" if self.at < self.n else "end of input"
        return SqlError("PARSE_SYNTAX_ERROR", f"Syntax error at or near {near}{': ' + what if what else ''}.")

    def string(self) -> str | None:
        if self.at < self.n and self.t[self.at].kind is Kind.STRING:
            self.at += 1
            return unquote_string(self.t[self.at - 1].text)
        return None

    # ---- names

    def chain(self) -> tuple[tuple[str, ...], int, tuple[int, ...]]:
        """Reads a dotted name here: its parts, start offset, and the end offset of each part."""
        start = self.t[self.at].start
        parts = [self.t[self.at].name]
        ends = [self.t[self.at].end]
        self.at += 1
        while self.word(self.at) == "." and self.at + 1 < self.n and self.t[self.at + 1].is_name:
            parts.append(self.t[self.at + 1].name)
            ends.append(self.t[self.at + 1].end)
            self.at += 2
        return tuple(parts), start, tuple(ends)

    def table(self, role: Role, aliased: bool = False) -> Ref:
        """Reads a table's name here, with `IDENTIFIER(...)`, `@v1` and what time travel follows it."""
        if self.at >= self.n or not self.t[self.at].is_name:
            raise self.fail("a table name is expected")
        if self.word(self.at) == "IDENTIFIER" and self.word(self.at + 1) == "(":
            start = self.t[self.at].start
            self.at += 2
            parts, end = self.identifier_clause()
        else:
            parts, start, ends = self.chain()
            end = ends[-1]
        appended = ""
        version = None
        if self.word(self.at) == "@" and self.at < self.n and self.t[self.at].start == end:
            point = self.t[self.at + 1] if self.at + 1 < self.n else None
            if point is not None and (match := re.fullmatch(r"[vV](\d+)", point.text)):
                appended = f" VERSION AS OF {match[1]}"
            elif point is not None and (
                match := re.fullmatch(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})", point.text)
            ):
                y, mo, d, h, mi, sec, ms = match.groups()
                appended = f" TIMESTAMP AS OF '{y}-{mo}-{d} {h}:{mi}:{sec}.{ms}'"
            else:
                raise self.fail("after @ a version (v1) or a time (yyyyMMddHHmmssSSS) is expected")
            assert point is not None
            version = appended.strip()
            end = point.end
            self.at += 2
        elif (
            self.word(self.at + (self.word(self.at) == "FOR"))
            in ("VERSION", "TIMESTAMP", "SYSTEM_VERSION", "SYSTEM_TIME")
            and self.word(self.at + 1 + (self.word(self.at) == "FOR")) == "AS"
            and self.word(self.at + 2 + (self.word(self.at) == "FOR")) == "OF"
        ):
            version = self.word(self.at + (self.word(self.at) == "FOR")) + " AS OF"
        alias = self.alias_after(self.at) if aliased else None
        if alias:
            self.s.aliases.add(folded(alias))
        if len(parts) > 3:
            raise SqlError(
                "IDENTIFIER_TOO_MANY_NAME_PARTS",
                f"{quoted(parts)} is not a valid identifier as it has more than 3 name parts.",
                "42601",
            )
        ref = Ref(parts, start, end, role, alias, version, appended, aliased and alias is None)
        self.s.refs.append(ref)
        return ref

    def alias_after(self, index: int) -> str | None:
        """The alias that follows a relation which ends before `index`, past its time travel."""
        if self.word(index) == "FOR":
            index += 1
        if (
            self.word(index) in ("VERSION", "TIMESTAMP", "SYSTEM_VERSION", "SYSTEM_TIME")
            and self.word(index + 1) == "AS"
        ):
            index += 3
            depth = 0
            while index < self.n:
                here = self.word(index)
                if here == "(":
                    depth += 1
                elif here == ")":
                    depth -= 1
                    if depth < 0:
                        return None
                elif (
                    depth == 0
                    and (here == "AS" or here == "," or here in NO_ALIAS - {"TIMESTAMP", "AND", "OR", "INTERVAL"})
                ) or (depth == 0 and self.t[index].is_name and self.ends_value(index - 1)):
                    break
                index += 1
        if self.word(index) == "TABLESAMPLE":
            index = self.past_parens(index + 1)
        if self.word(index) == "AS":
            index += 1
            return self.t[index].name if index < self.n and self.t[index].is_name else None
        if (
            index < self.n
            and self.t[index].is_name
            and (self.t[index].kind is Kind.QUOTED or self.word(index) not in NO_ALIAS)
        ):
            return self.t[index].name
        return None

    def ends_value(self, index: int) -> bool:
        token = self.t[index]
        return token.kind in (Kind.NUMBER, Kind.STRING, Kind.PARAMETER, Kind.MARK) or token.text == ")"

    def past_parens(self, index: int) -> int:
        while index < self.n and self.word(index) != "(":
            index += 1
        depth = 0
        while index < self.n:
            depth += {"(": 1, ")": -1}.get(self.word(index), 0)
            index += 1
            if depth == 0:
                break
        return index

    def identifier_clause(self) -> tuple[tuple[str, ...], int]:
        """After `IDENTIFIER(`: the name that its literals and parameters make, and the end offset of its `)`."""
        pieces: list[str] = []
        while self.at < self.n and self.word(self.at) != ")":
            token = self.t[self.at]
            if token.kind is Kind.STRING:
                pieces.append(unquote_string(token.text))
            elif token.kind in (Kind.PARAMETER, Kind.MARK):
                pieces.append(str(self.parameter(token)))
            elif token.text != "||":
                raise SqlError(
                    "NOT_A_CONSTANT_STRING.NOT_CONSTANT",
                    "The expression of IDENTIFIER must be a constant string: literals and parameters joined by ||.",
                    "42601",
                )
            self.at += 1
        if self.at >= self.n:
            raise self.fail("IDENTIFIER( has no end")
        end = self.t[self.at].end
        self.at += 1
        return split_name("".join(pieces)), end

    def parameter(self, token: Token) -> object:
        if token.kind is Kind.PARAMETER and isinstance(self.parameters, Mapping):
            for name, value in self.parameters.items():
                if name.lower() == token.text[1:].lower():
                    return value
        if token.kind is Kind.MARK and self.parameters is not None and not isinstance(self.parameters, Mapping):
            place = sum(1 for other in self.t if other.kind is Kind.MARK and other.start < token.start)
            if place < len(self.parameters):
                return self.parameters[place]
        raise SqlError(
            "UNBOUND_SQL_PARAMETER",
            f"Found the unbound parameter: {token.text.lstrip(':')}. Please, fix `args` and provide it.",
        )

    def any_name(self) -> tuple[str, ...]:
        """A name of a catalog or schema: identifiers, IDENTIFIER(...), or one string."""
        text = self.string()
        if text is not None:
            return (text,)
        if self.word(self.at) == "IDENTIFIER" and self.word(self.at + 1) == "(":
            self.at += 2
            return self.identifier_clause()[0]
        if self.at >= self.n or not self.t[self.at].is_name:
            raise self.fail("a name is expected")
        return self.chain()[0]

    def principal_name(self) -> str:
        text = self.string()
        if text is not None:
            return text
        if self.at >= self.n or not self.t[self.at].is_name:
            raise self.fail("a principal is expected")
        # An unquoted mail address comes in pieces.
        start = self.t[self.at]
        end = start.end
        self.at += 1
        while self.at < self.n and self.t[self.at].start == end:
            end = self.t[self.at].end
            self.at += 1
        return start.name if end == start.end else self.s.text[start.start : end]
