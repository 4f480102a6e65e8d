"""A script, `BEGIN ... END`: which statements it holds. Only those whose every name the walk finds may stand in it."""

from __future__ import annotations

from emulator.dialect.query import QueryWalker
from emulator.sql.errors import SqlError

_STATEMENTS = {"SELECT", "WITH", "VALUES", "INSERT", "UPDATE", "DELETE", "MERGE", "SET", "DECLARE"}
# Words that a statement follows at once.
_OPENERS = {"BEGIN", "LOOP", "REPEAT", "ELSE"}
# What begins with a condition or query, and the word that ends it.
_HEADS = {
    "IF": "THEN",
    "ELSEIF": "THEN",
    "CASE": "THEN",
    "WHEN": "THEN",
    "WHILE": "DO",
    "FOR": "DO",
    "UNTIL": "END",
}
_BLOCKS = ("IF", "CASE", "WHILE", "FOR", "LOOP", "REPEAT")


class ScriptWalker(QueryWalker):
    """Reads scripts. In doubt where a statement begins, the script is refused: none may be taken for an expression."""

    def script(self) -> None:
        """From the script's first BEGIN to its end."""
        while self.at < self.n:
            word = self.word(self.at)
            if self.at < self.n and self.t[self.at].is_name and self.word(self.at + 1) == ":":
                self.at += 2
            elif word in _OPENERS:
                self.at += 1
            elif word == "END":
                self.at += 1
                self.choose(*_BLOCKS)
                self.end_of_statement(names=1)
            elif word in ("LEAVE", "ITERATE"):
                self.at += 1
                self.end_of_statement(names=1)
            elif word in _HEADS:
                self.head(_HEADS[word])
            elif word in _STATEMENTS:
                self.statement()
            else:
                near = self.t[self.at].text
                raise SqlError(
                    "NOT_IMPLEMENTED",
                    f"{near} is not supported inside of BEGIN ... END here: queries, INSERT, UPDATE, DELETE, MERGE, "
                    "SET, DECLARE and control flow are. Run it as a statement of its own.",
                )

    def end_of_statement(self, names: int) -> None:
        """Steps over up to this many names and the `;` after them, which may lack at the very end."""
        while names and self.at < self.n and self.t[self.at].is_name:
            self.at += 1
            names -= 1
        if self.at < self.n and not self.take(";"):
            raise self.fail()

    def statement(self) -> None:
        """A statement without others inside, up to its `;`."""
        # DO would end the head of a loop that was cut too early; a handler holds a statement of its own.
        end = self.find(";", {"DO", "HANDLER"} if self.word(self.at) == "DECLARE" else {"DO"})
        self.piece(end)
        self.at = end + 1

    def head(self, last: str) -> None:
        """The condition of IF, CASE, WHILE or UNTIL, the query of FOR."""
        # A CASE expression has the same words as the statement: which is meant is clear in parentheses alone.
        refused = {";"} if last == "DO" else {";", "CASE", "END"} - {last}
        self.at += 1
        end = self.find(last, refused)
        self.piece(end)
        self.at = end if last == "END" else end + 1

    def find(self, word: str, refused: set[str]) -> int:
        """Index of the next such word outside of parentheses. Raises where one that may not stand before it does."""
        depth = 0
        for index in range(self.at, self.n):
            here = self.word(index)
            depth += {"(": 1, ")": -1}.get(here, 0)
            if here == ";" and word != ";":
                break
            if depth == 0 and here == word:
                return index
            if depth == 0 and here in refused:
                raise SqlError(
                    "NOT_IMPLEMENTED",
                    f"{here} is not supported at this place of BEGIN ... END here; an expression with it can stand in "
                    "parentheses.",
                )
        raise self.fail(f"{word} is expected")

    def piece(self, end: int) -> None:
        """Walks what lies before the token at `end`, which knows no CTE of another statement."""
        whole, self.n = self.n, end
        self.walk(frozenset(), "query")
        if self.at < end:
            raise self.fail()
        self.n = whole
