"""Statements that the fake once answered in another way: found by drawing them at random."""

from __future__ import annotations

from txcql.test.conformance.chapters import Chapter, ask

__all__ = ["CHAPTERS"]

TABLE = "CREATE TABLE t (p int, c int, d int, v int, w int, e set<int>, l list<int>, s int static, sc int static, PRIMARY KEY (p, c, d))"


def batch(*statements: str) -> str:
    """Several statements in one."""
    return f"BEGIN BATCH {'; '.join(statements)}; APPLY BATCH"


RING = Chapter(
    "ring",
    [
        "CREATE TABLE t (q text PRIMARY KEY, x decimal)",
        "INSERT INTO t (q, x) VALUES ('a', 1e3)",
        "INSERT INTO t (q, x) VALUES ('b', 1.50)",
        "INSERT INTO t (q, x) VALUES ('c', 0.00000001)",
        *[f"SELECT q FROM t WHERE token(q) {sign} token('')" for sign in ("<", "<=", "=", ">=", ">")],
        *[f"SELECT q FROM t WHERE token(q) {sign} -9223372036854775808" for sign in ("<", "=", ">")],
        "SELECT q FROM t WHERE token(q) >= token('') AND token(q) < token('b')",
        "SELECT q FROM t WHERE token(q) > token('c') AND token(q) < token('')",
        "SELECT q FROM t WHERE token(q) > token('') AND token(q) < token('')",
        "SELECT token(q), token('') FROM t",
        "SELECT toJson(x), cast(x as text), cast(x as double) FROM t",
        "SELECT JSON x FROM t",
        "CREATE TABLE two (p int, q int, c int, PRIMARY KEY ((p, q), c))",
        "INSERT INTO two (p, q, c) VALUES (1, 1, 1)",
        "SELECT c FROM two WHERE p = 1 AND q IN (1, 2) AND token(p, q) > 1 ORDER BY c",
        "SELECT c FROM two WHERE p = 1 AND q = 1 AND token(p, q) < 1 AND c > 0",
        "SELECT c FROM two WHERE p = 1 AND q = 1 AND token(p, q) > 1 AND c > 0",
        "SELECT c FROM two WHERE p = 1 AND token(p, q) > 1",
        "SELECT c FROM two WHERE token(p, q) > 1 AND token(p, q) = 1",
        "DELETE FROM two WHERE p = 1 AND token(p, q) > 1 AND c = 1",
        "DELETE FROM two WHERE p = 1 AND q = 1 AND token(p, q) < 1 AND c = 1",
        "SELECT DISTINCT p, q FROM two PER PARTITION LIMIT 1",
        "SELECT DISTINCT p FROM two PER PARTITION LIMIT 1",
    ],
)

RELATIONS = Chapter(
    "relations",
    [
        TABLE,
        "INSERT INTO t (p, c, d, v, s) VALUES (1, 1, 1, 1, 1)",
        *[
            f"SELECT v FROM t WHERE {relations} ALLOW FILTERING"
            for relations in (
                "v > 0 AND v = 1",
                "v = 1 AND v > 0",
                "v > 0 AND v IN (1, 2)",
                "v IN (1, 2) AND v > 0",
                "v IN (1, 2) AND v = 1",
                "v = 1 AND v IN (1, 2)",
                "v > 0 AND v < 3 AND v IN (1, 2)",
                "v > 0 AND v > 3",
                "p > 1 AND p = 1",
                "token(p) > 1 AND token(p) = 1",
                "token(p) = 1 AND token(p) > 1",
                "token(p) > 1 AND token(p) > 2",
            )
        ],
        *[
            f"SELECT v FROM t WHERE p = 1 AND {relations}"
            for relations in (
                "c > 0 AND c = 1",
                "c > 0 AND c IN (1, 2)",
                "(c, d) > (0, 1) AND c = 1",
                "(c, d) > (0, 1) AND (c, d) < (1, 2)",
                "c = 1 AND (c, d) > (0, 1)",
                "(c, d) IN ((1, 1), (2, 2)) AND c = 1",
                "c IN (1, 2) AND (c, d) = (1, 1)",
                "c > 1 AND (c, d) = (1, 1)",
                "d > 1 AND (c, d) > (1, 1)",
                "(c, d) > (1, 1) AND d < 1",
                "(c, d) > (1, 1) AND c < 1",
            )
        ],
        "CREATE TABLE f (p int, c frozen<set<int>>, d int, v frozen<set<int>>, PRIMARY KEY (p, c, d)) WITH CLUSTERING ORDER BY (c DESC, d ASC)",
        "INSERT INTO f (p, c, d) VALUES (1, {}, 1)",
        "SELECT * FROM f WHERE p = 1 AND c = {}",
        "SELECT * FROM f WHERE v CONTAINS 1 AND v = {1} ALLOW FILTERING",
        "SELECT * FROM f WHERE v > {1} AND v CONTAINS 1 ALLOW FILTERING",
        "SELECT * FROM f WHERE p = 1 AND c CONTAINS 1 AND c = {1} ALLOW FILTERING",
        "SELECT * FROM f WHERE p = 1 AND (c, d) > ({1}, 1) AND c CONTAINS 1 ALLOW FILTERING",
        "CREATE TABLE q (q text, c int, d int, v int, PRIMARY KEY (q, c, d)) WITH CLUSTERING ORDER BY (c DESC, d ASC)",
        *[
            f"SELECT * FROM q WHERE q = '' AND {relations}"
            for relations in (
                "c > 3 AND c < 1",
                "c >= 3 AND c < 3",
                "c >= 3 AND c <= 3",
                "c > 1 AND c < 2",
                "c IN ()",
                "c IN (1, 2) AND d > 3 AND d < 2",
                "c IN (1, 2) AND d > 3",
                "(c, d) >= (3, 3) AND (c) < (3)",
                "(c, d) >= (3, 3) AND (c) <= (3)",
                "(c, d) > (3, 3) AND (c, d) <= (3, 3)",
                "c > 3 AND c < 1 AND v = 1 ALLOW FILTERING",
            )
        ],
        "SELECT count(*) FROM q WHERE q = '' AND c > 3 AND c < 1",
        "DELETE FROM q WHERE q = '' AND c > 3 AND c < 1",
        ask("SELECT v FROM q WHERE q IN ('a', 'b') AND c > 3 AND c < 1 ORDER BY c DESC", page_size=2),
        ask("SELECT v FROM q WHERE q IN ('a', 'b') AND c > 3 ORDER BY c DESC", page_size=2),
        ask("SELECT max(v) FROM q WHERE q IN ('a', 'b') AND c > 3 AND c < 1 ORDER BY c DESC", page_size=2),
        "UPDATE t SET l = l + [1, 2], w = 1 WHERE p IN (1, 1) AND c IN (1, 1) AND d IN (2, 1, 2)",
        "UPDATE t SET l = l + [7] WHERE p = 1 AND (c, d) IN ((1, 1), (1, 1))",
        "SELECT * FROM t",
        "CREATE TYPE pair (a int, b text)",
        "CREATE TABLE u (p int PRIMARY KEY, u pair, f frozen<pair>)",
        "INSERT INTO u (p, u) VALUES (1, {})",
        "INSERT INTO u (p, f) VALUES (1, {})",
        batch("DELETE u.a FROM u WHERE p = 1", "UPDATE q SET v = 1 WHERE q = '' AND c = 1 AND d = 1"),
    ],
)

TOGETHER = Chapter(
    "conditions together",
    [
        "CREATE TABLE t (p int, c int, v int, w int, e set<int>, l list<int>, s int static, sc int static, PRIMARY KEY (p, c))",
        "INSERT INTO t (p, sc) VALUES (1, 1)",
        batch(
            "DELETE FROM t WHERE p = 1 AND c = 1 IF v = 3 AND s = 1", "INSERT INTO t (p, sc) VALUES (1, 2)"
        ),
        batch("UPDATE t SET s = 2 WHERE p = 1 IF s = 1", "INSERT INTO t (p, c, v) VALUES (1, 2, 2)"),
        batch("UPDATE t SET v = 2 WHERE p = 1 AND c = 1 IF v = 1", "INSERT INTO t (p, s) VALUES (1, 2)"),
        batch(
            "UPDATE t SET v = 2, s = 3 WHERE p = 1 AND c = 1 IF v = 1", "INSERT INTO t (p, s) VALUES (1, 2)"
        ),
        "INSERT INTO t (p, c, w) VALUES (1, 1, 1)",
        "UPDATE t SET w = 1 WHERE p = 1 AND c = 5",
        "UPDATE t SET w = 1 WHERE p = 1 AND c = 3 IF s = 4",
        "UPDATE t SET w = 1 WHERE p = 1 AND c = 3 IF s = 4 AND v = 1",
        "UPDATE t SET w = 1 WHERE p = 1 AND c = 5 IF s = 4 AND v = 1 AND sc = 2 AND w = 5",
        "UPDATE t SET w = 1 WHERE p = 9 AND c = 3 IF s = 4",
        batch("UPDATE t SET w = 1 WHERE p = 1 AND c = 3 IF s = 4"),
        batch(
            "UPDATE t SET w = 1 WHERE p = 1 AND c = 3 IF s = 4",
            "UPDATE t SET w = 1 WHERE p = 1 AND c = 5 IF s = 4",
        ),
        batch("UPDATE t SET s = 2 WHERE p = 1 IF s = 1", "UPDATE t SET v = 1 WHERE p = 1 AND c = 5 IF v = 1"),
        batch(
            "UPDATE t SET v = 4 WHERE p = 1 AND c = 5 IF v = 9",
            "UPDATE t SET v = 4 WHERE p = 1 AND c = 1 IF v = 4",
        ),
        *[
            batch("DELETE FROM t WHERE p = 1 AND c = 5 IF v = 3", other)
            for other in (
                "DELETE FROM t WHERE p = 1 AND c > 7",
                "DELETE FROM t WHERE p = 1",
                "DELETE FROM t WHERE p = 1 AND c IN (7, 8)",
                "UPDATE t SET v = 1 WHERE p = 1 AND c IN (7, 8)",
                "UPDATE t SET v = 1 WHERE p IN (1, 2) AND c = 1",
                "UPDATE t SET v = 1 WHERE p IN (1, 2) AND c = 1 IF v = 3",
                "DELETE FROM t WHERE p IN (1, 2)",
                "INSERT INTO t (p, c) VALUES (1, 5) IF NOT EXISTS",
                "DELETE FROM t WHERE p = 1 AND c = 5 IF EXISTS",
                "DELETE FROM t WHERE p = 2 AND c = 5 IF EXISTS",
            )
        ],
        batch(
            "DELETE FROM t WHERE p = 1 AND c = 5 IF EXISTS", "DELETE FROM t WHERE p = 1 AND c = 5 IF v = 3"
        ),
        batch(
            "INSERT INTO t (p, c) VALUES (1, 5) IF NOT EXISTS", "DELETE FROM t WHERE p = 1 AND c = 5 IF v = 3"
        ),
        batch(
            "INSERT INTO t (p, c) VALUES (1, 5) IF NOT EXISTS",
            "DELETE FROM t WHERE p = 1 AND c = 5 IF EXISTS",
        ),
        batch(
            "UPDATE t SET s = 4 WHERE p = 1 IF EXISTS", "UPDATE t SET v = 4 WHERE p = 1 AND c = 1 IF s = 4"
        ),
        batch(
            "DELETE FROM t WHERE p = 1 AND c = 5 IF EXISTS", "DELETE FROM t WHERE p = 1 AND c = 5 IF EXISTS"
        ),
        "UPDATE t SET v = 1 WHERE p IN (1, 2) AND c = 1 IF v = 3",
        "UPDATE t SET v = 1 WHERE p IN () AND c = 1 IF EXISTS",
        ask("DELETE FROM t WHERE p = 1 AND c IN (1, 2) IF v = 3", prepare=True),
        *[
            f"UPDATE t SET w = 1 WHERE p = 1 AND c = 1 IF e {condition}"
            for condition in ("= {}", "!= {}", "> {}", "> null", "IN ({}, {1})")
        ],
        ask("UPDATE t SET w = 1 WHERE p = 1 AND c = 1 IF e > ?", []),
        *[
            f"DELETE {what}"
            for what in (
                "FROM t WHERE p = 1 IF s = 5",
                "FROM t WHERE p = 1 AND c > 7 IF s = 5",
                "FROM t WHERE p = 1 AND c = 7 IF s = 5",
                "s FROM t WHERE p = 1 AND c = 1 IF s = 5",
                "v FROM t WHERE p = 1 AND c = 1 IF s = 5",
                "s FROM t WHERE p = 1 IF v = 5",
                "v FROM t WHERE p = 1",
                "FROM t WHERE p = 1 AND c = 1 IF s = null",
            )
        ],
        "SELECT * FROM t",
    ],
)

INDEXED = Chapter(
    "indexes together",
    [
        "CREATE TABLE t (p int, q int, c int, d int, e set<int>, m map<int,int>, v int, w int, s int static, PRIMARY KEY ((p, q), c, d))",
        "CREATE INDEX ON t (e)",
        "CREATE INDEX ON t (v)",
        "CREATE INDEX ON t (m)",
        "CREATE TABLE u (p int, c int, d int, e set<int>, v int, PRIMARY KEY (p, c, d))",
        "CREATE INDEX ON u (c)",
        "CREATE INDEX ON u (v)",
        "CREATE TABLE y (p int, q int, c int, v int, s int static, PRIMARY KEY ((p, q), c))",
        "CREATE INDEX ON y (q)",
        "CREATE INDEX ON y (s)",
        "SELECT v FROM t WHERE c > 3 AND v = 1",
        "SELECT v FROM t WHERE c = 3 AND v = 1",
        "SELECT v FROM t WHERE d = 3 AND v = 1",
        "SELECT v FROM t WHERE p = 1 AND q = 1 AND c > 3 AND v = 1",
        "SELECT v FROM t WHERE p = 1 AND q = 1 AND d = 3 AND v = 1",
        "SELECT v FROM t WHERE p = 1 AND q = 1 AND (c, d) > (3, 1) AND v = 1",
        "SELECT v FROM t WHERE p = 1 AND q = 1 AND v = 1",
        "SELECT v FROM t WHERE p = 1 AND q IN (1, 2) AND v = 1",
        "SELECT v FROM t WHERE p = 1 AND q IN (1, 2) AND v = 1 ALLOW FILTERING",
        "SELECT v FROM t WHERE p = 1 AND v = 1",
        "SELECT v FROM t WHERE p > 1 AND v = 1",
        "SELECT v FROM t WHERE p IN (1, 2) AND v = 1",
        "SELECT v FROM t WHERE token(p, q) > 1 AND v = 1",
        "SELECT v FROM t WHERE token(p, q) > 1 AND c > 1 AND v = 1",
        "SELECT v FROM t WHERE token(p, q) > 1 AND p = 1 AND v = 1",
        "SELECT v FROM t WHERE token(p, q) > 1 AND c > 1",
        "SELECT v FROM t WHERE v = 1 AND w = 1",
        "SELECT v FROM t WHERE v = 1 AND e CONTAINS 1",
        "SELECT v FROM t WHERE m CONTAINS 1 AND m CONTAINS KEY 1",
        "SELECT v FROM t WHERE m CONTAINS 1 AND m CONTAINS 2",
        "SELECT v FROM t WHERE m CONTAINS 1",
        "SELECT v FROM t WHERE m CONTAINS KEY 1",
        "SELECT v FROM t WHERE p = 1 AND c = 3 AND v = 1",
        "SELECT v FROM t WHERE p = 1 AND q = 1 AND c > 3 AND d = 1 AND v = 1",
        "SELECT v FROM t WHERE p = 1 AND q = 1 AND c IN (1, 2) AND v = 1",
        "SELECT v FROM t WHERE c IN (1, 2) AND v = 1",
        "SELECT v FROM t WHERE v = 1 ORDER BY c",
        "SELECT v FROM t WHERE c = 3 AND v = 1 ORDER BY c",
        "SELECT DISTINCT v FROM t WHERE c = 3",
        "SELECT v FROM t WHERE c = 3 ORDER BY c",
        "SELECT v FROM t WHERE c = 3 ORDER BY v",
        "SELECT count(v) FROM t WHERE c = 3 PER PARTITION LIMIT 1",
        "SELECT v FROM u WHERE c = 1",
        "SELECT v FROM u WHERE c = 1 AND d = 1",
        "SELECT v FROM u WHERE c = 1 AND d > 1",
        "SELECT v FROM u WHERE c > 1",
        "SELECT v FROM u WHERE p = 1 AND c = 1",
        "SELECT v FROM u WHERE p = 1 AND c = 1 AND v = 1",
        "SELECT v FROM u WHERE c = 1 AND v = 1",
        "SELECT v FROM u WHERE d = 1 AND c = 1",
        "SELECT v FROM u WHERE d = 1",
        "SELECT v FROM u WHERE p = 1 AND d = 1 AND v = 1",
        "SELECT v FROM u WHERE p = 1 AND d = 1",
        "SELECT v FROM u WHERE (c, d) = (1, 1)",
        "SELECT v FROM u WHERE (c) = (1)",
        "SELECT v FROM u WHERE c IN (1, 2)",
        "SELECT v FROM u WHERE token(p) > 1 AND c = 1",
        "SELECT v FROM u WHERE p IN (1, 2) AND c = 1",
        "SELECT v FROM y WHERE q = 1",
        "SELECT v FROM y WHERE q = 1 AND p = 1",
        "SELECT v FROM y WHERE q = 1 AND c = 1",
        "SELECT v FROM y WHERE q = 1 AND v = 1",
        "SELECT v FROM y WHERE p = 1 AND s = 1",
        "SELECT v FROM y WHERE s = 1",
        "SELECT v FROM y WHERE s = 1 AND c = 1",
        "SELECT v FROM y WHERE s = 1 AND q = 1",
        "SELECT v FROM y WHERE p = 1 AND q = 1 AND s = 1",
        "SELECT v FROM y WHERE p = 1 AND q = 1 AND c > 1 AND s = 1",
        "SELECT s FROM y WHERE s = 1",
        "SELECT DISTINCT s FROM y WHERE s = 1",
        "SELECT DISTINCT p, q, s FROM y WHERE s = 1",
        "CREATE TABLE g (p int, c frozen<map<int,int>>, d int, PRIMARY KEY (p, c, d)) WITH CLUSTERING ORDER BY (c DESC, d DESC)",
        "SELECT * FROM g WHERE p = 1 AND c CONTAINS 1 ALLOW FILTERING",
        "SELECT * FROM g WHERE p = 1 AND c CONTAINS KEY 1 ALLOW FILTERING",
        "SELECT * FROM g WHERE p = 1 AND c[1] = 1 ALLOW FILTERING",
        "SELECT DISTINCT p FROM g WHERE p IN (1, 2) ORDER BY c",
        "SELECT DISTINCT p FROM g WHERE p IN (1, 2) ORDER BY c ASC, d ASC",
        "SELECT DISTINCT p FROM g WHERE p IN (1, 2) ORDER BY d ASC",
        "SELECT DISTINCT p FROM g WHERE p = 1 ORDER BY c",
        "SELECT p FROM g WHERE p IN (1, 2) ORDER BY d ASC",
        "SELECT p FROM g WHERE p IN (1, 2) ORDER BY c ASC, d ASC",
        "SELECT * FROM u WHERE (c, d) = (1, 1) AND p = 1",
        "SELECT * FROM u WHERE (c, d) > (1, 1) AND p = 1 AND v = 1",
        "SELECT * FROM u WHERE (c, d) IN ((1, 1), (2, 2)) AND p = 1 AND v = 1",
    ],
)

KEYS = Chapter(
    "keys and tokens",
    [
        "CREATE TABLE t (q text PRIMARY KEY)",
        "INSERT INTO t (q) VALUES ('a')",
        "INSERT INTO t (q) VALUES ('b')",
        "SELECT * FROM t WHERE q = '' AND token(q) > token('a')",
        "SELECT * FROM t WHERE q = '' AND token(q) < token('a')",
        "SELECT * FROM t WHERE q = '' AND token(q) >= token('')",
        "SELECT * FROM t WHERE q = '' AND token(q) > token('')",
        "SELECT * FROM t WHERE q = '' AND token(q) <= token('')",
        "SELECT * FROM t WHERE q = '' AND token(q) < token('')",
        "SELECT * FROM t WHERE q = 'a' AND token(q) < token('')",
        "SELECT * FROM t WHERE q = 'a' AND token(q) = token('a')",
        "SELECT * FROM t WHERE q = 'a' AND token(q) = token('b')",
        "SELECT * FROM t WHERE q = 'a' AND token(q) > token('b') AND token(q) <= token('a')",
        "SELECT * FROM t WHERE q = 'a' AND token(q) > token('b') AND token(q) < token('a')",
        "SELECT * FROM t WHERE q = 'b' AND token(q) >= token('b') AND token(q) < token('a')",
        "SELECT * FROM t WHERE q IN ('a', 'b') AND token(q) >= token('b') AND token(q) <= token('a')",
        "SELECT * FROM t WHERE q IN ('a', 'b') AND token(q) >= token('b') AND token(q) < token('b')",
        "SELECT * FROM t WHERE token(q) >= token('b') AND token(q) <= token('a')",
        "SELECT * FROM t WHERE token(q) >= token('a') AND token(q) <= token('b')",
        "DELETE FROM t WHERE q = '' AND token(q) > token('a')",
        "SELECT * FROM t WHERE q IN ('', 'b') AND token(q) > token('a')",
        "DELETE FROM t WHERE q = 'a' AND token(q) > token('b') AND token(q) <= token('a')",
        "UPDATE t SET v = 1 WHERE q = 'b' AND token(q) < token('b')",
        "SELECT * FROM t",
        "DELETE FROM t WHERE q = 'b' AND token(q) < token('b')",
        "DELETE FROM t WHERE q = 'b' AND token(q) < token('b') IF EXISTS",
        "BEGIN BATCH DELETE FROM t WHERE q = 'b' AND token(q) < token('b') IF EXISTS; DELETE FROM t WHERE q = 'a'; APPLY BATCH",
        "SELECT * FROM t",
        "CREATE TABLE k (q int, c int, v int, PRIMARY KEY (q, c))",
        "SELECT * FROM k WHERE token(q) > 5 AND q = 1 AND c = 3",
        "SELECT count(*) FROM k WHERE token(q) > 5 AND q = 1 AND c = 3",
    ],
)

CHAPTERS = [KEYS, RING, RELATIONS, TOGETHER, INDEXED]
