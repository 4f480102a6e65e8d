"""Statements and clauses of Databricks SQL that the local workspace does not execute, each known by its name.

Spark's grammar has most of them not at all: without this list they would be answered with a syntax error, as if the
statement were wrong. The list follows the service's SQL language reference (DDL, DML, Delta, auxiliary, security).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from emulator.dialect.keywords import QUERY_START
from emulator.dialect.tokens import Kind, Token

_NAME = r"(?:IDENTIFIER \(\)|\S+)"

_OBJECTS = (
    r"(?:BLOOMFILTER INDEX|CLEAN ROOM|(?:STORAGE |SERVICE )?CREDENTIAL|CONNECTION|(?:EXTERNAL )?LOCATION|"
    r"EXTERNAL METADATA|FLOW|FOREIGN CATALOG|GROUP|INDEX|POLICY|PROCEDURE|PROVIDER|RECIPIENT|SERVER|SHARE|"
    r"(?:EXTERNAL )?VOLUME)"
)

_PIPELINE_DATASET = (
    r"(?:PRIVATE |TEMPORARY |TEMP )?"
    r"(?:MATERIALIZED VIEW|STREAMING (?:LIVE )?TABLE|(?:LIVE|INCREMENTAL LIVE|STREAMING LIVE) (?:TABLE|VIEW))"
)

_STATEMENTS = (
    # What begins with words of its own.
    r"ADD (?:ARCHIVES?|FILES?|JARS?)",
    r"(?:ANALYZE) TABLES",
    r"APPLY CHANGES INTO",
    r"AUTO CDC INTO",
    r"BEGIN (?:ATOMIC|TRANSACTION)",
    r"CACHE SELECT",
    r"CALL",
    r"COMMIT",
    r"CONVERT TO DELTA",
    r"COPY INTO",
    r"DENY",
    r"EXECUTE IMMEDIATE",
    r"FSCK REPAIR TABLE",
    r"GENERATE",
    r"GET",
    r"LIST",
    r"LOAD DATA",
    r"PUT",
    r"REFRESH (?:CACHE|FOREIGN (?:CATALOG|SCHEMA|TABLE)|FUNCTION|POLICY)",
    r"REFRESH (?:MATERIALIZED VIEW|STREAMING TABLE)",
    r"REMOVE",
    r"MSCK REPAIR \S+ (?:\S+ )?PRIVILEGES",
    r"ROLLBACK",
    r"SET RECIPIENT",
    r"START TRANSACTION",
    r"SYNC (?:SCHEMA|TABLE)",
    r"UNDROP",
    # Objects that the catalog here does not keep.
    rf"(?:CREATE (?:OR REPLACE )?|ALTER |DROP ){_OBJECTS}(?! ?\.)",
    r"ALTER FUNCTION",
    rf"(?:DESCRIBE|DESC) {_OBJECTS}(?= \S)",
    r"COMMENT ON (?:CONNECTION|FUNCTION|PROVIDER|RECIPIENT|SHARE|VOLUME)(?= \S+ IS)",
    r"SHOW (?:ALL IN SHARE|CONNECTIONS|(?:STORAGE |SERVICE )?CREDENTIALS|(?:EXTERNAL )?LOCATIONS|FLOWS|"
    r"(?:EFFECTIVE )?POLICIES|PROCEDURES|PROVIDERS|RECIPIENTS|SHARES|VOLUMES)",
    r"SHOW (?:CATALOGS|SCHEMAS|DATABASES|TABLES|VIEWS) DROPPED",
    r"SHOW GRANTS? (?:TO RECIPIENT|ON (?:SHARE|VOLUME|FUNCTION|CONNECTION|(?:EXTERNAL )?LOCATION)(?= \S))",
    r"(?:GRANT|REVOKE) .*? ON (?:SHARE|VOLUME|FUNCTION|CONNECTION|(?:EXTERNAL )?LOCATION)(?= \S+ (?:TO|FROM))",
    # A dataset with a pipeline of its own behind it, which SQL alone does not have here.
    rf"CREATE (?:OR REFRESH |OR REPLACE )?{_PIPELINE_DATASET}",
    r"CREATE OR REFRESH",
    r"CREATE (?:OR REPLACE )?(?:TEMPORARY|TEMP) TABLE",
    r"CREATE (?:OR REPLACE )?METRIC VIEW",
)
"""Beginnings of statements. The words matched are the statement's name in the refusal."""

_CLAUSES = (
    (r"ALTER CATALOG", r"(?:SET MANAGED LOCATION|OPTIONS|DEFAULT COLLATION|\w+ PREDICTIVE OPTIMIZATION)"),
    (r"ALTER (?:SCHEMA|DATABASE)", r"(?:SET DBPROPERTIES|SET MANAGED LOCATION|DEFAULT COLLATION)"),
    (r"ALTER (?:SCHEMA|DATABASE)", r"(?:ENABLE|DISABLE|INHERIT) PREDICTIVE OPTIMIZATION"),
    (r"ALTER \w+(?: \w+)?", r"(?:SET|DROP) ROW FILTER"),
    (r"ALTER \w+(?: \w+)?", rf"(?:ALTER|CHANGE)(?: COLUMN)? {_NAME} (?:(?:SET|DROP) MASK|SYNC IDENTITY)"),
    (r"ALTER TABLE", r"CLUSTER BY AUTO"),
    (r"ALTER TABLE", r"(?:SET|UNSET) MANAGED"),
    (r"ALTER TABLE", r"(?:ENABLE|DISABLE|INHERIT) PREDICTIVE OPTIMIZATION"),
    (r"ALTER TABLE", r"(?:DROP PRIMARY KEY|DROP FOREIGN KEY|ADD (?:CONSTRAINT \S+ )?(?:PRIMARY|FOREIGN) KEY)"),
    (r"ALTER (?:MATERIALIZED VIEW|STREAMING TABLE)", r"(?:ADD|ALTER|DROP) (?:SCHEDULE|TRIGGER)"),
    (r"REFRESH TABLE", r"(?:FULL|SYNC|ASYNC)"),
    (r"ANALYZE TABLE", r"COMPUTE (?:STORAGE METRICS|DELTA STATISTICS)"),
    (r"CREATE (?:OR REPLACE )?TABLE(?: IF NOT EXISTS)?", r"(?:DEEP )?CLONE"),
    (r"CREATE (?:OR REPLACE )?TABLE(?: IF NOT EXISTS)?", r"(?:\(\) )?.*?CLUSTER BY AUTO"),
    (r"CREATE (?:OR REPLACE )?TABLE(?: IF NOT EXISTS)?", r"(?:\(\) )?.*?WITH ROW FILTER"),
    (r"CREATE (?:OR REPLACE )?FUNCTION(?: IF NOT EXISTS)?", r"\(\) .*?LANGUAGE (?!SQL\b)\w+"),
    (r"INSERT (?:INTO|OVERWRITE)(?: TABLE)?", r"(?:\(\) )?(?:BY NAME )?REPLACE (?:USING|ON)"),
)
"""Beginnings up to a name, and the clause after it."""

_STATEMENT = re.compile("|".join(f"(?:{words})" for words in _STATEMENTS))
_CLAUSE = [re.compile(rf"({head}) {_NAME} ({clause})(?= |$)") for head, clause in _CLAUSES]
_QUERY = re.compile(r" (?:AS|SELECT|WITH (?!ROW FILTER)|VALUES|RETURN)(?: |$)")


def named_elsewhere(tokens: Sequence[Token]) -> str | None:
    """The name of a statement that only the service executes, as its reference writes it; None for every other one.

    tokens: of one statement.
    """
    words = _outline(tokens)
    words = re.sub(r"^EXPLAIN (?:(?:EXTENDED|CODEGEN|COST|FORMATTED|LOGICAL) )?", "", words)
    if words.partition(" ")[0] in QUERY_START:
        return None
    found = _STATEMENT.match(words)
    if found is not None and words[found.end() : found.end() + 1] in ("", " "):
        return re.sub(r" \S+ ON ", " ... ON ", found[0]) if found[0].startswith(("GRANT", "REVOKE")) else found[0]
    head = words[: query.start()] if (query := _QUERY.search(words)) else words
    for pattern in _CLAUSE:
        if match := pattern.match(head):
            return f"{match[1]} ... {_clause_name(match[2])}"
    if re.match(r"(?:CREATE|REPLACE) (?:OR REPLACE )?TABLE", words) and (clause := _column_clause(tokens)):
        return f"CREATE TABLE ... {clause}"
    return None


def _clause_name(clause: str) -> str:
    """The clause without names and what stands before its own words."""
    clause = re.sub(r"^(?:ALTER|CHANGE)(?: COLUMN)? \S+ ", "ALTER COLUMN ... ", clause)
    found = re.search(
        r"(?:CLUSTER BY AUTO|WITH ROW FILTER|LANGUAGE \w+|REPLACE (?:USING|ON)|(?:PRIMARY|FOREIGN) KEY)$", clause
    )
    return found[0] if found and not clause.startswith("DROP") else clause


def _outline(tokens: Sequence[Token]) -> str:
    """The statement's words in upper case, one blank between them: dotted names as one, what is in parentheses left
    out."""
    words: list[str] = []
    depth = 0
    joined = False
    for token in tokens:
        text = token.upper if token.kind is Kind.WORD else token.text
        if text == "(":
            if depth == 0:
                words.append("()")
            depth += 1
        elif text == ")":
            depth -= 1
        elif depth == 0:
            if token.kind is Kind.QUOTED or token.kind is Kind.STRING:
                text = "`"
            if words and (text == "." or joined):
                words[-1] += text
            else:
                words.append(text)
        joined = text == "." and depth == 0
    return " ".join(words)


def _column_clause(tokens: Sequence[Token]) -> str | None:
    """What a table's columns have that only the service keeps: `c STRING MASK f`, `c INT PRIMARY KEY`.

    A column may be called so: then it follows `(` or `,`.
    """
    depth = 0
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.kind is not Kind.WORD:
            continue
        if depth == 0 and token.upper in ("AS", "SELECT", "WITH", "VALUES"):
            return None
        if depth == 1 and token.upper == "MASK" and before.text not in ("(", ",", ".") and after.is_name:
            return "MASK"
        if depth == 1 and token.upper in ("PRIMARY", "FOREIGN") and after.upper == "KEY":
            return f"{token.upper} KEY"
    return None
