-- +goose Up
-- Finished jobs by their end, and requests by their beginning: how those that are old enough to be removed are found.
CREATE INDEX jobs_ended_idx ON jobs (ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX requests_created_idx ON requests (created_at, id);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('jobs', 'jobs_ended_idx', '10000000 2 1'),
    ('requests', 'requests_created_idx', '100000 2 1');
ANALYZE sqlite_schema;

-- Who compares a server's host with the database, and when it is due again; times are the database's clock. A pass that ended, or
-- whose process died, has an expires_at in the past.
CREATE TABLE server_watches (
    server_id  TEXT NOT NULL PRIMARY KEY REFERENCES servers (id),
    pass       TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL
) WITHOUT ROWID;

-- What the passes have seen on a server's host that no phone needs any more.
CREATE TABLE orphans (
    server_id  TEXT NOT NULL REFERENCES servers (id),
    object     TEXT NOT NULL CHECK (object IN ('instance', 'volume')),
    phone_id   TEXT NOT NULL,
    generation INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    seen       INTEGER NOT NULL CHECK (seen > 0),
    PRIMARY KEY (server_id, object, phone_id, generation)
) WITHOUT ROWID;

-- Why a phone is abnormal; '' of one that is not.
ALTER TABLE phones ADD COLUMN cause TEXT NOT NULL DEFAULT '';

-- A start makes no new life: its target is the life that it starts, which some other job has made. (migratestart.go changes the
-- constraints of requests and jobs.)
CREATE UNIQUE INDEX jobs_target_key ON jobs (phone_id, target, CASE kind WHEN 'start' THEN id ELSE '' END);
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('jobs', 'jobs_target_key', '10000000 10 1 1');
ANALYZE sqlite_schema;
