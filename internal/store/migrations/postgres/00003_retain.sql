-- +goose Up
-- Finished jobs by their end, and requests by their beginning: how those that are old enough to be removed are found.
CREATE INDEX jobs_ended_idx ON jobs (ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX requests_created_idx ON requests (created_at, id);

-- Who compares a server's host with the database, and when it is due again; times are the database's clock. A pass that ended, or
-- whose process died, has an expires_at in the past.
CREATE TABLE server_watches (
    server_id  TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES servers (id),
    pass       TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    due_at     BIGINT NOT NULL
);

-- What the passes have seen on a server's host that no phone needs any more.
CREATE TABLE orphans (
    server_id  TEXT COLLATE "C" NOT NULL REFERENCES servers (id),
    object     TEXT COLLATE "C" NOT NULL CHECK (object IN ('instance', 'volume')),
    phone_id   TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,
    seen       BIGINT NOT NULL CHECK (seen > 0),
    PRIMARY KEY (server_id, object, phone_id, generation)
);

-- Why a phone is abnormal; '' of one that is not.
ALTER TABLE phones ADD COLUMN cause TEXT NOT NULL DEFAULT '';

-- A start makes no new life: its target is the life that it starts, which some other job has made.
ALTER TABLE requests DROP CONSTRAINT requests_kind_check, ADD CONSTRAINT requests_kind_check CHECK (kind IN ('create', 'reset', 'start'));
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check, ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('create', 'reset', 'start')),
    DROP CONSTRAINT jobs_generation_check, ADD CONSTRAINT jobs_generation_check CHECK (target > prior OR kind = 'start' AND target = prior),
    DROP CONSTRAINT jobs_target_key;
CREATE UNIQUE INDEX jobs_target_key ON jobs (phone_id, target, (CASE kind WHEN 'start' THEN id ELSE '' END));
