"""Databricks SQL to Spark SQL: finds the names in a statement and replaces them, leaving every other byte as it was.

Spark's own catalog has two levels, Unity Catalog three: table `t` of `c.s` is Spark's `` `c__s`.`t` ``. This is the one
place that knows it. A statement is cut into tokens as Spark's lexer does (comments, strings and quoted names whole), a
walk over the tokens finds where a table, view or function may stand, and `render` replaces these spans alone; whatever
Spark and Delta can run, they still get. Column references are kept, but for those qualified by schema and table.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from emulator.sql.errors import SqlError

# ---------------------------------------------------------------------------------------------------------------- names


def quote(part: str) -> str:
    """An identifier in backticks."""
    return "`" + part.replace("`", "``") + "`"


def quoted(parts: Iterable[str]) -> str:
    """A dotted name, each part in backticks."""
    return ".".join(quote(part) for part in parts)


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_PLAIN = re.compile(r"[a-z0-9_]+")
_CODED = "x__"


def spark_part(name: str) -> str:
    """A Unity name as Hive's metastore can hold it: letters, digits and underscores stay, all else is coded whole."""
    name = name.lower()
    if _PLAIN.fullmatch(name) and not name.startswith(_CODED):
        return name
    return _CODED + name.encode().hex()


def spark_schema(catalog: str, schema: str) -> str:
    """The Spark schema of `catalog.schema`. Two different pairs never share one."""
    c, s = catalog.lower(), schema.lower()
    if _PLAIN.fullmatch(c) and _PLAIN.fullmatch(s) and not c.startswith(_CODED):
        joined = f"{c}__{s}"
        # The first "__" must be the seam, or (a__b, c) and (a, b__c) would meet.
        if joined.find("__") == len(c) and not s.startswith("_"):
            return joined
    return f"{_CODED}{c.encode().hex()}_{s.encode().hex()}"


def split_name(text: str) -> tuple[str, ...]:
    """Parts of a dotted name as written in SQL, backticks undone. Raises PARSE_SYNTAX_ERROR."""
    tokens = tokenize(text)
    parts: list[str] = []
    for index, token in enumerate(tokens):
        if index % 2 == 0 and token.is_name:
            parts.append(token.name)
        elif index % 2 == 0 or token.text != ".":
            raise SqlError("PARSE_SYNTAX_ERROR", f"Syntax error at or near '{token.text}' in the name {text!r}.")
    if len(tokens) % 2 == 0:
        raise SqlError("PARSE_SYNTAX_ERROR", f"Syntax error at or near end of input in the name {text!r}.")
    return tuple(parts)


# --------------------------------------------------------------------------------------------------------------- tokens


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


def split_statements(text: str) -> list[str]:
    """The statements of a script, cut at semicolons outside of strings, comments and BEGIN ... END blocks."""
    pieces: list[str] = []
    start = depth = 0
    previous: Token | None = None
    has_tokens = False
    for token in tokenize(text):
        if (
            token.kind is Kind.WORD
            and token.upper in ("BEGIN", "CASE")
            and (depth or previous is None or token.upper == "BEGIN")
        ):
            if token.upper == "BEGIN" and not (previous is None or previous.text in (";", ":") or depth):
                pass
            else:
                depth += 1
        elif (
            token.kind is Kind.WORD and token.upper == "END" and depth and not (previous and previous.upper in ("END",))
        ):
            depth -= 1
        if token.text == ";" and token.kind is Kind.OPERATOR and depth == 0:
            if has_tokens:
                pieces.append(text[start : token.start])
            start, previous, has_tokens = token.end, None, False
            continue
        has_tokens = True
        previous = token
    if has_tokens:
        pieces.append(text[start:])
    return [piece.strip() for piece in pieces if tokenize(piece)]


# ---------------------------------------------------------------------------------------- statements


class Role(StrEnum):
    """What the statement does with a name."""

    READ = "read"
    WRITE = "write"
    CREATE = "create"
    DROP = "drop"
    ALTER = "alter"
    RENAME_TO = "rename_to"
    DESCRIBE = "describe"
    MAINTAIN = "maintain"
    REFERENCE = "reference"


@dataclass(frozen=True)
class Ref:
    """A table or view named in a statement. text[start:end] is the name (with `@v1` if it has one).

    parts: one to three identifiers. alias: the alias it has in the query, None without one. version: text of the time
    travel it asks for (`VERSION AS OF 1`), however it was written. appended: what must follow the new name (from
    `@v1`).
    """

    parts: tuple[str, ...]
    start: int
    end: int
    role: Role
    alias: str | None = None
    version: str | None = None
    appended: str = ""
    takes_alias: bool = False


@dataclass(frozen=True)
class Chain:
    """A dotted name in an expression: a column, a field or (call) a function. ends: end offset of each part."""

    parts: tuple[str, ...]
    start: int
    ends: tuple[int, ...]
    star: bool = False
    call: bool = False


@dataclass(frozen=True)
class Call:
    """A call of a function that the session answers: `current_catalog()` and its like. argument: of `is_member('x')`.

    item: whether it is a whole item of a SELECT list, whose column is named after the call.
    """

    function: str
    start: int
    end: int
    argument: str | None = None
    item: bool = False


@dataclass
class Statement:
    """A statement taken apart. kind names it (`SELECT`, `CREATE TABLE`, `ALTER VIEW AS`, ...)."""

    text: str
    tokens: list[Token]
    kind: str = ""
    refs: list[Ref] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    aliases: set[str] = field(default_factory=set)
    target: Ref | None = None
    second: Ref | None = None
    flags: set[str] = field(default_factory=set)
    # Offsets in text: where CREATE TABLE takes a LOCATION, where the query of CTAS or a view begins.
    clause_at: int | None = None
    query_at: int | None = None
    location: str | None = None
    provider: str | None = None
    comment: str | None = None
    securable: str | None = None
    principal: str | None = None
    privileges: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    pattern: str | None = None
    value: str | None = None

    @property
    def is_query(self) -> bool:
        """Whether it only reads and its rows may be streamed."""
        return self.kind == "SELECT"


_QUERY_START = {"SELECT", "WITH", "VALUES", "TABLE", "FROM", "MAP", "REDUCE"}
# Words that may stand before "(" without being a function, and end a FROM clause or an alias.
_NOT_A_FUNCTION = {
    "IN", "EXISTS", "AND", "OR", "NOT", "FROM", "JOIN", "ON", "USING", "AS", "SELECT", "WHERE", "THEN", "ELSE",
    "WHEN", "CASE",
    "BY", "VALUES", "UNION", "ALL", "EXCEPT", "INTERSECT", "MINUS", "DISTINCT", "HAVING", "LIMIT", "OVER", "PIVOT",
    "UNPIVOT",
    "LATERAL", "SETS", "ROLLUP", "CUBE", "INTO", "LIKE", "ANY", "SOME", "BETWEEN", "IS", "SET", "TABLESAMPLE",
    "QUALIFY",
    "WITHIN", "FILTER", "FOR", "STREAM", "OVERWRITE", "RETURN", "OFFSET", "RLIKE", "ILIKE", "DIV",
}  # fmt: skip
_CLAUSE = {
    "WHERE", "GROUP", "HAVING", "ORDER", "SORT", "CLUSTER", "DISTRIBUTE", "LIMIT", "OFFSET", "QUALIFY", "WINDOW",
    "UNION",
    "INTERSECT", "EXCEPT", "MINUS", "SELECT", "WHEN", "SET", "INSERT", "RETURN", "DO", "THEN",
}  # fmt: skip
# Words after a relation that cannot be its alias.
_NO_ALIAS = _CLAUSE | {
    "ON", "USING", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "SEMI", "ANTI", "NATURAL", "OUTER",
    "LATERAL", "PIVOT", "UNPIVOT",
    "TABLESAMPLE", "VERSION", "TIMESTAMP", "FOR", "VALUES", "AS", "PARTITION", "BY", "REPLACE", "ZORDER", "FROM",
    "WITH",
    "SYSTEM_VERSION", "SYSTEM_TIME", "AND", "OR", "END", "TBLPROPERTIES", "LOCATION", "COMMENT", "RENAME", "ADD",
    "DROP", "ALTER",
    "CHANGE", "IF", "TO", "UNSET", "COLUMN", "COLUMNS", "EXTENDED", "WATERMARK", "IDENTIFIED", "SHALLOW", "DEEP",
    "CLONE", "LIKE", "IN", "RETAIN", "DRY", "COMPUTE", "OPTIONS", "DEFAULT", "TABLE", "EXCEPT", "IS", "NOT",
    "CONTEXT", "UPDATE",
    "DELETE", "RECOVER", "CREATE", "BEGIN", "RESTORE", "OWNER", "CLUSTERED", "SKEWED", "STORED", "ROW", "APPLY",
}  # fmt: skip
_PATH_FORMATS = {"delta", "parquet", "csv", "json", "text", "orc", "avro", "binaryfile", "iceberg", "xml"}
_SESSION_CALLS = {
    "CURRENT_CATALOG": 0, "CURRENT_DATABASE": 0, "CURRENT_SCHEMA": 0, "CURRENT_USER": 0, "SESSION_USER": 0, "USER": 0,
    "IS_MEMBER": 1, "IS_ACCOUNT_GROUP_MEMBER": 1, "CURRENT_METASTORE": 0,
}  # fmt: skip


def parse(text: str, parameters: Mapping[str, object] | Sequence[object] | None = None) -> Statement:
    """Take one statement apart. parameters: values for `IDENTIFIER(:name)`. Raises SqlError for what cannot be read."""
    tokens = tokenize(text)
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    statement = Statement(text, tokens)
    if not tokens:
        raise SqlError("PARSE_EMPTY_STATEMENT", "Syntax error, unexpected empty statement.", "42617")
    _Walker(statement, parameters).run()
    return statement


class _Walker:
    """Walks the tokens of one statement once, from left to right."""

    def __init__(self, statement: Statement, parameters: Mapping[str, object] | Sequence[object] | None) -> None:
        self.s = statement
        self.t = statement.tokens
        self.n = len(self.t)
        self.parameters = parameters
        self.at = 0
        self.select_list = False

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
            self.s.aliases.add(alias.lower())
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
                    and (here == "AS" or here == "," or here in _NO_ALIAS - {"TIMESTAMP", "AND", "OR", "INTERVAL"})
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
            and (self.t[index].kind is Kind.QUOTED or self.word(index) not in _NO_ALIAS)
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

    # ---- statements

    def run(self) -> None:
        s = self.s
        if self.take("EXPLAIN"):
            self.choose("EXTENDED", "CODEGEN", "COST", "FORMATTED", "LOGICAL")
            s.flags.add("explain")
        first = self.word(self.at)
        handler: Callable[[], None] | None = getattr(self, "on_" + first.lower(), None) if first.isalpha() else None
        if handler is not None:
            self.at += 1
            handler()
        else:
            s.kind = s.kind or ("SELECT" if first in _QUERY_START or first == "(" else first or "SELECT")
        if s.kind == "SELECT" and not s.query_at:
            s.query_at = self.t[0].start
        self.walk(frozenset(), "query")
        while self.at < self.n:
            # An unmatched ")": Spark reports it, the walk goes on.
            self.at += 1
            self.walk(frozenset(), "query")
        if s.kind == "SELECT" and any(ref.role is not Role.READ for ref in s.refs):
            s.kind = "INSERT"
        if "explain" in s.flags:
            s.kind = "EXPLAIN"

    def on_use(self) -> None:
        self.s.kind = "USE"
        if self.choose("CATALOG"):
            self.s.kind = "USE CATALOG"
        elif self.choose("SCHEMA", "DATABASE", "NAMESPACE"):
            self.s.flags.add("schema")
        self.s.name = self.any_name()

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

    def on_set(self) -> None:
        self.s.kind = "SET"
        if self.take("CATALOG"):
            self.s.kind = "USE CATALOG"
            self.s.name = self.any_name()
        elif self.word(self.at) in ("VAR", "VARIABLE"):
            self.s.kind = "SET VAR"
        else:
            self.at = self.n

    def on_reset(self) -> None:
        self.s.kind = "RESET"
        self.at = self.n

    def on_show(self) -> None:
        s = self.s
        what = self.word(self.at)
        if what in ("CATALOGS", "SCHEMAS", "DATABASES", "TABLES", "VIEWS", "FUNCTIONS", "USERS", "GROUPS"):
            self.at += 1
            s.kind = "SHOW " + ("SCHEMAS" if what == "DATABASES" else what)
            if self.choose("IN", "FROM"):
                s.name = self.any_name()
            self.choose("LIKE")
            s.pattern = self.string()
            if s.pattern is None and self.at < self.n and self.t[self.at].is_name and what == "FUNCTIONS":
                self.at = self.n
        elif self.take("TABLE", "EXTENDED"):
            s.kind = "SHOW TABLE EXTENDED"
            if self.choose("IN", "FROM"):
                s.name = self.any_name()
            self.choose("LIKE")
            s.pattern = self.string()
        elif what in ("USER", "SYSTEM", "ALL") and self.word(self.at + 1) == "FUNCTIONS":
            s.kind = "SHOW FUNCTIONS"
            self.at = self.n
        elif what in ("GRANT", "GRANTS"):
            self.at += 1
            s.kind = "SHOW GRANTS"
            if self.word(self.at) != "ON":
                s.principal = self.any_name()[0]
            if self.take("ON"):
                self.securable()
        elif self.take("CREATE", "TABLE"):
            s.kind = "SHOW CREATE TABLE"
            s.target = self.table(Role.DESCRIBE)
        elif what in ("COLUMNS", "TBLPROPERTIES", "PARTITIONS"):
            self.at += 1
            s.kind = "SHOW " + what
            if what == "COLUMNS":
                self.choose("IN", "FROM")
            s.target = self.table(Role.DESCRIBE)
            if what == "COLUMNS" and self.choose("IN", "FROM"):
                s.name = self.any_name()
        else:
            s.kind = "SHOW"
            self.at = self.n

    def securable(self) -> None:
        """`CATALOG c`, `SCHEMA s`, `[TABLE] t`, ... : sets securable and name."""
        kind = self.choose(
            "CATALOG", "SCHEMA", "DATABASE", "TABLE", "VIEW", "METASTORE", "VOLUME", "FUNCTION", "SHARE", "CONNECTION"
        )
        if kind == "" and self.take("MATERIALIZED", "VIEW"):
            kind = "TABLE"
        if kind == "" and self.take("STREAMING", "TABLE"):
            kind = "TABLE"
        if kind == "" and self.take("EXTERNAL", "LOCATION"):
            kind = "EXTERNAL LOCATION"
        self.s.securable = {"": "TABLE", "VIEW": "TABLE", "DATABASE": "SCHEMA"}.get(kind, kind)
        if kind != "METASTORE":
            self.s.name = self.any_name()

    def on_grant(self) -> None:
        self.grant_like("GRANT", "TO")

    def on_revoke(self) -> None:
        self.grant_like("REVOKE", "FROM")

    def grant_like(self, kind: str, word: str) -> None:
        s = self.s
        s.kind = kind
        privileges: list[str] = []
        current: list[str] = []
        while self.at < self.n and self.word(self.at) != "ON":
            if self.word(self.at) == ",":
                privileges.append(" ".join(current))
                current = []
            else:
                current.append(self.word(self.at))
            self.at += 1
        privileges.append(" ".join(current))
        s.privileges = tuple(p for p in privileges if p)
        if not self.take("ON"):
            raise self.fail("ON is expected")
        self.securable()
        if not self.take(word):
            raise self.fail(f"{word} is expected")
        s.principal = self.principal_name()
        if self.at < self.n:
            raise self.fail()

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

    def on_comment(self) -> None:
        if self.take("ON"):
            self.s.kind = "COMMENT ON"
            if self.take("COLUMN"):
                # COMMENT ON COLUMN t.c IS '...' is Databricks' own: answered as ALTER TABLE.
                self.s.securable = "COLUMN"
                self.s.name = self.any_name()
            else:
                self.securable()
            if not self.take("IS"):
                raise self.fail("IS is expected")
            self.s.comment = self.string()
            if self.s.comment is None and not self.take("NULL"):
                raise self.fail("a string is expected")

    def on_create(self) -> None:
        s = self.s
        if self.take("OR", "REPLACE"):
            s.flags.add("replace")
        if self.take("OR", "REFRESH"):
            s.flags.add("refresh")
        if self.choose("GLOBAL"):
            s.flags.add("global")
        if self.choose("TEMP", "TEMPORARY"):
            s.flags.add("temp")
        if self.choose("EXTERNAL"):
            s.flags.add("external")
        if self.choose("MATERIALIZED"):
            s.flags.add("materialized")
        if self.choose("STREAMING", "LIVE"):
            s.flags.add("streaming")
        what = self.choose("TABLE", "VIEW", "SCHEMA", "DATABASE", "CATALOG", "FUNCTION", "VARIABLE")
        self.create_rest(what)

    def on_replace(self) -> None:
        self.s.flags |= {"replace", "must_exist"}
        self.create_rest(self.choose("TABLE", "VIEW"))

    def create_rest(self, what: str) -> None:
        s = self.s
        s.kind = f"CREATE {what}".strip()
        if self.take("IF", "NOT", "EXISTS"):
            s.flags.add("if_not_exists")
        if what in ("SCHEMA", "DATABASE", "CATALOG"):
            s.kind = "CREATE CATALOG" if what == "CATALOG" else "CREATE SCHEMA"
            s.name = self.any_name()
            while self.at < self.n:
                if self.take("COMMENT"):
                    s.comment = self.string()
                else:
                    self.at += 1
        elif what == "TABLE":
            s.target = self.table(Role.CREATE)
            self.table_clauses()
        elif what == "VIEW":
            if "temp" in s.flags:
                self.temp_view()
            else:
                s.target = self.table(Role.CREATE)
            self.view_clauses()
        elif what == "FUNCTION" and "temp" not in s.flags:
            s.name = self.chain()[0] if self.at < self.n and self.t[self.at].is_name else ()
            if s.name:
                start = self.t[self.at - 2 * len(s.name) + 1].start
                s.target = Ref(s.name, start, self.t[self.at - 1].end, Role.CREATE)
        elif what in ("", "VARIABLE"):
            s.kind = "CREATE" if not what else "CREATE VARIABLE"

    def temp_view(self) -> None:
        self.s.flags.add("temp")
        self.s.name = self.chain()[0] if self.at < self.n and self.t[self.at].is_name else ()

    def table_clauses(self) -> None:
        """After the name of CREATE TABLE: where clauses end and the query begins; location, provider, comment."""
        s = self.s
        index, depth = self.at, 0
        if self.word(index) == "LIKE":
            self.at += 1
            s.flags.add("like")
            s.second = self.table(Role.READ)
            index = self.at
        elif self.word(index) in ("SHALLOW", "DEEP") and self.word(index + 1) == "CLONE":
            s.flags |= {"clone", self.word(index).lower()}
            self.at += 2
            s.second = self.table(Role.READ)
            index = self.at
        elif self.word(index) == "CLONE":
            s.flags |= {"clone", "deep"}
            self.at += 1
            s.second = self.table(Role.READ)
            index = self.at
        s.clause_at = self.t[-1].end
        while index < self.n:
            here = self.word(index)
            depth += {"(": 1, ")": -1}.get(here, 0)
            if here == "(" and index == self.at and self.word(index + 1) in ("SELECT", "WITH"):
                s.query_at = s.clause_at = self.t[index].start
                break
            if depth == 0:
                follows = self.t[index + 1] if index + 1 < self.n else None
                if here == "AS" or (here in _QUERY_START - {"TABLE", "MAP", "REDUCE"} and index >= self.at):
                    s.clause_at = self.t[index].start
                    s.query_at = (
                        self.t[index + 1].start if here == "AS" and follows is not None else self.t[index].start
                    )
                    break
                if here == "LOCATION" and follows is not None and follows.kind is Kind.STRING:
                    s.location = unquote_string(follows.text)
                elif here == "USING" and follows is not None and follows.is_name and s.provider is None:
                    s.provider = follows.name.lower()
                elif here == "STORED" and self.word(index + 1) in ("AS", "BY"):
                    s.provider = "hive"
                    index += 1
                elif here == "COMMENT" and follows is not None and follows.kind is Kind.STRING:
                    s.comment = unquote_string(follows.text)
            index += 1

    def view_clauses(self) -> None:
        s = self.s
        index, depth = self.at, 0
        while index < self.n:
            here = self.word(index)
            depth += {"(": 1, ")": -1}.get(here, 0)
            if depth == 0 and here == "AS" and index + 1 < self.n:
                s.query_at = self.t[index + 1].start
                break
            if depth == 0 and here == "COMMENT" and index + 1 < self.n and self.t[index + 1].kind is Kind.STRING:
                s.comment = unquote_string(self.t[index + 1].text)
            if depth == 0 and here == "USING":
                s.flags.add("using")
                break
            index += 1

    def on_drop(self) -> None:
        s = self.s
        if self.choose("TEMPORARY", "TEMP"):
            s.flags.add("temp")
        if self.take("MATERIALIZED", "VIEW"):
            what = "MATERIALIZED VIEW"
        elif self.take("STREAMING", "TABLE"):
            what = "STREAMING TABLE"
        else:
            what = self.choose("TABLE", "VIEW", "SCHEMA", "DATABASE", "CATALOG", "FUNCTION", "VARIABLE")
        s.kind = f"DROP {what}".strip()
        if self.take("IF", "EXISTS"):
            s.flags.add("if_exists")
        if what in ("SCHEMA", "DATABASE", "CATALOG"):
            s.kind = "DROP CATALOG" if what == "CATALOG" else "DROP SCHEMA"
            s.name = self.any_name()
            if self.choose("CASCADE"):
                s.flags.add("cascade")
            self.choose("RESTRICT")
        elif what in ("TABLE", "VIEW", "MATERIALIZED VIEW", "STREAMING TABLE"):
            s.target = self.table(Role.DROP)
            self.choose("PURGE")
        elif what == "FUNCTION" and "temp" not in s.flags:
            start = self.at
            s.name = self.chain()[0]
            s.target = Ref(s.name, self.t[start].start, self.t[self.at - 1].end, Role.DROP)

    def on_alter(self) -> None:
        s = self.s
        if self.take("MATERIALIZED", "VIEW"):
            what = "MATERIALIZED VIEW"
        elif self.take("STREAMING", "TABLE"):
            what = "STREAMING TABLE"
        else:
            what = self.choose("TABLE", "VIEW", "SCHEMA", "DATABASE", "CATALOG")
        if what in ("SCHEMA", "DATABASE", "CATALOG"):
            s.kind = "ALTER CATALOG" if what == "CATALOG" else "ALTER SCHEMA"
            s.name = self.any_name()
            self.owner_clause()
            return
        s.kind = f"ALTER {what}".strip()
        if not what:
            return
        s.target = self.table(Role.ALTER)
        if self.take("RENAME", "TO"):
            s.kind += " RENAME"
            s.second = self.table(Role.RENAME_TO)
        elif what == "VIEW" and self.word(self.at) in ("AS", *_QUERY_START):
            s.kind += " AS"
            self.choose("AS")
            s.query_at = self.t[self.at].start if self.at < self.n else None
        else:
            self.owner_clause()

    def owner_clause(self) -> None:
        mark = self.at
        self.take("SET")
        if self.take("OWNER", "TO"):
            self.s.flags.add("owner")
            self.s.principal = self.principal_name()
        else:
            self.at = mark

    def on_describe(self) -> None:
        s = self.s
        if self.choose("CATALOG"):
            s.kind = "DESCRIBE CATALOG"
            self.choose("EXTENDED")
            s.name = self.any_name()
        elif self.choose("SCHEMA", "DATABASE"):
            s.kind = "DESCRIBE SCHEMA"
            if self.choose("EXTENDED"):
                s.flags.add("extended")
            s.name = self.any_name()
        elif self.choose("FUNCTION"):
            s.kind = "DESCRIBE FUNCTION"
            self.choose("EXTENDED")
            self.at = self.n if self.at < self.n and self.t[self.at].kind is not Kind.WORD else self.at
            self.at = self.n
        elif self.word(self.at) in ("HISTORY", "DETAIL") and self.at + 1 < self.n and self.word(self.at + 1) != ".":
            s.kind = "DESCRIBE " + self.word(self.at)
            self.at += 1
            self.choose("TABLE")
            if self.at < self.n and self.t[self.at].kind is Kind.STRING:
                s.flags.add("path")
            else:
                s.target = self.table(Role.DESCRIBE)
        elif self.word(self.at) == "QUERY" or self.word(self.at) in ("SELECT", "WITH", "VALUES", "FROM"):
            s.kind = "DESCRIBE QUERY"
            self.choose("QUERY")
        else:
            s.kind = "DESCRIBE TABLE"
            if self.choose("TABLE") and self.word(self.at) in ("SELECT", "WITH", "VALUES"):
                s.kind = "DESCRIBE QUERY"
                return
            if (
                self.word(self.at) in ("EXTENDED", "FORMATTED")
                and self.at + 1 < self.n
                and self.word(self.at + 1) != "."
            ):
                self.at += 1
                s.flags.add("extended")
            s.target = self.table(Role.DESCRIBE)
            self.at = self.n if self.word(self.at) != "PARTITION" and "column" in s.flags else self.at

    on_desc = on_describe

    def on_optimize(self) -> None:
        self.maintain("OPTIMIZE")

    def on_vacuum(self) -> None:
        self.maintain("VACUUM")

    def maintain(self, kind: str) -> None:
        self.s.kind = kind
        if self.at < self.n and self.t[self.at].is_name:
            self.s.target = self.table(Role.MAINTAIN)

    def on_reorg(self) -> None:
        self.take("TABLE")
        self.maintain("REORG")

    def on_restore(self) -> None:
        self.choose("TABLE")
        self.s.kind = "RESTORE"
        self.s.target = self.table(Role.WRITE)

    def on_truncate(self) -> None:
        self.choose("TABLE")
        self.s.kind = "TRUNCATE"
        self.s.target = self.table(Role.WRITE)

    def on_refresh(self) -> None:
        self.s.kind = "REFRESH"
        if self.take("MATERIALIZED", "VIEW") or self.take("STREAMING", "TABLE"):
            self.s.kind = "REFRESH PIPELINE TABLE"
        else:
            self.choose("TABLE")
        if self.at < self.n and self.t[self.at].is_name and self.word(self.at) != "FUNCTION":
            self.s.target = self.table(Role.DESCRIBE)

    def on_analyze(self) -> None:
        self.s.kind = "ANALYZE"
        if self.take("TABLE"):
            self.s.target = self.table(Role.MAINTAIN)
        elif self.take("TABLES"):
            if self.choose("IN", "FROM"):
                self.s.name = self.any_name()
            self.at = self.n

    def on_cache(self) -> None:
        self.s.kind = "CACHE"
        self.choose("LAZY")
        if self.take("TABLE"):
            index = self.at
            parts, _, _ = self.chain()
            self.at = index
            if any(self.word(i) in ("AS", "SELECT") for i in range(index, min(index + 4, self.n))) and len(parts) == 1:
                self.s.flags.add("temp")
                self.temp_view()
            else:
                self.s.target = self.table(Role.READ)

    def on_uncache(self) -> None:
        self.s.kind = "UNCACHE"
        if self.take("TABLE"):
            self.take("IF", "EXISTS")
            self.s.target = self.table(Role.DESCRIBE)

    def on_msck(self) -> None:
        self.s.kind = "MSCK"
        self.choose("REPAIR")
        self.choose("TABLE")
        self.s.target = self.table(Role.MAINTAIN)

    def on_update(self) -> None:
        self.s.kind = "UPDATE"
        self.s.target = self.table(Role.WRITE, aliased=True)

    def on_delete(self) -> None:
        self.s.kind = "DELETE"
        if self.take("FROM"):
            self.s.target = self.table(Role.WRITE, aliased=True)

    def on_insert(self) -> None:
        self.s.kind = "INSERT"
        self.insert_target()

    def insert_target(self) -> None:
        self.take("WITH", "SCHEMA", "EVOLUTION")
        if self.choose("INTO", "OVERWRITE"):
            self.choose("LOCAL")
            if self.choose("DIRECTORY"):
                return
            self.choose("TABLE")
            if self.at < self.n and self.t[self.at].is_name:
                ref = self.table(Role.WRITE)
                self.s.target = self.s.target or ref

    def on_merge(self) -> None:
        self.s.kind = "MERGE"
        self.take("WITH", "SCHEMA", "EVOLUTION")
        if self.take("INTO"):
            self.s.target = self.table(Role.WRITE, aliased=True)
            self.s.flags.add("merge")

    def on_copy(self) -> None:
        self.s.kind = "COPY INTO"
        if self.take("INTO"):
            self.s.target = self.table(Role.WRITE)

    def on_begin(self) -> None:
        self.s.kind = "SCRIPT"

    # ---- the walk

    def walk(self, outer: frozenset[str], kind: str, expect: bool = False) -> None:
        """Up to the closing parenthesis of this level (not past it). outer: CTE names seen here.

        kind: `query` (also the top), `func` (arguments), `group` (an expression or list), `relation` (a bracketed
        relation). expect: whether a relation may stand here.
        """
        ctes = set(outer)
        first = self.word(self.at)
        if first in _QUERY_START:
            if not (first == "TABLE" and kind == "func" and self.word(self.at + 1) == "("):
                kind = "query" if first != "TABLE" or kind != "func" else "func"
            if first in ("SELECT", "WITH", "VALUES", "MAP", "REDUCE"):
                expect = False
        elif kind == "relation" and first != "(":
            expect = True
        in_from = expect
        values = False
        begin = self.at
        while self.at < self.n:
            token = self.t[self.at]
            word = token.upper if token.kind in (Kind.WORD, Kind.OPERATOR) else ""
            if word == ")":
                return
            if word == "(":
                before = self.t[self.at - 1] if self.at > 0 else None
                if expect:
                    inner = "relation"
                elif (
                    before is not None
                    and before.is_name
                    and not (before.kind is Kind.WORD and before.upper in _NOT_A_FUNCTION)
                ):
                    inner = "func"
                else:
                    inner = "group"
                self.at += 1
                self.walk(frozenset(ctes), inner)
                self.at += 1
                if expect:
                    alias = self.alias_after(self.at)
                    if alias:
                        self.s.aliases.add(alias.lower())
                expect = False
                continue
            if token.kind is Kind.WORD and not self.after_dot():
                if word == "WITH" and self.cte_list(ctes):
                    continue
                if word == "FROM":
                    expect_from = self.from_is_clause(kind)
                    self.at += 1
                    if expect_from:
                        expect = in_from = True
                    continue
                if word == "JOIN":
                    self.at += 1
                    expect = in_from = True
                    continue
                if word == "INSERT" and self.word(self.at + 1) in ("INTO", "OVERWRITE", "WITH"):
                    self.at += 1
                    self.insert_target()
                    in_from = expect = False
                    continue
                if word == "MERGE" and self.word(self.at + 1) in ("INTO", "WITH") and self.at != begin:
                    self.at += 1
                    self.on_merge_inner()
                    continue
                if word == "UPDATE" and self.statement_start() and self.word(self.at + 1) != "SET":
                    self.at += 1
                    self.table(Role.WRITE, aliased=True)
                    continue
                if word == "DELETE" and self.word(self.at + 1) == "FROM":
                    self.at += 2
                    self.table(Role.WRITE, aliased=True)
                    in_from = False
                    continue
                if word == "USING" and "merge" in self.s.flags:
                    self.s.flags.discard("merge")
                    self.at += 1
                    expect = True
                    continue
                if word == "REFERENCES" and self.at + 1 < self.n and self.t[self.at + 1].is_name:
                    self.at += 1
                    self.table(Role.REFERENCE)
                    continue
                if word == "TABLE" and self.table_query(kind, begin):
                    self.at += 1
                    expect = True
                    continue
                if word == "LATERAL" and self.word(self.at + 1) == "VIEW":
                    in_from = expect = False
                elif word in _CLAUSE:
                    in_from = expect = False
                    values = False
            if word == "|>":
                in_from = expect = False
            if word == "," and in_from and not values:
                self.at += 1
                expect = True
                continue
            if expect and token.is_name:
                if token.kind is Kind.WORD and word in ("LATERAL", "STREAM") and self.relation_follows(word):
                    self.at += 1
                    continue
                if word == "VALUES" and token.kind is Kind.WORD:
                    values, expect = True, False
                    self.at += 1
                    continue
                expect = False
                self.relation(ctes)
                continue
            if token.is_name:
                if values and word != "NULL":
                    values = False
                self.select_list = kind == "query" and not in_from
                self.name_in_expression()
                continue
            self.at += 1

    def on_merge_inner(self) -> None:
        self.take("WITH", "SCHEMA", "EVOLUTION")
        if self.take("INTO"):
            self.table(Role.WRITE, aliased=True)
            self.s.flags.add("merge")

    def after_dot(self) -> bool:
        return self.at > 0 and self.word(self.at - 1) == "."

    def statement_start(self) -> bool:
        return self.at == 0 or self.word(self.at - 1) in (";", "BEGIN", "THEN", "ELSE", "DO", "LOOP", ":")

    def relation_follows(self, word: str) -> bool:
        following = self.t[self.at + 1] if self.at + 1 < self.n else None
        if following is None:
            return False
        return following.text == "(" or (following.is_name and self.word(self.at + 1) not in _NO_ALIAS)

    def from_is_clause(self, kind: str) -> bool:
        """Whether FROM begins a FROM clause: not in TRIM(BOTH FROM x), EXTRACT(DAY FROM x), IS DISTINCT FROM."""
        if kind in ("func", "group"):
            return False
        return not (self.word(self.at - 1) == "DISTINCT" and self.word(self.at - 2) in ("IS", "NOT"))

    def table_query(self, kind: str, begin: int) -> bool:
        """Whether TABLE here is the query `TABLE t` or a table argument `f(TABLE t)`."""
        following = self.t[self.at + 1] if self.at + 1 < self.n else None
        if following is None or not (following.is_name or following.text == "("):
            return False
        if kind == "func":
            return self.word(self.at - 1) in ("(", ",", "=>")
        before = self.word(self.at - 1)
        return following.is_name and (
            self.at == begin
            or before in ("ALL", "UNION", "EXCEPT", "INTERSECT", "MINUS", "AS", ")", "DISTINCT")
            or self.s.kind == "INSERT"
        )

    def cte_list(self, ctes: set[str]) -> bool:
        """At WITH: reads `name [(columns)] AS (query), ...`; False (nothing read) when it is another WITH."""
        mark = self.at
        self.at += 1
        self.choose("RECURSIVE")
        recursive = self.word(self.at - 1) == "RECURSIVE"
        if not self.cte_head():
            self.at = mark
            return False
        while True:
            name = self.t[self.at].name.lower()
            self.at += 1
            if self.word(self.at) == "(":
                self.at = self.past_parens(self.at)
            while self.word(self.at) != "AS":
                self.at += 1
            self.at += 2
            self.walk(frozenset(ctes | {name}) if recursive else frozenset(ctes), "query")
            self.at += 1
            ctes.add(name)
            self.s.aliases.add(name)
            if self.word(self.at) != ",":
                return True
            self.at += 1
            if not self.cte_head():
                return True

    def cte_head(self) -> bool:
        if self.at >= self.n or not self.t[self.at].is_name:
            return False
        index = self.at + 1
        if self.word(index) == "(":
            index = self.past_parens(index)
        if self.word(index) == "MAX" and self.word(index + 1) == "RECURSION":
            index += 4
        return self.word(index) == "AS" and self.word(index + 1) == "("

    def relation(self, ctes: set[str]) -> None:
        """A name where a relation is expected: a table, a CTE, a path, or a function in FROM."""
        mark = self.at
        if self.word(mark) == "IDENTIFIER" and self.word(mark + 1) == "(":
            self.table(Role.READ, aliased=True)
            return
        parts, start, ends = self.chain()
        if self.word(self.at) == "(":
            if len(parts) > 1:
                self.s.chains.append(Chain(parts, start, ends, call=True))
            return
        if len(parts) == 1 and parts[0].lower() in ctes:
            alias = self.alias_after(self.at)
            if alias:
                self.s.aliases.add(alias.lower())
            return
        if (
            len(parts) == 2
            and parts[0].lower() in _PATH_FORMATS
            and self.t[self.at - 1].kind is Kind.QUOTED
            and "/" in parts[1]
        ):
            self.s.flags.add("path")
            return
        self.at = mark
        self.table(Role.READ, aliased=True)

    def name_in_expression(self) -> None:
        """Reads a dotted name outside of FROM; kept if a table may qualify it or if it calls what the session knows."""
        mark = self.at
        token = self.t[mark]
        if token.kind is Kind.WORD and self.word(mark + 1) != "." and not self.after_dot():
            self.at += 1
            arguments = _SESSION_CALLS.get(token.upper)
            if arguments is None:
                return
            if self.word(self.at) == "(":
                if arguments == 0 and self.word(self.at + 1) == ")":
                    self.at += 2
                    self.call(mark)
                elif (
                    arguments == 1
                    and self.at + 2 < self.n
                    and self.t[self.at + 1].kind is Kind.STRING
                    and self.word(self.at + 2) == ")"
                ):
                    argument = unquote_string(self.t[self.at + 1].text)
                    self.at += 3
                    self.call(mark, argument)
            elif token.upper in ("CURRENT_USER", "SESSION_USER") and self.word(mark - 1) not in ("AS", "."):
                self.call(mark)
            return
        if self.after_dot():
            self.at += 1
            return
        parts, start, ends = self.chain()
        star = self.word(self.at) == "." and self.word(self.at + 1) == "*"
        call = self.word(self.at) == "("
        if len(parts) > 2 or (len(parts) == 2 and (star or call)):
            self.s.chains.append(Chain(parts, start, ends, star, call))

    def call(self, mark: int, argument: str | None = None) -> None:
        """Keeps the call that began at token `mark` and has just been read."""
        before, after = self.word(mark - 1), self.word(self.at)
        item = (
            self.select_list
            and before in ("SELECT", ",", "DISTINCT")
            and (after in (",", "FROM", ")", "") or after in _CLAUSE)
        )
        if item and after == "" and self.at < self.n:
            item = False
        self.s.calls.append(Call(self.t[mark].upper, self.t[mark].start, self.t[self.at - 1].end, argument, item))


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "0": "\0", "Z": "\x1a"}


def unquote_string(text: str) -> str:
    """The value of a string literal token."""
    if text[0] in "rR":
        return text[2:-1]
    if text[0] == "$":
        cut = text.index("$", 1) + 1
        return text[cut:-cut]
    mark, body = text[0], text[1:-1].replace(text[0] * 2, text[0])
    del mark
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


# ----------------------------------------------------------------------------------------- rendering


@dataclass(frozen=True)
class Place:
    """What a name becomes: Spark's name, what qualifies its columns, and the alias to add where it has none."""

    text: str
    qualifier: str | None = None
    full_name: tuple[str, str, str] | None = None
    alias: str | None = None


def render(
    statement: Statement,
    places: Mapping[int, Place],
    calls: Mapping[int, str] | None = None,
    functions: Callable[[tuple[str, ...]], str | None] | None = None,
    insertions: Iterable[tuple[int, int, str]] = (),
    start: int = 0,
    end: int | None = None,
) -> str:
    """The statement's text with its names replaced; every other byte is kept.

    places: by a ref's start offset, what to put there (a missing one is left as it is). calls: by a call's start
    offset.
    functions: Spark's name of a dotted function, None to leave it. insertions: more edits (start, end, text). start,
    end: only this part of the text.
    """
    edits: list[tuple[int, int, str]] = list(insertions)
    tables: list[tuple[Ref, Place]] = []
    for ref in statement.refs:
        place = places.get(ref.start)
        if place is None:
            if ref.appended:
                edits.append((ref.end - _point_length(statement.text, ref), ref.end, ref.appended))
            continue
        added = f" AS {quote(place.alias)}" if place.alias is not None and ref.takes_alias else ""
        if added and ref.version is not None and not ref.appended:
            added = ""
        edits.append((ref.start, ref.end, place.text + ref.appended + added))
        tables.append((ref, place))
    for chain in statement.chains:
        edit = _qualified(chain, tables, statement.aliases, functions)
        if edit is not None:
            edits.append(edit)
    for call in statement.calls:
        if calls is not None and call.start in calls:
            named = f" AS {quote(statement.text[call.start : call.end])}" if call.item else ""
            edits.append((call.start, call.end, calls[call.start] + named))
    edits.sort(key=lambda edit: (edit[0], edit[1]))
    stop = len(statement.text) if end is None else end
    pieces: list[str] = []
    at = start
    for begin, finish, text in edits:
        if begin < at or finish > stop:
            continue
        pieces += [statement.text[at:begin], text]
        at = finish
    pieces.append(statement.text[at:stop])
    return "".join(pieces)


def _point_length(text: str, ref: Ref) -> int:
    """Length of the `@v1` at the end of a ref."""
    return ref.end - text.rindex("@", ref.start, ref.end)


def _qualified(
    chain: Chain,
    tables: Sequence[tuple[Ref, Place]],
    aliases: set[str],
    functions: Callable[[tuple[str, ...]], str | None] | None,
) -> tuple[int, int, str] | None:
    """The edit for a dotted name in an expression: qualified by schema and table, or a function; None if neither."""
    lower = tuple(part.lower() for part in chain.parts)
    if chain.call:
        text = functions(chain.parts) if functions is not None else None
        if text is not None:
            return chain.start, chain.ends[-1], text
        # `schema.table.column.method(` does not exist; a struct's field cannot be called.
        return None
    for depth in (3, 2):
        if len(lower) < depth + (0 if chain.star else 1):
            continue
        if depth == 2 and lower[0] in aliases:
            continue
        for ref, place in tables:
            if ref.alias is not None or place.full_name is None:
                continue
            if lower[:depth] == tuple(part.lower() for part in place.full_name[3 - depth :]):
                qualifier = place.qualifier if place.qualifier is not None else place.text
                return chain.start, chain.ends[depth - 1], qualifier
    return None


# ------------------------------------------------------------------------------------------------------- the way back


class NameBook:
    """Turns Spark's names in messages and results back into three-level ones, for the schemas it knows."""

    def __init__(self, schemas: Mapping[str, tuple[str, str]], tables: Mapping[str, str] | None = None) -> None:
        """schemas: Spark schema to (catalog, schema). tables: coded Spark table names to Unity names."""
        self._schemas = dict(schemas)
        self._tables = dict(tables or {})
        names = sorted((re.escape(name) for name in [*self._schemas, *self._tables]), key=len, reverse=True)
        self._pattern = (
            re.compile(r"(?:`?spark_catalog`?\.)?(`?)(?<![\w])(" + "|".join(names) + r")(?![\w])\1", re.I)
            if names
            else None
        )

    def unity(self, spark_schema_name: str) -> tuple[str, str] | None:
        return self._schemas.get(spark_schema_name.lower())

    def translate(self, text: str) -> str:
        """`text` with every known Spark name as Unity's."""

        def one(match: re.Match[str]) -> str:
            mark, name = match[1], match[2].lower()
            if name in self._schemas:
                catalog, schema = self._schemas[name]
                return f"{mark}{catalog}{mark}.{mark}{schema}{mark}"
            return f"{mark}{self._tables[name]}{mark}"

        if self._pattern is not None:
            text = self._pattern.sub(one, text)
        return re.sub(r"`?spark_catalog`?\.(?=`?\w)", "", text)


def line_of(text: str, offset: int) -> tuple[int, int]:
    """Line (from 1) and position (from 0) of an offset, as Spark's messages count them."""
    breaks = [index for index, char in enumerate(text) if char == "\n"]
    line = bisect_right(breaks, offset - 1) + 1
    begin = breaks[line - 2] + 1 if line > 1 else 0
    return line, offset - begin
