"""Databricks SQL to Spark SQL: finds the names in a statement and replaces them, leaving every other byte as it was.

Spark's own catalog has two levels, Unity Catalog three: table `t` of `c.s` is Spark's `` `c__s`.`t` `` (`names`). This
is the one place that knows it. A statement is cut into tokens as Spark's lexer does (`tokens`: comments, strings and
quoted names whole), a walk over the tokens finds where a table, view or function may stand (`parser`, `query`), and
`render` replaces these spans alone; whatever Spark and Delta can run, they still get. Column references are kept, but
for those qualified by schema and table.
"""
