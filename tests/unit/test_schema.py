"""Which steps of a migration take something from the release that serves."""

from __future__ import annotations

import pytest
from ansible.module_utils.slipway_release.schema import statements, unsafe_steps

EXPANDING = [
    "CREATE TABLE entry (id SERIAL NOT NULL, PRIMARY KEY (id));",
    "ALTER TABLE entry ADD COLUMN mood VARCHAR(20);",
    "ALTER TABLE entry ADD COLUMN mood VARCHAR(20) DEFAULT 'fine' NOT NULL;",
    "ALTER TABLE entry ADD COLUMN at TIMESTAMP DEFAULT now() NOT NULL;",
    "CREATE INDEX CONCURRENTLY ix ON entry (mood);",
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix ON entry (mood);",
    "CREATE TABLE a (id INT); CREATE INDEX ix_a ON a (id); ALTER TABLE a ADD CONSTRAINT u UNIQUE (id);",
    "ALTER TABLE entry ADD CONSTRAINT c CHECK (id > 0) NOT VALID;",
    "ALTER TABLE entry VALIDATE CONSTRAINT c;",
    "ALTER TABLE entry ADD CONSTRAINT u UNIQUE USING INDEX ix;",
    "ALTER TABLE entry ALTER COLUMN mood DROP NOT NULL;",
    "ALTER TABLE entry ALTER COLUMN mood SET DEFAULT 'x';",
    "UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';",
    "DELETE FROM alembic_version WHERE version_num = '0001';",
    "INSERT INTO note VALUES ('; DROP TABLE entry; --');",
    "-- DROP TABLE entry;\nSELECT 1;",
    "COMMENT ON TABLE entry IS 'do not DROP COLUMN it';",
]
UNSAFE = [
    ("DROP TABLE entry;", "drops the table entry"),
    ('DROP TABLE IF EXISTS public."Entry";', "drops the table entry"),
    ("ALTER TABLE entry DROP COLUMN mood;", "drops the column entry.mood"),
    ('ALTER TABLE "user" DROP COLUMN IF EXISTS "full name";', "drops the column user.full name"),
    ("ALTER TABLE entry RENAME mood TO feeling;", "renames entry.mood"),
    ("ALTER TABLE entry RENAME TO entries;", "renames the table entry"),
    ("ALTER TABLE entry ALTER COLUMN mood TYPE TEXT;", "changes the type of entry.mood"),
    ("ALTER TABLE entry ALTER COLUMN mood SET NOT NULL;", "forbids NULL in entry.mood"),
    ("ALTER TABLE entry ADD COLUMN mood TEXT NOT NULL;", "adds entry.mood as NOT NULL without a default"),
    ("ALTER TABLE entry ADD COLUMN u UUID DEFAULT gen_random_uuid();", "adds entry.u with a computed value"),
    ("ALTER TABLE entry ADD COLUMN n BIGSERIAL;", "adds entry.n with a computed value"),
    ("CREATE INDEX ix ON entry (mood);", "makes an index on entry"),
    ("CREATE UNIQUE INDEX ON entry (mood);", "makes an index on entry"),
    ("ALTER TABLE entry ADD CONSTRAINT u UNIQUE (mood);", "adds a constraint (UNIQUE) to entry"),
    ("ALTER TABLE entry ADD FOREIGN KEY(a) REFERENCES b (id);", "adds a constraint (FOREIGN KEY) to entry"),
    ("TRUNCATE entry;", "empties the table entry"),
    ("DELETE FROM entry WHERE id < 5;", "deletes rows of entry"),
    ("DROP TYPE mood;", "drops mood"),
    ("LOCK TABLE entry;", "locks the table entry"),
    ("BEGIN;\n\n-- upgrade 1 -> 2\n\nALTER TABLE entry\n  DROP COLUMN mood;\nCOMMIT;", "drops the column entry.mood"),
    ("CREATE TABLE a (id INT);\nDROP TABLE b;", "drops the table b"),
]  # fmt: skip


@pytest.mark.parametrize("sql", EXPANDING)
def test_a_step_that_only_adds_is_safe(sql):
    assert unsafe_steps(sql) == []


@pytest.mark.parametrize(("sql", "step"), UNSAFE, ids=[sql[:40] for sql, _step in UNSAFE])
def test_a_step_that_takes_away_or_locks_is_told(sql, step):
    found = unsafe_steps(sql)
    assert len(found) == 1 and found[0].startswith(step), found


def test_semicolons_inside_quotes_end_no_statement():
    assert statements("A 'x;''y'; B $$ c; d $$; E $f$ g; $f$;") == ["A 'x;''y'", "B $$ c; d $$", "E $f$ g; $f$"]
