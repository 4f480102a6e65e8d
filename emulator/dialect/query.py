"""The walk over queries and expressions: where a table, view or function may stand, and which columns are qualified."""

from __future__ import annotations

from emulator.dialect.cursor import Cursor
from emulator.dialect.keywords import CLAUSE, NO_ALIAS, NOT_A_FUNCTION, QUERY_START
from emulator.dialect.names import is_path
from emulator.dialect.statement import Call, Chain, Role
from emulator.dialect.tokens import Kind, unquote_string
from emulator.shared.names import folded
from emulator.sql.errors import not_here

# Delta's functions that find a table by a string.
_NAMING_FUNCTIONS = {"table_changes", "table_changes_by_path"}
_SESSION_CALLS = {
    "CURRENT_CATALOG": 0, "CURRENT_DATABASE": 0, "CURRENT_SCHEMA": 0, "CURRENT_USER": 0, "SESSION_USER": 0, "USER": 0,
    "IS_MEMBER": 1, "IS_ACCOUNT_GROUP_MEMBER": 1, "CURRENT_METASTORE": 0,
}  # fmt: skip


class QueryWalker(Cursor):
    """Reads queries, and the INSERT, MERGE, UPDATE and DELETE that may follow a WITH or stand in a script."""

    select_list = False

    def walk(self, outer: frozenset[str], kind: str) -> None:
        """Up to the closing parenthesis of this level (not past it). outer: CTE names seen here.

        kind: `query` (also the top), `func` (arguments), `group` (an expression or list), `relation` (a bracketed
        relation).
        """
        ctes = set(outer)
        first = self.word(self.at)
        # Whether a relation may stand here, and whether a comma leads to one.
        expect = kind == "relation" and first not in QUERY_START and first != "("
        in_from = expect
        if first in QUERY_START and not (first == "TABLE" and kind == "func"):
            kind = "query"
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
                    and not (before.kind is Kind.WORD and before.upper in NOT_A_FUNCTION)
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
                        self.s.aliases.add(folded(alias))
                expect = False
                continue
            if token.kind is Kind.WORD and not self.after_dot():
                if word == "WITH" and self.cte_list(ctes):
                    continue
                if word == "SELECT":
                    # `((SELECT 1) UNION SELECT ...)` does not begin as a query, and is one.
                    kind = "query"
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
                if word == "MERGE" and self.word(self.at + 1) in ("INTO", "WITH"):
                    self.at += 1
                    self.merge_target()
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
                elif word in CLAUSE:
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

    def after_dot(self) -> bool:
        return self.at > 0 and self.word(self.at - 1) == "."

    def statement_start(self) -> bool:
        return self.at == 0 or self.word(self.at - 1) in (";", "BEGIN", "THEN", "ELSE", "DO", "LOOP", "REPEAT", ":")

    def relation_follows(self, word: str) -> bool:
        following = self.t[self.at + 1] if self.at + 1 < self.n else None
        if following is None:
            return False
        return following.text == "(" or (following.is_name and self.word(self.at + 1) not in NO_ALIAS)

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
        recursive = bool(self.choose("RECURSIVE"))
        if not self.cte_head():
            self.at = mark
            return False
        while True:
            name = folded(self.t[self.at].name)
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
            if parts[-1].lower() in _NAMING_FUNCTIONS:
                raise not_here(f"{parts[-1]}, which takes a name as text,")
            if len(parts) > 1:
                self.s.chains.append(Chain(parts, start, ends, call=True))
            return
        if len(parts) == 1 and folded(parts[0]) in ctes:
            alias = self.alias_after(self.at)
            if alias:
                self.s.aliases.add(folded(alias))
            return
        if is_path(parts):
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
            if (
                token.upper == "IDENTIFIER"
                and self.word(self.at) == "("
                and self.word(self.past_parens(self.at)) == "("
            ):
                raise not_here("A call of IDENTIFIER(...)(...)")
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
            and (after in (",", "FROM", ")", "") or after in CLAUSE)
        )
        if item and after == "" and self.at < self.n:
            item = False
        self.s.calls.append(Call(self.t[mark].upper, self.t[mark].start, self.t[self.at - 1].end, argument, item))

    def insert_target(self) -> None:
        self.take("WITH", "SCHEMA", "EVOLUTION")
        if self.choose("INTO", "OVERWRITE"):
            self.choose("LOCAL")
            if self.choose("DIRECTORY"):
                self.s.flags.add("path")
                return
            self.choose("TABLE")
            if self.at < self.n and self.t[self.at].is_name:
                ref = self.table(Role.WRITE)
                self.s.target = self.s.target or ref

    def merge_target(self) -> None:
        self.take("WITH", "SCHEMA", "EVOLUTION")
        if self.take("INTO"):
            self.table(Role.WRITE, aliased=True)
            self.s.flags.add("merge")
