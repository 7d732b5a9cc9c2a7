"""Which steps of a migration take something from the release that serves, lock what it uses, or cannot be read."""

from __future__ import annotations

import random

import pytest
from ansible.module_utils.slipway_app import schema
from ansible.module_utils.slipway_app.schema import judge, unsafe_steps

# What the database has: as check_app tells it.
THERE = {
    "relations": [
        ["public", "entry", "table"],
        ["other", "entry", "table"],
        ["public", "totals", "relation"],
        ["public", "touch", "function"],
        ["public", "percent", "domain"],
        ["public", "entry.id", "key"],
    ],
    "path": ["public"],
    "user": "shop",
    "version_table": "shop_version",
}
EXPANDING = [
    "CREATE TABLE entry (id SERIAL NOT NULL, PRIMARY KEY (id));",
    "ALTER TABLE entry ADD COLUMN mood VARCHAR(20);",
    "ALTER TABLE entry ADD COLUMN mood VARCHAR(20) DEFAULT 'fine' NOT NULL;",
    "ALTER TABLE entry ADD COLUMN at TIMESTAMP DEFAULT now() NOT NULL;",
    "ALTER TABLE entry ADD COLUMN at TIMESTAMP DEFAULT timezone('utc', now()) NOT NULL;",
    "ALTER TABLE entry ADD COLUMN at TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP NOT NULL;",
    "ALTER TABLE entry ADD COLUMN more JSONB DEFAULT '{}'::jsonb NOT NULL;",
    "ALTER TABLE entry ADD COLUMN tags TEXT[] DEFAULT ARRAY[]::TEXT[] NOT NULL;",
    "ALTER TABLE entry ADD COLUMN parent INT REFERENCES parent (id);",
    "ALTER TABLE entry ADD COLUMN IF NOT EXISTS mood mood_kind;",
    "CREATE INDEX CONCURRENTLY ix ON entry (mood);",
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix ON entry (mood);",
    "CREATE TABLE a (id INT); CREATE INDEX ix_a ON a (id); ALTER TABLE a ADD CONSTRAINT u UNIQUE (id);",
    "CREATE TABLE a (id INT); INSERT INTO a VALUES (1); UPDATE a SET id = 2; DELETE FROM a; DROP TABLE a;",
    "CREATE TABLE a (id INT); ALTER TABLE a RENAME TO b; ALTER TABLE b DROP COLUMN id;",
    "CREATE TEMP TABLE entry (id INT); DROP TABLE entry;",
    "CREATE TABLE a AS SELECT generate_series(1, 100) AS number; DROP TABLE a;",
    "ALTER TABLE entry ADD CONSTRAINT c CHECK (id > 0) NOT VALID;",
    "ALTER TABLE entry ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES b (id) NOT VALID;",
    "ALTER TABLE entry VALIDATE CONSTRAINT c;",
    "ALTER TABLE entry ADD CONSTRAINT u UNIQUE USING INDEX ix;",
    "ALTER TABLE entry ALTER COLUMN mood DROP NOT NULL;",
    "ALTER TABLE entry ALTER COLUMN mood SET DEFAULT 'x';",
    "ALTER TABLE entry ALTER COLUMN mood SET STATISTICS 500, ALTER COLUMN mood SET STORAGE EXTERNAL;",
    "ALTER TABLE entry SET (fillfactor = 80);",
    "UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';",
    "DELETE FROM alembic_version WHERE version_num = '0001';",
    "INSERT INTO note VALUES ('; DROP TABLE entry; --');",
    "INSERT INTO note VALUES (E'\\'; DROP TABLE entry; --');",
    "INSERT INTO note VALUES ($$; DROP TABLE entry; --$$), ($a$ $$; TRUNCATE entry; $$ $a$);",
    "INSERT INTO note (id, at) VALUES (gen_random_uuid(), now()) ON CONFLICT (id) DO UPDATE SET at = now();",
    "INSERT INTO note SELECT id, upper(mood) FROM entry ON CONFLICT DO NOTHING;",
    "UPDATE entry SET mood = 'fine' WHERE id = 7;",
    "UPDATE entry SET mood = 'fine' WHERE id IN (7, 8) AND mood IS NULL;",
    "UPDATE entry SET mood = 'fine' WHERE id BETWEEN 1 AND 1000;",
    "UPDATE entry SET mood = 'fine' WHERE id IN (SELECT id FROM entry WHERE mood IS NULL LIMIT 1000);",
    "-- DROP TABLE entry;\nSELECT 1;",
    "/* DROP TABLE entry; /* nested */ */ SELECT count(*) FROM entry;",
    "COMMENT ON TABLE entry IS 'do not DROP COLUMN it';",
    "CREATE TYPE mood AS ENUM ('fine'); ALTER TYPE mood ADD VALUE 'sad'; CREATE SEQUENCE s; CREATE SCHEMA more;",
    "CREATE VIEW seen AS SELECT id FROM entry; CREATE OR REPLACE VIEW seen AS SELECT id FROM entry;",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
    "GRANT SELECT ON entry TO reader;",
    "BEGIN; SET LOCAL lock_timeout = '2s'; SET statement_timeout TO 60000; COMMIT;",
    "VACUUM ANALYZE entry; ANALYZE entry; REINDEX INDEX CONCURRENTLY ix; REFRESH MATERIALIZED VIEW CONCURRENTLY m;",
    "",
]
UNSAFE = [
    ("DROP TABLE entry;", "drops the table entry"),
    ('DROP TABLE IF EXISTS public."Entry";', "drops the table entry"),
    ("ALTER TABLE entry DROP COLUMN mood;", "drops the column entry.mood"),
    ("ALTER TABLE entry DROP mood;", "drops the column entry.mood"),
    ("ALTER TABLE IF EXISTS ONLY entry DROP IF EXISTS mood CASCADE;", "drops the column entry.mood"),
    ("alter table entry add note text, drop mood;", "drops the column entry.mood"),
    ('ALTER TABLE "user" DROP COLUMN IF EXISTS "full name";', "drops the column user.full name"),
    ("ALTER TABLE entry RENAME mood TO feeling;", "renames entry.mood"),
    ("ALTER TABLE entry RENAME TO entries;", "renames the table entry"),
    ("ALTER TABLE entry RENAME CONSTRAINT a TO b;", "renames entry.a"),
    ("ALTER SCHEMA public RENAME TO gone;", "renames public"),
    ("ALTER TYPE mood RENAME TO feeling;", "renames mood"),
    ("ALTER TYPE mood RENAME VALUE 'fine' TO 'well';", "renames the value fine of mood"),
    ("ALTER VIEW totals RENAME TO sums;", "renames the view totals"),
    ("ALTER INDEX ix RENAME TO iy;", "renames the index ix"),
    ("ALTER FUNCTION touch() RENAME TO feel;", "renames touch"),
    ("ALTER TABLE entry ALTER COLUMN mood TYPE TEXT;", "changes the type of entry.mood"),
    ("ALTER TABLE entry ALTER COLUMN mood SET NOT NULL;", "forbids NULL in entry.mood"),
    ("ALTER TABLE entry ALTER mood DROP DEFAULT;", "drops the default of entry.mood"),
    ("ALTER TABLE entry DROP CONSTRAINT u;", "drops the constraint u of entry"),
    ("ALTER TABLE entry SET SCHEMA archive;", "moves entry to the schema archive"),
    ("ALTER TABLE entry OWNER TO other;", "gives entry another owner"),
    ("ALTER TABLE entry SET TABLESPACE slow;", "moves entry to another tablespace"),
    ("ALTER TABLE entry SET UNLOGGED;", "rewrites entry under a lock"),
    ("ALTER TABLE entry ENABLE ROW LEVEL SECURITY;", "hides rows of entry"),
    ("ALTER TABLE entry ATTACH PARTITION p DEFAULT;", "attaches a partition to entry"),
    ("ALTER TABLE entry DETACH PARTITION p;", "detaches a partition of entry"),
    ("ALTER TABLE entry DISABLE TRIGGER ALL;", "changes entry in a way that this gate does not know"),
    ("ALTER TABLE entry ADD COLUMN mood TEXT NOT NULL;", "adds entry.mood as NOT NULL without a default"),
    ("ALTER TABLE entry ADD mood TEXT DEFAULT NULL NOT NULL;", "adds entry.mood as NOT NULL without a default"),
    ("ALTER TABLE entry ADD COLUMN u UUID DEFAULT gen_random_uuid();", "adds entry.u with a computed value"),
    ("ALTER TABLE entry ADD COLUMN t TIMESTAMP DEFAULT clock_timestamp();", "adds entry.t with a computed value"),
    ("ALTER TABLE entry ADD COLUMN n BIGSERIAL;", "adds entry.n with a computed value"),
    ("ALTER TABLE entry ADD n INT GENERATED ALWAYS AS IDENTITY;", "adds entry.n with a computed value"),
    ("ALTER TABLE entry ADD n INT GENERATED ALWAYS AS (id * 2) STORED;", "adds entry.n with a computed value"),
    ("ALTER TABLE entry ADD COLUMN n INT UNIQUE;", "adds a constraint (UNIQUE) to entry"),
    ("ALTER TABLE entry ADD COLUMN n INT CHECK (n > 0);", "adds a constraint (CHECK) to entry"),
    ("CREATE INDEX ix ON entry (mood);", "makes an index on entry"),
    ("CREATE UNIQUE INDEX ON entry (mood);", "makes an index on entry"),
    ("ALTER TABLE entry ADD CONSTRAINT u UNIQUE (mood);", "adds a constraint (UNIQUE) to entry"),
    ("ALTER TABLE entry ADD FOREIGN KEY(a) REFERENCES b (id);", "adds a constraint (FOREIGN KEY) to entry"),
    ("ALTER TABLE entry ADD CHECK (mood IS NOT NULL) NOT VALID;", "adds a constraint (NOT NULL) to entry"),
    ("ALTER TABLE entry ADD PRIMARY KEY USING INDEX ix;", "adds a constraint (PRIMARY KEY) to entry"),
    ("TRUNCATE entry;", "empties the table entry"),
    ("DELETE FROM entry WHERE id < 5;", "deletes rows of entry"),
    ("UPDATE entry SET mood = 'fine';", "changes rows of entry without a bound"),
    ("UPDATE entry SET mood = 'fine' WHERE true;", "changes rows of entry without a bound"),
    ("UPDATE entry SET mood = 'fine' WHERE 1 = 1;", "changes rows of entry without a bound"),
    ("UPDATE entry SET mood = 'fine' WHERE id = id;", "changes rows of entry without a bound"),
    ("UPDATE entry SET mood = 'fine' WHERE id = 1 OR mood IS NULL;", "changes rows of entry without a bound"),
    ("UPDATE entry SET mood = 'fine' WHERE NOT id = 1;", "changes rows of entry without a bound"),
    ("UPDATE entry SET mood = 'fine' WHERE mood IS NULL;", "changes rows of entry without a bound"),
    ("WITH gone AS (DELETE FROM entry RETURNING *) SELECT count(*) FROM gone;", "deletes rows of entry"),
    ("WITH a AS (UPDATE entry SET mood = '' RETURNING 1) INSERT INTO b SELECT 1 FROM a;", "changes rows of entry"),
    ("INSERT INTO entry SELECT * FROM b ON CONFLICT (id) DO UPDATE SET mood = '';", "changes rows of entry"),
    ("MERGE INTO entry e USING b ON e.id = b.id WHEN MATCHED THEN DELETE;", "changes or deletes rows of entry"),
    ("SELECT id FROM entry FOR UPDATE;", "locks rows"),
    ("EXPLAIN ANALYZE SELECT 1;", "runs a statement by EXPLAIN ANALYZE"),
    ("DROP TYPE mood;", "drops mood"),
    ("DROP INDEX CONCURRENTLY ix;", "drops the index ix"),
    ("DROP INDEX ix;", "drops the index ix, on which the old release may rely, under a lock"),
    ("DROP TRIGGER t ON entry;", "drops the trigger t of entry"),
    ("DROP POLICY p ON entry;", "drops the policy p of entry"),
    ("DROP RULE r ON entry;", "drops the rule r of entry"),
    ("DROP FUNCTION touch(int);", "drops touch"),
    ("DROP DOMAIN percent;", "drops percent"),
    ("DROP EXTENSION hstore;", "drops hstore"),
    ("DROP OWNED BY shop;", "runs a statement that this gate does not know"),
    ("REVOKE SELECT ON entry FROM shop;", "takes rights away"),
    ("ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM shop;", "takes rights away"),
    ("CREATE TRIGGER t BEFORE INSERT ON entry EXECUTE FUNCTION touch();", "makes a trigger on entry"),
    ("CREATE RULE r AS ON INSERT TO entry DO INSTEAD NOTHING;", "makes a rule on entry"),
    ("CREATE POLICY p ON entry USING (false);", "makes a policy on entry"),
    ("CREATE TABLE p PARTITION OF entry DEFAULT;", "makes a part of the table entry"),
    ("CREATE TABLE p () INHERITS (entry);", "makes a part of the table entry"),
    ("ALTER SEQUENCE s RESTART WITH 1;", "changes the sequence s"),
    ("ALTER DOMAIN percent ADD CHECK (VALUE < 100);", "changes the domain percent"),
    ("ALTER ROLE shop SET search_path = other;", "runs a statement that this gate does not know"),
    ("ALTER DATABASE shop SET search_path = other;", "runs a statement that this gate does not know"),
    ("LOCK TABLE entry;", "locks the table entry"),
    ("VACUUM FULL entry;", "rewrites the table entry"),
    ("CLUSTER entry USING ix;", "rewrites the table entry"),
    ("REINDEX TABLE entry;", "rebuilds an index of entry under a lock"),
    ("REFRESH MATERIALIZED VIEW sums;", "fills sums anew under a lock"),
    ("DO $$ BEGIN NULL; END $$;", "runs a block of code (DO)"),
    ("DO 'BEGIN DROP TABLE entry; END';", "runs a block of code (DO)"),
    ("SELECT drop_everything();", "calls the function drop_everything()"),
    ("SELECT public.now();", "calls the function public.now()"),
    ("SELECT set_config('search_path', 'other', false);", "calls the function set_config()"),
    ("CREATE TABLE a AS SELECT gone();", "calls the function gone()"),
    ("PREPARE a AS SELECT 1;", "runs a statement that this gate does not know"),
    ("EXECUTE a;", "runs a statement that this gate does not know"),
    ("CALL a();", "runs a statement that this gate does not know"),
    ("COPY entry FROM PROGRAM 'x';", "runs a statement that this gate does not know"),
    ("DISCARD ALL;", "runs a statement that this gate does not know"),
    ("SET search_path = other;", "sets search_path"),
    ("SET SCHEMA 'other';", "sets search_path"),
    ("SET ROLE other;", "sets role"),
    ("SET SESSION AUTHORIZATION other;", "sets session_authorization"),
    ("SET standard_conforming_strings = off;", "sets standard_conforming_strings"),
    ("SET session_replication_role = replica;", "sets session_replication_role"),
    ("SET lock_timeout = 0;", "lifts lock_timeout"),
    ("SET lock_timeout = DEFAULT;", "lifts lock_timeout"),
    ("RESET ALL;", "takes all settings of the session back"),
    ("CREATE SCHEMA AUTHORIZATION shop;", "makes the schema of the user"),
    ("BEGIN;\n\n-- upgrade 1 -> 2\n\nALTER TABLE entry\n  DROP COLUMN mood;\nCOMMIT;", "drops the column entry.mood"),
    ("/* quick */ DROP /* it */ TABLE -- now\n entry;", "drops the table entry"),
    ("CREATE TABLE a (id INT);\nDROP TABLE b;", "drops the table b"),
    ("CREATE TABLE a (id INT); ROLLBACK; DROP TABLE a;", "drops the table a"),
    ("CREATE TEMP TABLE entry (id INT); DROP TABLE entry; DROP TABLE entry;", "drops the table entry"),
    ("CREATE TABLE IF NOT EXISTS entry (id INT); ALTER TABLE entry DROP COLUMN mood;", "drops the column entry.mood"),
    ("CREATE TABLE other.thing (id INT); ALTER TABLE thing DROP COLUMN mood;", "drops the column thing.mood"),
    ("SELEC 1;", "cannot be read: syntax error"),
    ("ALTER TABLE `entry` DROP COLUMN `mood`;", "cannot be read"),
]  # fmt: skip
KNOWN = [  # what the database itself decides
    ("CREATE TABLE IF NOT EXISTS entry (id INT); DROP TABLE entry;", ["drops the table entry"]),
    ("CREATE TABLE IF NOT EXISTS a (id INT); DROP TABLE a;", []),
    ("CREATE OR REPLACE VIEW totals AS SELECT 1;", ["replaces the view totals"]),
    ("CREATE OR REPLACE VIEW sums AS SELECT 1;", []),
    ("CREATE OR REPLACE FUNCTION touch() RETURNS int LANGUAGE sql AS '';", ["replaces the function touch"]),
    ("CREATE OR REPLACE FUNCTION other() RETURNS int LANGUAGE sql AS '';", []),
    ("ALTER TABLE entry ADD COLUMN p percent;", ["adds entry.p with a computed value"]),
    ("CREATE SCHEMA shop;", ["makes the schema shop"]),
    ("UPDATE entry SET mood = '' WHERE id = 1;", []),
    ("UPDATE entry SET mood = '' WHERE mood = 'sad';", ["changes rows of entry without a bound"]),
    ("DELETE FROM shop_version;", []),
    ("CREATE TABLE other.entry (id INT); DROP TABLE public.entry;", ["drops the table entry"]),
]


@pytest.mark.parametrize("sql", EXPANDING)
def test_a_step_that_only_adds_is_safe(sql):
    assert unsafe_steps(sql) == []


@pytest.mark.parametrize(("sql", "step"), UNSAFE, ids=[sql[:40] for sql, _step in UNSAFE])
def test_a_step_that_takes_away_or_locks_is_told(sql, step):
    found = unsafe_steps(sql)
    assert found and found[0].startswith(step), found
    assert len(found) == 1 or "CASCADE" in sql or "calls the function" in found[1], found


@pytest.mark.parametrize(("sql", "steps"), KNOWN, ids=[sql[:40] for sql, _steps in KNOWN])
def test_what_the_database_has_is_asked(sql, steps):
    found = unsafe_steps(sql, THERE)
    assert len(found) == len(steps) and all(map(str.startswith, found, steps)), found


def test_a_table_that_hides_the_one_in_use_is_told():
    there = THERE | {"path": ["shop", "public"]}
    assert "hides the one that is in use" in unsafe_steps("CREATE TABLE entry (id INT);", there)[0]


def test_each_of_several_databases_is_named():
    found = judge([{"name": "", "sql": "DROP TABLE a"}, {"name": "users", "sql": "DROP TABLE a; SELECT 1"}])
    assert found == ["drops the table a", "drops the table a (database users)"]


def test_without_its_parser_nothing_passes(monkeypatch):
    monkeypatch.setattr(schema, "ast", None)
    assert "pglast" in unsafe_steps("SELECT 1")[0]


# Whatever stands around and before it, an unsafe statement is found.
def disguised(sql: str, chance: random.Random) -> str:
    """Return a statement with other case, blanks and comments between its words, and harmless ones around it."""
    around = [each for each in EXPANDING if "CREATE TEMP" not in each and "CREATE TABLE entry" not in each]
    between = [" ", "\n", "\t ", " /* ; */ ", " -- DROP TABLE x;\n", " /* a /* b */ ' */ "]
    words = sql.split(" ") if not any(sign in sql for sign in "'$\"") else [sql]
    text = chance.choice(between).join(chance.choice([word, word.swapcase()]) if words[1:] else word for word in words)
    before, after = (" ".join(chance.sample(around, 3)) for _ in range(2))
    return f"{before}\n{text}\n{after}"


@pytest.mark.parametrize("seed", range(300))
def test_no_disguise_hides_a_step(seed):
    chance = random.Random(seed)
    sql, _step = chance.choice([each for each in UNSAFE if "cannot be read" not in each[1]])
    assert unsafe_steps(disguised(sql, chance)), sql
