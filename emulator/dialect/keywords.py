"""Words of SQL that show, without a grammar, where a query begins, a clause ends, and what is no alias or function."""

from __future__ import annotations

QUERY_START = {"SELECT", "WITH", "VALUES", "TABLE", "FROM", "MAP", "REDUCE"}
# Words that may stand before "(" without being a function.
NOT_A_FUNCTION = {
    "IN", "EXISTS", "AND", "OR", "NOT", "FROM", "JOIN", "ON", "USING", "AS", "SELECT", "WHERE", "THEN", "ELSE",
    "WHEN", "CASE",
    "BY", "VALUES", "UNION", "ALL", "EXCEPT", "INTERSECT", "MINUS", "DISTINCT", "HAVING", "LIMIT", "OVER", "PIVOT",
    "UNPIVOT",
    "LATERAL", "SETS", "ROLLUP", "CUBE", "INTO", "LIKE", "ANY", "SOME", "BETWEEN", "IS", "SET", "TABLESAMPLE",
    "QUALIFY",
    "WITHIN", "FILTER", "FOR", "STREAM", "OVERWRITE", "RETURN", "OFFSET", "RLIKE", "ILIKE", "DIV",
}  # fmt: skip
# Words that end a FROM clause or an alias.
CLAUSE = {
    "WHERE", "GROUP", "HAVING", "ORDER", "SORT", "CLUSTER", "DISTRIBUTE", "LIMIT", "OFFSET", "QUALIFY", "WINDOW",
    "UNION",
    "INTERSECT", "EXCEPT", "MINUS", "SELECT", "WHEN", "SET", "INSERT", "RETURN", "DO", "THEN",
}  # fmt: skip
# Words after a relation that cannot be its alias.
NO_ALIAS = CLAUSE | {
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
