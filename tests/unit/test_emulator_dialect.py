"""The SQL dialect: which names a statement has, what they become, and that nothing else is touched."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.dialect.names import NameBook, quoted, spark_part, spark_schema, split_name
from emulator.dialect.parser import parse
from emulator.dialect.render import Place, render
from emulator.dialect.statement import Role, Statement
from emulator.dialect.tokens import Kind, tokenize
from emulator.sql.errors import SqlError


def places_of(statement: Statement, catalog: str = "main", schema: str = "default") -> Mapping[int, Place]:
    places = {}
    for ref in statement.refs:
        parts = tuple(part.lower() for part in ref.parts)
        full = {1: (catalog, schema, *parts), 2: (catalog, *parts), 3: parts}[len(parts)]
        text = quoted((spark_schema(full[0], full[1]), spark_part(full[2])))
        places[ref.start] = Place(text, text, (full[0], full[1], full[2]))
    return places


def rewritten(sql: str, **parameters: object) -> str:
    statement = parse(sql, parameters)
    return render(statement, places_of(statement))


T = "`product__fde`.`dim_fde`"
D = "`main__default`.`t`"

REWRITES = [
    ("SELECT * FROM product.fde.dim_fde", f"SELECT * FROM {T}"),
    ("select * from `product`.`fde`.`dim_fde` d", f"select * from {T} d"),
    ("SELECT * FROM product . fde /* x.y.z */ . dim_fde", f"SELECT * FROM {T}"),
    ("SELECT a.b.c.d FROM t a, product.fde.dim_fde b", f"SELECT a.b.c.d FROM {D} a, {T} b"),
    ("SELECT product.fde.dim_fde.id FROM product.fde.dim_fde", f"SELECT {T}.id FROM {T}"),
    ("SELECT fde.dim_fde.id, fde.dim_fde.* FROM product.fde.dim_fde", f"SELECT {T}.id, {T}.* FROM {T}"),
    ("SELECT fde.x.y FROM product.fde.dim_fde fde", f"SELECT fde.x.y FROM {T} fde"),
    ("SELECT s.a.b.c FROM t", f"SELECT s.a.b.c FROM {D}"),
    ("SELECT transform(xs, x -> x.a.b.c) FROM t", f"SELECT transform(xs, x -> x.a.b.c) FROM {D}"),
    ("SELECT 'FROM a.b.c', \"JOIN d.e.f\" FROM t -- FROM g.h.i", f"SELECT 'FROM a.b.c', \"JOIN d.e.f\" FROM {D} -- FROM g.h.i"),
    ("SELECT /* FROM a.b.c /* nested */ */ 1 FROM t", f"SELECT /* FROM a.b.c /* nested */ */ 1 FROM {D}"),
    ("SELECT /*+ BROADCAST(t) */ 1 FROM t", f"SELECT /*+ BROADCAST(t) */ 1 FROM {D}"),
    ("WITH t AS (SELECT * FROM t) SELECT * FROM t", f"WITH t AS (SELECT * FROM {D}) SELECT * FROM t"),
    (
        "WITH a AS (SELECT 1), b AS (SELECT * FROM a JOIN t) SELECT * FROM a, b, (SELECT * FROM b) q",
        f"WITH a AS (SELECT 1), b AS (SELECT * FROM a JOIN {D}) SELECT * FROM a, b, (SELECT * FROM b) q",
    ),
    ("SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x), x", "SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x), `main__default`.`x`"),
    ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT * FROM r",
     "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT * FROM r"),
    ("SELECT extract(YEAR FROM ts), trim(BOTH 'x' FROM y), substring(a FROM 2 FOR 3) FROM t", f"SELECT extract(YEAR FROM ts), trim(BOTH 'x' FROM y), substring(a FROM 2 FOR 3) FROM {D}"),
    ("SELECT a IS DISTINCT FROM b, a IS NOT DISTINCT FROM c FROM t", f"SELECT a IS DISTINCT FROM b, a IS NOT DISTINCT FROM c FROM {D}"),
    ("SELECT * FROM t LATERAL VIEW explode(m) e AS k, v WHERE k IN (SELECT y FROM q.r.s)", f"SELECT * FROM {D} LATERAL VIEW explode(m) e AS k, v WHERE k IN (SELECT y FROM `q__r`.`s`)"),
    ("SELECT * FROM t, LATERAL explode(xs) AS e(x), LATERAL (SELECT * FROM u.v.w)", f"SELECT * FROM {D}, LATERAL explode(xs) AS e(x), LATERAL (SELECT * FROM `u__v`.`w`)"),
    ("SELECT * FROM range(10), t", f"SELECT * FROM range(10), {D}"),
    ("SELECT * FROM VALUES (1, x), (2, y) AS v(a, b), t", f"SELECT * FROM VALUES (1, x), (2, y) AS v(a, b), {D}"),
    ("SELECT * FROM (a.b.c JOIN d.e.f USING (x, y)), g.h.i", "SELECT * FROM (`a__b`.`c` JOIN `d__e`.`f` USING (x, y)), `g__h`.`i`"),
    ("SELECT * FROM t PIVOT (sum(x) FOR y IN (1, 2)), a.b.c", f"SELECT * FROM {D} PIVOT (sum(x) FOR y IN (1, 2)), `a__b`.`c`"),
    ("SELECT * FROM t TABLESAMPLE (10 PERCENT), a.b.c", f"SELECT * FROM {D} TABLESAMPLE (10 PERCENT), `a__b`.`c`"),
    ("SELECT * FROM product.fde.dim_fde VERSION AS OF 3", f"SELECT * FROM {T} VERSION AS OF 3"),
    ("SELECT * FROM product.fde.dim_fde@v12 d", f"SELECT * FROM {T} VERSION AS OF 12 d"),
    ("SELECT * FROM t@20240102030405678", f"SELECT * FROM {D} TIMESTAMP AS OF '2024-01-02 03:04:05.678'"),
    ("SELECT * FROM t TIMESTAMP AS OF '2024-01-01' x, a.b.c", f"SELECT * FROM {D} TIMESTAMP AS OF '2024-01-01' x, `a__b`.`c`"),
    ("SELECT * FROM delta.`/tmp/x`, parquet.`/y`", "SELECT * FROM delta.`/tmp/x`, parquet.`/y`"),
    ("SELECT * FROM IDENTIFIER('product.fde.' || :t)", f"SELECT * FROM {T}"),
    ("FROM product.fde.dim_fde |> WHERE x > 1 |> SELECT a, b |> JOIN t", f"FROM {T} |> WHERE x > 1 |> SELECT a, b |> JOIN {D}"),
    ("TABLE product.fde.dim_fde", f"TABLE {T}"),
    ("SELECT f(TABLE t), g(TABLE(t)) FROM h()", f"SELECT f(TABLE {D}), g(TABLE({D})) FROM h()"),
    ("INSERT INTO product.fde.dim_fde (a, b) VALUES (1, 2)", f"INSERT INTO {T} (a, b) VALUES (1, 2)"),
    ("INSERT OVERWRITE TABLE t SELECT * FROM a.b.c", f"INSERT OVERWRITE TABLE {D} SELECT * FROM `a__b`.`c`"),
    (
        "MERGE INTO product.fde.dim_fde AS t USING a.b.c s ON t.id = s.id WHEN MATCHED THEN UPDATE SET t.a = s.b "
        "WHEN NOT MATCHED THEN INSERT (a) VALUES (s.b) WHEN NOT MATCHED BY SOURCE THEN DELETE",
        f"MERGE INTO {T} AS t USING `a__b`.`c` s ON t.id = s.id WHEN MATCHED THEN UPDATE SET t.a = s.b "
        "WHEN NOT MATCHED THEN INSERT (a) VALUES (s.b) WHEN NOT MATCHED BY SOURCE THEN DELETE",
    ),
    ("UPDATE product.fde.dim_fde SET a = 1 WHERE b IN (SELECT c FROM t)", f"UPDATE {T} SET a = 1 WHERE b IN (SELECT c FROM {D})"),
    ("DELETE FROM product.fde.dim_fde WHERE x", f"DELETE FROM {T} WHERE x"),
    ("CREATE OR REPLACE TABLE product.fde.dim_fde USING delta AS SELECT * FROM t", f"CREATE OR REPLACE TABLE {T} USING delta AS SELECT * FROM {D}"),
    ("CREATE TABLE t (id INT, s STRUCT<a:INT,b:STRING>, d DECIMAL(10,2) DEFAULT 1) CLUSTER BY (id)", f"CREATE TABLE {D} (id INT, s STRUCT<a:INT,b:STRING>, d DECIMAL(10,2) DEFAULT 1) CLUSTER BY (id)"),
    ("CREATE TABLE t LIKE product.fde.dim_fde", f"CREATE TABLE {D} LIKE {T}"),
    ("CREATE TABLE t SHALLOW CLONE product.fde.dim_fde VERSION AS OF 1", f"CREATE TABLE {D} SHALLOW CLONE {T} VERSION AS OF 1"),
    ("CREATE OR REPLACE VIEW t (a COMMENT 'x') AS SELECT a FROM product.fde.dim_fde", f"CREATE OR REPLACE VIEW {D} (a COMMENT 'x') AS SELECT a FROM {T}"),
    ("ALTER VIEW t AS SELECT * FROM product.fde.dim_fde", f"ALTER VIEW {D} AS SELECT * FROM {T}"),
    ("ALTER TABLE product.fde.dim_fde RENAME TO product.fde.dim_fde_old", f"ALTER TABLE {T} RENAME TO `product__fde`.`dim_fde_old`"),
    ("ALTER TABLE t ALTER COLUMN a.b.c COMMENT 'x'", f"ALTER TABLE {D} ALTER COLUMN a.b.c COMMENT 'x'"),
    ("DROP VIEW IF EXISTS product.fde.dim_fde", f"DROP VIEW IF EXISTS {T}"),
    ("DESCRIBE HISTORY product.fde.dim_fde LIMIT 3", f"DESCRIBE HISTORY {T} LIMIT 3"),
    ("DESCRIBE EXTENDED product.fde.dim_fde", f"DESCRIBE EXTENDED {T}"),
    ("DESC DETAIL product.fde.dim_fde", f"DESC DETAIL {T}"),
    ("OPTIMIZE product.fde.dim_fde ZORDER BY (a, b)", f"OPTIMIZE {T} ZORDER BY (a, b)"),
    ("RESTORE TABLE product.fde.dim_fde TO VERSION AS OF 1", f"RESTORE TABLE {T} TO VERSION AS OF 1"),
    ("EXPLAIN FORMATTED SELECT * FROM product.fde.dim_fde", f"EXPLAIN FORMATTED SELECT * FROM {T}"),
    ("SHOW TBLPROPERTIES product.fde.dim_fde", f"SHOW TBLPROPERTIES {T}"),
    ("SELECT * FROM `my-cat`.`s`.`t`", "SELECT * FROM `x__6d792d636174_73`.`t`"),  # Hexadecimal: `my-cat`, `s`.
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), REWRITES, ids=[sql[:60] for sql, _ in REWRITES])
def test_names_are_replaced_and_nothing_else(sql: str, expected: str) -> None:
    assert rewritten(sql, t="dim_fde") == expected


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select 1", "SELECT"),
        ("(select 1)", "SELECT"),
        ("with a as (select 1) select * from a", "SELECT"),
        ("values (1)", "SELECT"),
        ("from t insert into a.b.c select *", "INSERT"),
        ("with s as (select 1) insert into t select * from s", "INSERT"),
        ("use catalog main", "USE CATALOG"),
        ("set catalog main", "USE CATALOG"),
        ("use main.default", "USE"),
        ("create or replace view v as select 1", "CREATE VIEW"),
        ("alter view v as select 1", "ALTER VIEW AS"),
        ("alter table a rename to b", "ALTER TABLE RENAME"),
        ("explain select 1", "EXPLAIN"),
        ("describe select 1", "DESCRIBE QUERY"),
        ("desc schema extended a.b", "DESCRIBE SCHEMA"),
        ("show grants on table a.b.c", "SHOW GRANTS"),
        ("drop materialized view a.b.c", "DROP MATERIALIZED VIEW"),
        ("alter view a.b.c with schema binding", "ALTER VIEW"),
        ("alter table a.b.c set tags ('x' = 'y')", "SET TAGS"),
        ("alter table a.b.c alter column x unset tags ('y')", "UNSET TAGS"),
        ("set tag on catalog main x = y", "SET TAGS"),
        ("unset tag on column a.b.c.d x", "UNSET TAGS"),
    ],
)
def test_a_statement_is_known_by_its_kind(sql: str, kind: str) -> None:
    assert parse(sql).kind == kind


@pytest.mark.parametrize(
    "sql",
    [
        "DROP NAMESPACE product__fde CASCADE",
        "CREATE NAMESPACE product__fde",
        "ALTER NAMESPACE product__fde SET PROPERTIES (a = 1)",
        "SELEC 1",
        "SHOW NAMESPACES",
        "`TRUNCATE` TABLE product__fde.t",
        "UNSET product__fde.f",
        "SET TAG ON TABLE product.fde.t",
        "ALTER TABLE product.fde.t SET TAGS ('a' = )",
    ],
)
def test_a_statement_that_is_not_known_is_refused(sql: str) -> None:
    with pytest.raises(SqlError) as caught:
        parse(sql)
    assert caught.value.sqlstate == "42601"


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        # DDL
        ("ALTER CATALOG c ENABLE PREDICTIVE OPTIMIZATION", "ALTER CATALOG ... ENABLE PREDICTIVE OPTIMIZATION"),
        ("ALTER CONNECTION c OPTIONS (host 'x')", "ALTER CONNECTION"),
        ("ALTER STORAGE CREDENTIAL c RENAME TO d", "ALTER STORAGE CREDENTIAL"),
        ("ALTER EXTERNAL LOCATION l SET URL 's3://x'", "ALTER EXTERNAL LOCATION"),
        ("ALTER GROUP g ADD USER a", "ALTER GROUP"),
        ("ALTER MATERIALIZED VIEW a.b.v ADD SCHEDULE CRON '0'", "ALTER MATERIALIZED VIEW ... ADD SCHEDULE"),
        ("ALTER SCHEMA s SET DBPROPERTIES (a = 'b')", "ALTER SCHEMA ... SET DBPROPERTIES"),
        ("ALTER SHARE s ADD TABLE t", "ALTER SHARE"),
        ("ALTER TABLE a.b.t SET ROW FILTER f ON (c)", "ALTER TABLE ... SET ROW FILTER"),
        ("ALTER TABLE a.b.t ALTER COLUMN c SET MASK f", "ALTER TABLE ... ALTER COLUMN ... SET MASK"),
        ("ALTER TABLE a.b.t ADD CONSTRAINT pk PRIMARY KEY (a)", "ALTER TABLE ... PRIMARY KEY"),
        ("ALTER TABLE a.b.t CLUSTER BY AUTO", "ALTER TABLE ... CLUSTER BY AUTO"),
        ("alter table `a`.`b`.`t` unset managed", "ALTER TABLE ... UNSET MANAGED"),
        ("COMMENT ON VOLUME v IS 'x'", "COMMENT ON VOLUME"),
        ("CREATE BLOOMFILTER INDEX ON TABLE t FOR COLUMNS (a)", "CREATE BLOOMFILTER INDEX"),
        ("CREATE FLOW f AS INSERT INTO t BY NAME SELECT 1", "CREATE FLOW"),
        ("CREATE FOREIGN CATALOG c USING CONNECTION x", "CREATE FOREIGN CATALOG"),
        (
            "CREATE FUNCTION f(x INT) RETURNS INT LANGUAGE PYTHON AS $$ return x $$",
            "CREATE FUNCTION ... LANGUAGE PYTHON",
        ),
        ("CREATE INDEX i ON TABLE product__fde.t (a)", "CREATE INDEX"),
        ("CREATE OR REFRESH MATERIALIZED VIEW v AS SELECT 1", "CREATE OR REFRESH MATERIALIZED VIEW"),
        ("CREATE MATERIALIZED VIEW v SCHEDULE EVERY 1 HOUR AS SELECT 1", "CREATE MATERIALIZED VIEW"),
        ("CREATE OR REFRESH STREAMING TABLE t AS SELECT * FROM STREAM x", "CREATE OR REFRESH STREAMING TABLE"),
        ("CREATE OR REFRESH LIVE TABLE t AS SELECT 1", "CREATE OR REFRESH LIVE TABLE"),
        ("CREATE OR REPLACE PROCEDURE p() AS BEGIN SELECT 1; END", "CREATE OR REPLACE PROCEDURE"),
        ("CREATE TABLE a.b.t DEEP CLONE a.b.u", "CREATE TABLE ... DEEP CLONE"),
        ("CREATE OR REPLACE TABLE a.b.t CLONE a.b.u VERSION AS OF 1", "CREATE OR REPLACE TABLE ... CLONE"),
        ("CREATE TABLE t (a INT) WITH ROW FILTER g ON (a)", "CREATE TABLE ... WITH ROW FILTER"),
        ("CREATE TABLE t (a INT, b STRING MASK f)", "CREATE TABLE ... MASK"),
        ("CREATE TABLE t (a INT PRIMARY KEY)", "CREATE TABLE ... PRIMARY KEY"),
        ("CREATE TABLE t (a INT, CONSTRAINT f FOREIGN KEY (a) REFERENCES u)", "CREATE TABLE ... FOREIGN KEY"),
        ("CREATE TEMPORARY TABLE t (a INT)", "CREATE TEMPORARY TABLE"),
        ("REFRESH TABLE a.b.c FULL", "REFRESH TABLE ... FULL"),
        ("CREATE VIEW v WITH METRICS LANGUAGE YAML AS $$ version: 0.1 $$", "A metric view"),
        ("CREATE VOLUME product.fde.v", "CREATE VOLUME"),
        ("DROP CONNECTION c", "DROP CONNECTION"),
        ("DROP POLICY p ON TABLE t", "DROP POLICY"),
        ("REFRESH MATERIALIZED VIEW a.b.c", "REFRESH MATERIALIZED VIEW"),
        ("REFRESH FUNCTION product__fde.f", "REFRESH FUNCTION"),
        ("SYNC SCHEMA a FROM b", "SYNC SCHEMA"),
        ("UNDROP TABLE product.fde.t", "UNDROP"),
        # DML and Delta
        ("COPY INTO t FROM '/x' FILEFORMAT = CSV", "COPY INTO"),
        ("INSERT INTO t REPLACE USING (a) SELECT 1", "INSERT INTO ... REPLACE USING"),
        ("LOAD DATA INPATH '/x' INTO TABLE product__fde.t", "LOAD DATA"),
        ("EXPLAIN LOAD DATA INPATH '/x' INTO TABLE product__fde.t", "LOAD DATA"),
        ("CONVERT TO DELTA product__fde.t", "CONVERT TO DELTA"),
        ("FSCK REPAIR TABLE t", "FSCK REPAIR TABLE"),
        ("GENERATE symlink_format_manifest FOR TABLE product__fde.t", "GENERATE"),
        ("BEGIN TRANSACTION", "BEGIN TRANSACTION"),
        ("COMMIT", "COMMIT"),
        # Auxiliary
        ("ADD JAR '/x.jar'", "ADD JAR"),
        ("ANALYZE TABLE t COMPUTE STORAGE METRICS", "ANALYZE TABLE ... COMPUTE STORAGE METRICS"),
        ("ANALYZE TABLES IN product__fde COMPUTE STATISTICS", "ANALYZE TABLES"),
        ("CACHE SELECT * FROM t", "CACHE SELECT"),
        ("CALL system.sync('t')", "CALL"),
        ("DESCRIBE SHARE s", "DESCRIBE SHARE"),
        ("EXECUTE IMMEDIATE 'SELECT 1'", "EXECUTE IMMEDIATE"),
        ("LIST 's3://x'", "LIST"),
        ("PUT '/x' INTO '/y'", "PUT"),
        ("SET RECIPIENT r", "SET RECIPIENT"),
        ("SHOW ALL IN SHARE s", "SHOW ALL IN SHARE"),
        ("SHOW TABLES DROPPED IN product.fde", "SHOW TABLES DROPPED"),
        ("SHOW VOLUMES IN product.fde", "SHOW VOLUMES"),
        # Security
        ("DENY SELECT ON TABLE t TO u", "DENY"),
        ("GRANT SELECT ON SHARE s TO RECIPIENT r", "GRANT ... ON SHARE"),
        ("MSCK REPAIR TABLE t PRIVILEGES", "PRIVILEGES"),
        ("SET TAG ON VOLUME v a = b", "SET TAG ON VOLUME"),
    ],
)
def test_a_statement_of_the_service_that_does_not_run_here_is_refused_by_name(sql: str, named: str) -> None:
    with pytest.raises(SqlError, match=re.escape(f"{named} is not supported by the local workspace")) as caught:
        parse(sql)
    assert caught.value.error_class == "NOT_IMPLEMENTED"
    assert caught.value.sqlstate == "0A000"


@pytest.mark.parametrize(
    "sql",
    [
        "DESCRIBE a.b.share",
        "DESCRIBE TABLE share",
        "SELECT list FROM a.b.volume",
        "CREATE TABLE a.b.clone (mask INT, share STRING, clone INT, primary INT)",
        "CREATE TABLE a.b.t AS SELECT (a mask, b) FROM a.b.u",
        "CREATE TABLE a.b.t AS SELECT deep clone, row filter FROM a.b.u",
        "CREATE TABLE a.b.t SHALLOW CLONE a.b.u",
        "ALTER TABLE a.b.t ADD COLUMNS (mask STRING)",
        "ALTER TABLE a.b.t RENAME COLUMN managed TO tags",
        "ALTER TABLE a.b.t ALTER COLUMN mask SET NOT NULL",
        "INSERT INTO a.b.t REPLACE WHERE a = 1 SELECT 1",
        "CREATE VIEW a.b.v AS SELECT * FROM a.b.t CLUSTER BY auto",
        "CREATE FUNCTION a.b.f(x INT) RETURNS INT LANGUAGE SQL RETURN x",
        "REPAIR TABLE privileges",
    ],
)
def test_a_name_that_is_a_word_of_another_statement_is_a_name(sql: str) -> None:
    first = sql.split()[0]
    assert parse(sql).kind.split()[0] == {"REPAIR": "MSCK"}.get(first, first)


def test_a_pipelines_source_may_define_its_datasets() -> None:
    assert parse("CREATE OR REFRESH MATERIALIZED VIEW v AS SELECT 1", pipeline=True).kind == "CREATE VIEW"


@pytest.mark.parametrize(
    "body",
    [
        "TRUNCATE TABLE a.b.c;",
        "OPTIMIZE a.b.c;",
        "VACUUM a.b.c;",
        "RESTORE TABLE a.b.c TO VERSION AS OF 1;",
        "REFRESH TABLE a.b.c;",
        "COMMENT ON TABLE a.b.c IS 'x';",
        "DROP TABLE a.b.c;",
        "EXECUTE IMMEDIATE 'DROP TABLE a.b.c';",
        "SELECT 1; TRUNCATE TABLE a.b.c;",
        "IF true THEN TRUNCATE TABLE a.b.c; END IF;",
        "IF then = 1 THEN TRUNCATE TABLE a.b.c; END IF;",
        "IF CASE WHEN end = 1 THEN values END THEN TRUNCATE TABLE a.b.c; END IF;",
        "IF (1 = 1) THEN SELECT 1; ELSE TRUNCATE TABLE a.b.c; END IF;",
        "CASE x WHEN 1 THEN OPTIMIZE a.b.c WHERE end = 1; END CASE;",
        "here: BEGIN TRUNCATE TABLE a.b.c; END;",
        "here: LOOP TRUNCATE TABLE a.b.c; LEAVE here; END LOOP here;",
        "WHILE true DO TRUNCATE TABLE a.b.c; END WHILE;",
        "REPEAT TRUNCATE TABLE a.b.c; UNTIL true END REPEAT;",
        "FOR r AS SELECT 1 DO TRUNCATE TABLE a.b.c; END FOR;",
        "FOR r AS FROM t do SELECT 1 DO TRUNCATE TABLE a.b.c; END FOR;",
        "FOR r AS SELECT 1 do FROM t DO TRUNCATE TABLE a.b.c; END FOR;",
        "DECLARE EXIT HANDLER FOR SQLEXCEPTION TRUNCATE TABLE a.b.c;",
        "SELECT 1) ; TRUNCATE TABLE a.b.c; (",
    ],
)
def test_a_script_holds_no_statement_whose_names_are_not_found(body: str) -> None:
    with pytest.raises(SqlError) as caught:
        parse(f"BEGIN {body} END")
    assert caught.value.sqlstate in ("0A000", "42601")


def test_every_name_of_a_script_is_replaced() -> None:
    sql = (
        "BEGIN DECLARE n INT DEFAULT (SELECT count(*) FROM a.b.c); SET n = (SELECT max(x) FROM a.b.d); "
        "IF n > (SELECT 1 FROM a.b.e) THEN INSERT INTO a.b.f SELECT CASE WHEN x THEN 1 ELSE 2 END FROM a.b.g; "
        "ELSEIF n = 2 THEN WITH t AS (SELECT 1) SELECT * FROM t; ELSE DELETE FROM a.b.h; END IF; "
        "top: WHILE n < 3 DO UPDATE a.b.i SET x = 1; LEAVE top; END WHILE top; SELECT * FROM t; "
        "FOR r AS SELECT * FROM a.b.j DO MERGE INTO a.b.k USING a.b.l ON true WHEN MATCHED THEN DELETE; END FOR; "
        "REPEAT VALUES (1); UNTIL EXISTS (SELECT 1 FROM a.b.m) END REPEAT; BEGIN SELECT 1; END; END"
    )
    names = [".".join(ref.parts) for ref in parse(sql).refs]
    assert names == [*(f"a.b.{letter}" for letter in "cdefghi"), "t", *(f"a.b.{letter}" for letter in "jklm")]


@pytest.mark.parametrize(
    "sql",
    [
        "USE SCHEMA a.b nonsense",
        "SET CATALOG a nonsense",
        "SHOW TABLES IN a.b LIKE 't*' nonsense",
        "SHOW GRANTS ON TABLE a.b.c nonsense",
        "DROP SCHEMA a.b CASCADE nonsense",
        "DROP TABLE a.b.c nonsense",
        "ALTER TABLE a.b.c RENAME TO a.b.d nonsense",
        "ALTER TABLE a.b.c OWNER TO ada nonsense",
        "COMMENT ON TABLE a.b.c IS 'x' nonsense",
        "DESCRIBE SCHEMA a.b nonsense",
        "CREATE SCHEMA a.b nonsense",
        "CREATE SCHEMA a.b COMMENT nonsense",
        "SHOW TABLES DROPPED IN a.b",
    ],
)
def test_what_follows_a_statement_is_no_part_of_it(sql: str) -> None:
    with pytest.raises(SqlError):
        parse(sql)
    assert parse(sql.removesuffix(" nonsense").removesuffix(" COMMENT").replace(" DROPPED", "")).kind


@pytest.mark.parametrize(
    "clause", ["MANAGED LOCATION 's3://x'", "WITH DBPROPERTIES (a = 1)", "DEFAULT COLLATION UTF8_LCASE"]
)
def test_what_a_schema_cannot_keep_here_is_refused_by_name(clause: str) -> None:
    with pytest.raises(SqlError, match=" ".join(clause.split()[:2])):
        parse(f"CREATE SCHEMA a.b COMMENT 'x' {clause}")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ((SELECT 1) UNION SELECT x FROM a.b.c)",
        "SELECT 1 WHERE x IN ((SELECT 1) UNION SELECT x FROM a.b.c)",
        "REPAIR TABLE a.b.c",
    ],
)
def test_a_name_is_found_wherever_a_table_may_stand(sql: str) -> None:
    assert ("a", "b", "c") in [ref.parts for ref in parse(sql).refs]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM table_changes('product__fde.t', 0)",
        "SELECT IDENTIFIER('product__fde.f')(1)",
        "CREATE VIEW v WITH METRICS LANGUAGE YAML AS $$ source: product__fde.t $$",
        "ALTER VIEW v AS $$ source: product__fde.t $$",
    ],
)
def test_a_name_in_a_string_is_refused(sql: str) -> None:
    with pytest.raises(SqlError) as caught:
        parse(sql)
    assert caught.value.sqlstate == "0A000"


@pytest.mark.parametrize(
    "sql",
    [
        "VACUUM '/x' RETAIN 0 HOURS",
        "OPTIMIZE '/x'",
        "INSERT OVERWRITE DIRECTORY '/x' SELECT 1",
        "CREATE TEMP VIEW v USING delta OPTIONS (path '/x')",
        "ALTER TABLE t SET LOCATION '/x'",
    ],
)
def test_a_folder_is_told_from_a_table(sql: str) -> None:
    assert "path" in parse(sql).flags


def test_a_grant_is_taken_apart() -> None:
    found = parse("GRANT USE CATALOG, SELECT ON SCHEMA `a`.`b-c` TO `data engineers`")
    assert (found.privileges, found.securable, found.name, found.principal) == (
        ("USE CATALOG", "SELECT"),
        "SCHEMA",
        ("a", "b-c"),
        "data engineers",
    )
    assert parse("REVOKE ALL PRIVILEGES ON a.b.c FROM ada@example.com").principal == "ada@example.com"


def test_a_tables_location_goes_before_its_query() -> None:
    statement = parse("CREATE TABLE a.b.c (x INT) COMMENT 'AS' AS SELECT 1")
    assert statement.clause_at is not None
    assert statement.text[statement.clause_at :] == "AS SELECT 1"
    bare = parse("CREATE TABLE a.b.c (x INT GENERATED ALWAYS AS (1)) ; ")
    assert bare.clause_at is not None
    assert bare.text[: bare.clause_at].endswith("AS (1))")


def test_roles_say_what_is_done_with_a_name() -> None:
    statement = parse("MERGE INTO a.b.c t USING d.e.f s ON t.x = s.x WHEN MATCHED THEN DELETE")
    assert [(ref.parts[2], ref.role) for ref in statement.refs] == [("c", Role.WRITE), ("f", Role.READ)]
    assert [ref.role for ref in parse("CREATE VIEW v AS SELECT * FROM t").refs] == [Role.CREATE, Role.READ]


@pytest.mark.parametrize("sql", ["select 'abc", "select `abc", "select /* x", "", "  -- only a comment"])
def test_text_without_an_end_is_refused_as_a_syntax_error(sql: str) -> None:
    with pytest.raises(SqlError) as caught:
        parse(sql)
    assert caught.value.sqlstate in ("42601", "42617")


def test_a_name_of_four_parts_is_refused() -> None:
    with pytest.raises(SqlError, match="more than 3 name parts"):
        parse("SELECT * FROM a.b.c.d")


def test_messages_of_spark_come_back_in_three_levels() -> None:
    book = NameBook({"product__fde": ("product", "fde"), "product__fde_x": ("product", "fde_x")})
    assert book.translate("`product__fde`.`t` spark_catalog.product__fde_x.u") == "`product`.`fde`.`t` product.fde_x.u"
    assert book.translate("`spark_catalog`.`product__fde`.`t`") == "`product`.`fde`.`t`"
    assert book.translate("my_product__fde.t") == "my_product__fde.t"


name = st.text(alphabet="abcxyz_019é-. ", min_size=1, max_size=8)


def test_no_seam_of_underscores_makes_two_schemas_one() -> None:
    words = ["".join(letters) for size in (1, 2, 3) for letters in itertools.product("a_x", repeat=size)]
    pairs = list(itertools.product(words, words))
    assert len({spark_schema(*pair) for pair in pairs}) == len(pairs)


@given(st.tuples(name, name), st.tuples(name, name))
def test_two_schemas_never_share_a_spark_schema(one: tuple[str, str], other: tuple[str, str]) -> None:
    if tuple(part.lower() for part in one) != tuple(part.lower() for part in other):
        assert spark_schema(*one) != spark_schema(*other)
    assert re.fullmatch(r"[a-z0-9_]+", spark_schema(*one))


@given(name, name)
def test_two_tables_never_share_a_spark_name(one: str, other: str) -> None:
    if one.lower() != other.lower():
        assert spark_part(one) != spark_part(other)
    assert re.fullmatch(r"[a-z0-9_]+", spark_part(one))


@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=10), min_size=1, max_size=3))
def test_a_quoted_name_reads_back(parts: list[str]) -> None:
    assert split_name(quoted(parts)) == tuple(parts)


def test_a_name_with_a_nul_is_refused() -> None:
    with pytest.raises(SqlError, match="PARSE_SYNTAX_ERROR"):
        quoted(["a", "b\0c"])


pieces = st.sampled_from(
    [
        "SELECT", "FROM", "JOIN", "t", "a.b.c", "`q r`.`s`", ",", "(", ")", "'it''s FROM x.y.z'", '"FROM x.y"', "WHERE", "x.y.z.w", "1.5", ".5",
        "-- FROM c.o.m\n", "/* FROM c.o.m */", "WITH q AS (SELECT 1)", "LATERAL VIEW explode(a) e AS k, v", "UNION ALL", "ON", "USING", "AS", "*",
        "x -> x.a.b.c", ":p", "?", "a::int", "INSERT INTO", "MERGE INTO", "VALUES (1, 2)", "ORDER BY", "VERSION AS OF 1", "TABLE", "é.ü.ß", "|>", "CASE WHEN",
        "END", "IS DISTINCT FROM", "extract(day FROM d)", "r'\\FROM'", "$$ FROM a.b $$", "a.b.c.*", "IN", "range(3)", "delta.`/p`", ";",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    st.lists(pieces, min_size=1, max_size=14),
    st.lists(st.sampled_from([" ", "\n", "\t", "  /* c */ "]), min_size=14, max_size=14),
)
def test_text_outside_of_names_is_never_touched(words: list[str], gaps: list[str]) -> None:
    sql = "SELECT " + "".join(word + gap for word, gap in zip(words, gaps, strict=False))
    try:
        statement = parse(sql)
    except SqlError:
        return
    found = render(statement, places_of(statement))
    # Cut out each name that was known; what remains must be the same bytes in the same order.
    spans = sorted((ref.start, ref.end) for ref in statement.refs)
    spans += [(chain.start, end) for chain in statement.chains for end in chain.ends]
    at = 0
    position = 0
    for begin, end in sorted((ref.start, ref.end) for ref in statement.refs):
        outside = re.split(r"[\w`é-ÿ]+(?:\s*\.\s*[\w`]+)+", sql[at:begin])
        for piece in outside:
            where = found.find(piece, position)
            assert where >= 0, (piece, found)
            position = where + len(piece)
        at = end
    assert found.endswith(re.split(r"[\w`é-ÿ]+(?:\s*\.\s*[\w`*]+)+", sql[at:])[-1])
    strings = [token.text for token in tokenize(sql) if token.kind is Kind.STRING]
    assert [token.text for token in tokenize(found) if token.kind is Kind.STRING] == strings


@settings(max_examples=200, deadline=None)
@given(st.lists(pieces, min_size=1, max_size=14))
def test_rendering_without_places_gives_the_text_back(words: list[str]) -> None:
    sql = "SELECT " + " ".join(words)
    try:
        statement = parse(sql)
    except SqlError:
        return
    assert render(statement, {}) == sql
