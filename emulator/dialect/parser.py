"""Takes a statement apart: what each kind of command names, and where its query begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from emulator.dialect.elsewhere import named_elsewhere
from emulator.dialect.keywords import QUERY_START
from emulator.dialect.script import ScriptWalker
from emulator.dialect.statement import Ref, Role, Statement
from emulator.dialect.tokens import Kind, tokenize, unquote_string
from emulator.sql.errors import SqlError, not_here


def parse(
    text: str, parameters: Mapping[str, object] | Sequence[object] | None = None, *, pipeline: bool = False
) -> Statement:
    """Take one statement apart. parameters: values for `IDENTIFIER(:name)`. pipeline: it defines a pipeline's dataset.

    Raises SqlError for what cannot be read, NOT_IMPLEMENTED for what only the service executes.
    """
    tokens = tokenize(text)
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    statement = Statement(text, tokens)
    if not tokens:
        raise SqlError("PARSE_EMPTY_STATEMENT", "Syntax error, unexpected empty statement.", "42617")
    elsewhere = None if pipeline else named_elsewhere(tokens)
    if elsewhere is not None:
        raise not_here(elsewhere)
    _Parser(statement, parameters).run()
    return statement


_CONTAINER_CLAUSES = (
    ("MANAGED", "LOCATION"),
    ("LOCATION",),
    ("WITH", "DBPROPERTIES"),
    ("OPTIONS",),
    ("DEFAULT", "COLLATION"),
    ("USING", "SHARE"),
)


class _Parser(ScriptWalker):
    """`run` goes by the statement's first word; a method `on_...` reads what stands before any query in it."""

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
        elif first in QUERY_START or first == "(":
            s.kind = "SELECT"
        else:
            # Spark may know more: whose names are not found here would reach it as they are.
            raise self.fail("no statement begins so")
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
        self.end()

    def on_set(self) -> None:
        self.s.kind = "SET"
        if self.take("CATALOG"):
            self.s.kind = "USE CATALOG"
            self.s.name = self.any_name()
            self.end()
        elif self.word(self.at) in ("VAR", "VARIABLE"):
            self.s.kind = "SET VAR"
        elif self.take("TAG", "ON"):
            self.tag_on("SET TAGS")
        else:
            self.at = self.n

    def on_unset(self) -> None:
        if not self.take("TAG", "ON"):
            raise self.unknown("UNSET")
        self.tag_on("UNSET TAGS")

    def tag_on(self, kind: str) -> None:
        """After `SET TAG ON` or `UNSET TAG ON`: what has the tag, its key, and in SET its value."""
        s = self.s
        s.kind = kind
        what = self.choose("CATALOG", "SCHEMA", "DATABASE", "TABLE", "VIEW", "COLUMN")
        if not what and (self.take("MATERIALIZED", "VIEW") or self.take("STREAMING", "TABLE")):
            what = "TABLE"
        if not what:
            raise not_here(f"{kind[:-1]} ON {self.word(self.at)}")
        s.securable = {"DATABASE": "SCHEMA", "VIEW": "TABLE", "COLUMN": "TABLE"}.get(what, what)
        if what == "COLUMN":
            start = self.at
            parts, _, ends = self.chain() if self.at < self.n and self.t[self.at].is_name else ((), 0, ())
            if len(parts) < 2:
                raise self.fail("a table's name and a column are expected")
            s.column = parts[-1]
            s.target = Ref(parts[:-1], self.t[start].start, ends[-2], Role.ALTER)
            s.refs.append(s.target)
        elif s.securable == "TABLE":
            s.target = self.table(Role.ALTER)
        else:
            s.name = self.any_name()
        s.tags = (self.tag(),)
        self.end()

    def tag(self) -> tuple[str, str]:
        """`key` or `key = value`: strings or names."""
        words = []
        while True:
            text = self.string()
            if text is None:
                if self.at >= self.n or not self.t[self.at].is_name:
                    raise self.fail("a tag is expected")
                text = self.t[self.at].name
                self.at += 1
            words.append(text)
            if self.s.kind == "UNSET TAGS" or len(words) == 2 or not self.take("="):
                return words[0], words[1] if len(words) == 2 else ""

    def tags_clause(self) -> bool:
        """Whether `[ALTER [COLUMN] c] SET TAGS (...)` or `UNSET TAGS (...)` follows; it is read to its end."""
        s = self.s
        mark = self.at
        column = None
        if self.choose("ALTER", "CHANGE"):
            self.choose("COLUMN")
            if self.at >= self.n or not self.t[self.at].is_name:
                self.at = mark
                return False
            column = self.t[self.at].name
            self.at += 1
        verb = self.choose("SET", "UNSET")
        if not verb or not self.take("TAGS", "("):
            self.at = mark
            return False
        s.flags.add("alter " + s.kind.removeprefix("ALTER "))
        s.kind, s.column = f"{verb} TAGS", column
        s.securable = next((k for k in ("CATALOG", "SCHEMA") if f"alter {k}" in s.flags), "TABLE")
        tags = [self.tag()]
        while self.take(","):
            tags.append(self.tag())
        if not self.take(")"):
            raise self.fail(") is expected")
        s.tags = tuple(tags)
        self.end()
        return True

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
            self.end()
        elif self.take("TABLE", "EXTENDED"):
            s.kind = "SHOW TABLE EXTENDED"
            if self.choose("IN", "FROM"):
                s.name = self.any_name()
            self.choose("LIKE")
            s.pattern = self.string()
            self.end()
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
            self.end()
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
            raise self.unknown("SHOW")

    def end(self) -> None:
        """Nothing may follow: of what the catalog answers, the text goes to no one who would object to the rest."""
        if self.at < self.n:
            raise self.fail()

    def unknown(self, verb: str) -> SqlError:
        """For a verb that is known, of something that is not."""
        return self.fail(f"{verb} of this is not known")

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
        self.end()

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
            self.end()

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
        self.choose("EXTERNAL")
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
            self.container_clauses()
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
        elif what == "FUNCTION":
            return
        elif self.take("FLOW"):
            s.kind = "CREATE FLOW"
        else:
            raise self.unknown("CREATE")

    def container_clauses(self) -> None:
        """After the name of CREATE SCHEMA or CREATE CATALOG. What the local workspace cannot keep is refused."""
        while self.at < self.n:
            if self.take("COMMENT"):
                self.s.comment = self.string()
                if self.s.comment is None:
                    raise self.fail("a string is expected")
                continue
            for clause in _CONTAINER_CLAUSES:
                if self.take(*clause):
                    raise not_here(f"{self.s.kind} ... {' '.join(clause)}")
            raise self.fail()

    def temp_view(self) -> None:
        self.s.flags.add("temp")
        self.s.name = self.chain()[0] if self.at < self.n and self.t[self.at].is_name else ()

    def table_clauses(self) -> None:
        """After the name of CREATE TABLE: where clauses end and the query begins; location, provider, comment."""
        s = self.s
        if self.take("LIKE") or self.take("SHALLOW", "CLONE"):
            s.second = self.table(Role.READ)
        index, depth = self.at, 0
        s.clause_at = self.t[-1].end
        while index < self.n:
            here = self.word(index)
            depth += {"(": 1, ")": -1}.get(here, 0)
            if here == "(" and index == self.at and self.word(index + 1) in ("SELECT", "WITH"):
                s.query_at = s.clause_at = self.t[index].start
                break
            if depth == 0:
                follows = self.t[index + 1] if index + 1 < self.n else None
                if here == "AS" or (here in QUERY_START - {"TABLE", "MAP", "REDUCE"} and index >= self.at):
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
                self.no_text(index + 1)
                s.query_at = self.t[index + 1].start
                break
            if depth == 0 and here == "COMMENT" and index + 1 < self.n and self.t[index + 1].kind is Kind.STRING:
                s.comment = unquote_string(self.t[index + 1].text)
            if depth == 0 and here == "USING":
                # A source of its own, with whatever path its options name.
                s.flags.add("path")
                break
            index += 1

    def no_text(self, index: int) -> None:
        """A metric view: what it reads is in a string, where no name is found."""
        if self.t[index].kind is Kind.STRING:
            raise not_here("A metric view")

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
            self.end()
        elif what in ("TABLE", "VIEW", "MATERIALIZED VIEW", "STREAMING TABLE"):
            s.target = self.table(Role.DROP)
            self.choose("PURGE")
            self.end()
        elif what == "FUNCTION" and "temp" not in s.flags:
            if self.at >= self.n or not self.t[self.at].is_name:
                raise self.fail("a name is expected")
            start = self.at
            s.name = self.chain()[0]
            s.target = Ref(s.name, self.t[start].start, self.t[self.at - 1].end, Role.DROP)
        elif not what:
            raise self.unknown("DROP")

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
            if not self.tags_clause():
                self.owner_clause()
            return
        s.kind = f"ALTER {what}".strip()
        if not what:
            raise self.unknown("ALTER")
        s.target = self.table(Role.ALTER)
        if self.tags_clause():
            return
        if self.take("RENAME", "TO"):
            s.kind += " RENAME"
            s.second = self.table(Role.RENAME_TO)
            self.end()
        elif what == "VIEW" and self.word(self.at) in ("AS", *QUERY_START) and self.word(self.at + 1) != "SCHEMA":
            s.kind += " AS"
            self.choose("AS")
            if self.at < self.n:
                self.no_text(self.at)
            s.query_at = self.t[self.at].start if self.at < self.n else None
        else:
            self.owner_clause()
            if any(self.word(index) == "LOCATION" for index in range(self.at, self.n)):
                s.flags.add("path")

    def owner_clause(self) -> None:
        mark = self.at
        self.take("SET")
        if self.take("OWNER", "TO"):
            self.s.flags.add("owner")
            self.s.principal = self.principal_name()
            self.end()
        else:
            self.at = mark

    def on_describe(self) -> None:
        s = self.s
        if self.choose("CATALOG"):
            s.kind = "DESCRIBE CATALOG"
            self.choose("EXTENDED")
            s.name = self.any_name()
            self.end()
        elif self.choose("SCHEMA", "DATABASE"):
            s.kind = "DESCRIBE SCHEMA"
            if self.choose("EXTENDED"):
                s.flags.add("extended")
            s.name = self.any_name()
            self.end()
        elif self.choose("FUNCTION"):
            s.kind = "DESCRIBE FUNCTION"
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
            if self.take("AS", "JSON"):
                s.flags.add("json")

    on_desc = on_describe

    def on_optimize(self) -> None:
        self.maintain("OPTIMIZE")

    def on_vacuum(self) -> None:
        self.maintain("VACUUM")

    def maintain(self, kind: str) -> None:
        self.s.kind = kind
        if self.at < self.n and self.t[self.at].kind is Kind.STRING:
            self.s.flags.add("path")
        else:
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
        self.choose("TABLE")
        if self.at < self.n and self.t[self.at].kind is Kind.STRING:
            self.s.flags.add("path")
        else:
            self.s.target = self.table(Role.DESCRIBE)

    def on_analyze(self) -> None:
        self.s.kind = "ANALYZE"
        if self.take("TABLE"):
            self.s.target = self.table(Role.MAINTAIN)
        else:
            raise self.unknown("ANALYZE")

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

    def on_clear(self) -> None:
        if not self.take("CACHE"):
            raise self.unknown("CLEAR")
        self.s.kind = "CLEAR CACHE"

    def on_msck(self) -> None:
        if not self.take("REPAIR"):
            raise self.fail("REPAIR is expected")
        self.on_repair()

    def on_repair(self) -> None:
        self.s.kind = "MSCK"
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

    def on_declare(self) -> None:
        self.s.kind = "DECLARE"

    def on_execute(self) -> None:
        self.s.kind = "EXECUTE"
        self.at = self.n

    def on_begin(self) -> None:
        self.s.kind = "SCRIPT"
        self.script()
