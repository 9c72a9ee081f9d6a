-- +goose Up
-- Ids are 32 lower-case hex digits, times microseconds since 1970 UTC, sets and records JSON text.

CREATE TABLE installation (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id  TEXT NOT NULL
);

CREATE TABLE accounts (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT accounts_name_key UNIQUE (name)
);

CREATE TABLE projects (
    id         TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT projects_name_key UNIQUE (account_id, name)
);

CREATE TABLE users (
    id            TEXT NOT NULL PRIMARY KEY,
    account_id    TEXT NOT NULL REFERENCES accounts (id),
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    owner         INTEGER NOT NULL CHECK (owner IN (0, 1)),
    policies      TEXT NOT NULL,
    epoch         INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    CONSTRAINT users_name_key UNIQUE (account_id, name)
);

CREATE TABLE access_keys (
    id         TEXT NOT NULL PRIMARY KEY,
    secret     TEXT NOT NULL,
    user_id    TEXT NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL
);

CREATE TABLE tokens (
    hash       BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    user_id    TEXT NOT NULL REFERENCES users (id),
    epoch      INTEGER NOT NULL,
    project_id TEXT NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX tokens_expires_idx ON tokens (expires_at);

CREATE TABLE images (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    project_id TEXT NOT NULL, -- '' for a public image
    label      TEXT NOT NULL,
    os_name    TEXT NOT NULL,
    reference  TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT images_name_key UNIQUE (project_id, name)
);

CREATE TABLE servers (
    id                   TEXT NOT NULL PRIMARY KEY,
    name                 TEXT NOT NULL,
    project_id           TEXT NOT NULL REFERENCES projects (id),
    driver               TEXT NOT NULL,
    endpoint             TEXT NOT NULL,
    config               TEXT NOT NULL,
    image_label          TEXT NOT NULL,
    model                TEXT NOT NULL,
    phone_model          TEXT NOT NULL,
    status               INTEGER NOT NULL CHECK (status IN (2, 5)),
    max_concurrent_boots INTEGER NOT NULL CHECK (max_concurrent_boots > 0),
    boot_timeout         INTEGER NOT NULL,
    port_base            INTEGER NOT NULL CHECK (port_base BETWEEN 0 AND 65535),
    capacity             INTEGER NOT NULL CHECK (capacity >= 0),
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL
);
CREATE UNIQUE INDEX servers_name_key ON servers (project_id, name);
CREATE INDEX servers_list_idx ON servers (project_id, created_at DESC, id);
CREATE INDEX servers_endpoint_idx ON servers (endpoint);

-- What a server's host resolved an image to.
CREATE TABLE host_images (
    server_id       TEXT NOT NULL REFERENCES servers (id),
    image_id        TEXT NOT NULL REFERENCES images (id),
    identity_id     TEXT NOT NULL,
    identity_digest TEXT NOT NULL,
    prepared_at     INTEGER NOT NULL,
    PRIMARY KEY (server_id, image_id)
) WITHOUT ROWID;

CREATE TABLE phones (
    id              TEXT NOT NULL PRIMARY KEY,
    name            TEXT NOT NULL,
    project_id      TEXT NOT NULL REFERENCES projects (id),
    server_id       TEXT NOT NULL REFERENCES servers (id),
    model           TEXT NOT NULL,
    image_id        TEXT NOT NULL REFERENCES images (id),
    status          INTEGER NOT NULL CHECK (status IN (1, 2, 3, 4, 6, 7, 8, -5, -6, -7, -8, -9)),
    generation      INTEGER NOT NULL CHECK (generation >= 0),
    last_generation INTEGER NOT NULL CHECK (last_generation >= generation),
    properties      TEXT NOT NULL,
    adb_port        INTEGER NOT NULL CHECK (adb_port BETWEEN 0 AND 65535),
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
);
CREATE UNIQUE INDEX phones_name_key ON phones (project_id, name);
CREATE UNIQUE INDEX phones_port_key ON phones (server_id, adb_port);
CREATE INDEX phones_list_idx ON phones (project_id, created_at DESC, id, name); -- the name is searched in the index
CREATE INDEX phones_server_idx ON phones (server_id, created_at DESC, id);

-- How many phones a project has in each status is the sum of n. A transaction adds the differences that it makes, so that no two
-- wait for one row; now and then the rows are put together.
CREATE TABLE phone_counts (
    id         INTEGER PRIMARY KEY,
    project_id TEXT NOT NULL,
    status     INTEGER NOT NULL,
    n          INTEGER NOT NULL
);
CREATE INDEX phone_counts_idx ON phone_counts (project_id, status, n);

CREATE TABLE requests (
    id         TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    kind       TEXT NOT NULL CHECK (kind IN ('create', 'reset', 'start')),
    caller     TEXT NOT NULL,
    refused    INTEGER NOT NULL CHECK (refused >= 0),
    pace       TEXT,    -- the rules by which its jobs are let go; none: all at once
    pacing     INTEGER NOT NULL DEFAULT 0 CHECK (pacing IN (0, 1)), -- they have to be looked at: something is held, or could be stopped
    stopped    TEXT,    -- how and why the pace stopped it
    created_at INTEGER NOT NULL,
    CONSTRAINT requests_pace_check CHECK (pace IS NOT NULL OR (NOT pacing AND stopped IS NULL)),
    CONSTRAINT requests_stopped_check CHECK (stopped IS NULL OR NOT pacing)
);
CREATE INDEX requests_pacing_idx ON requests (id) WHERE pacing;

-- A lease per serving process. An ended or taken-over lease has expires_at 0.
CREATE TABLE replicas (
    id            TEXT NOT NULL PRIMARY KEY,
    incarnation   INTEGER NOT NULL, -- grows with every start of the replica
    process       TEXT NOT NULL,    -- the River client of that start
    expires_at    INTEGER NOT NULL,
    registered_at INTEGER NOT NULL
);

CREATE TABLE jobs (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of acceptance
    id           TEXT NOT NULL,
    request_id   TEXT NOT NULL REFERENCES requests (id),
    project_id   TEXT NOT NULL,
    phone_id     TEXT NOT NULL REFERENCES phones (id),
    server_id    TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('create', 'reset', 'start')),
    phase        TEXT NOT NULL CHECK (phase IN ('held', 'queued', 'preparing', 'removing', 'creating', 'booting', 'verifying', 'restoring', 'succeeded', 'failed', 'cancelled')),
    -- What the scheduler needs of the phase; changes less often, so that a step inside a stage touches no index.
    stage        TEXT NOT NULL GENERATED ALWAYS AS (CASE phase
        WHEN 'held' THEN 'held' WHEN 'queued' THEN 'queued' WHEN 'preparing' THEN 'preparing' WHEN 'verifying' THEN 'verifying'
        WHEN 'removing' THEN 'slot' WHEN 'creating' THEN 'slot' WHEN 'booting' THEN 'slot' WHEN 'restoring' THEN 'slot' ELSE 'ended' END) STORED,
    erase        TEXT NOT NULL CHECK (erase IN ('none', 'pending', 'done', 'failed')),
    target       INTEGER NOT NULL CHECK (target > 0),
    prior        INTEGER NOT NULL CHECK (prior >= 0),
    prior_status INTEGER NOT NULL CHECK (prior_status IN (1, 2, 3, 4, 6, 7, 8, -5, -6, -7, -8, -9)),
    prior_image  TEXT NOT NULL,
    image_id     TEXT NOT NULL,
    properties   TEXT NOT NULL,
    factory      INTEGER NOT NULL CHECK (factory IN (0, 1)),
    rollback     INTEGER NOT NULL DEFAULT 0 CHECK (rollback IN (0, 1)),
    rolled_back  INTEGER NOT NULL DEFAULT 0 CHECK (rolled_back IN (0, 1)),
    paced        INTEGER NOT NULL DEFAULT 0 CHECK (paced IN (0, 1)), -- its request has a pace
    attempt      INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    owner        TEXT,    -- replica id while somebody works on it
    incarnation  INTEGER, -- of the owner when it claimed
    delivered_at INTEGER, -- the database's clock; set while a delivery waits to be claimed
    erased       TEXT,    -- volumes destroyed and looked for
    failure      TEXT,
    receipt      TEXT,
    created_at   INTEGER NOT NULL,
    queued_at    INTEGER, -- none while it is held
    started_at   INTEGER,
    preparing_at INTEGER,
    removing_at  INTEGER,
    creating_at  INTEGER,
    booting_at   INTEGER,
    verifying_at INTEGER,
    restoring_at INTEGER,
    ended_at     INTEGER,
    CONSTRAINT jobs_id_key UNIQUE (id),
    CONSTRAINT jobs_generation_check CHECK (target > prior OR kind = 'start' AND target = prior),
    CONSTRAINT jobs_ended_check CHECK ((ended_at IS NOT NULL) = (phase IN ('succeeded', 'failed', 'cancelled'))),
    -- A job that is set going is owned or on its way to somebody, and never both.
    CONSTRAINT jobs_held_check CHECK ((phase IN ('held', 'queued', 'succeeded', 'failed', 'cancelled')) = (owner IS NULL AND delivered_at IS NULL)),
    CONSTRAINT jobs_paced_check CHECK (phase <> 'held' OR paced),
    CONSTRAINT jobs_delivery_check CHECK (owner IS NULL OR delivered_at IS NULL),
    CONSTRAINT jobs_success_check CHECK (phase <> 'succeeded' OR (erase IN ('none', 'done') AND receipt IS NOT NULL)),
    CONSTRAINT jobs_failure_check CHECK (phase NOT IN ('failed', 'restoring') OR failure IS NOT NULL),
    CONSTRAINT jobs_rollback_check CHECK (rollback = 1 OR phase <> 'restoring' AND rolled_back = 0),
    CONSTRAINT jobs_rolled_back_check CHECK (rolled_back = 0 OR phase = 'failed' AND erase = 'pending')
);
-- A start makes no new life: its target is the life that it starts, which some other job has made.
CREATE UNIQUE INDEX jobs_target_key ON jobs (phone_id, target, CASE kind WHEN 'start' THEN id ELSE '' END);
CREATE UNIQUE INDEX jobs_unfinished_key ON jobs (phone_id) WHERE stage <> 'ended';
CREATE UNIQUE INDEX jobs_preparing_key ON jobs (server_id, image_id) WHERE stage = 'preparing';
CREATE INDEX jobs_pace_idx ON jobs (request_id, seq) WHERE stage = 'held';
CREATE INDEX jobs_queue_idx ON jobs (server_id, project_id, image_id, seq) WHERE stage = 'queued';
CREATE INDEX jobs_slot_idx ON jobs (server_id, project_id) WHERE stage = 'slot';
CREATE INDEX jobs_owner_idx ON jobs (owner) WHERE owner IS NOT NULL;
CREATE INDEX jobs_delivered_idx ON jobs (delivered_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX jobs_request_idx ON jobs (request_id, seq);
CREATE INDEX jobs_server_idx ON jobs (server_id, seq);
CREATE INDEX jobs_project_idx ON jobs (project_id, seq);

-- How the indexes look in a big installation. SQLite gathers no statistics by itself, and without any it may read all of a
-- project's or a server's rows to find a few. The numbers are rows in the index, then rows that share its first column, its
-- first two columns, and so on.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('phones', 'phones_name_key', '1000000 100000 1'),
    ('phones', 'phones_port_key', '1000000 500 1'),
    ('phones', 'phones_list_idx', '1000000 100000 1 1 1'),
    ('phones', 'phones_server_idx', '1000000 500 500 1'),
    ('servers', 'servers_name_key', '10000 1000 1'),
    ('servers', 'servers_list_idx', '10000 1000 1 1'),
    ('servers', 'servers_endpoint_idx', '10000 2'),
    ('requests', 'requests_pacing_idx', '20 1'),
    ('jobs', 'jobs_target_key', '10000000 10 1 1'),
    ('jobs', 'jobs_unfinished_key', '100000 1'),
    ('jobs', 'jobs_preparing_key', '10 1 1'),
    ('jobs', 'jobs_pace_idx', '10000 500 1'),
    ('jobs', 'jobs_queue_idx', '100000 1000 500 200 1'),
    ('jobs', 'jobs_slot_idx', '1000 5 2'),
    ('jobs', 'jobs_owner_idx', '1000 500'),
    ('jobs', 'jobs_delivered_idx', '10 1'),
    ('jobs', 'jobs_request_idx', '10000000 200 1'),
    ('jobs', 'jobs_server_idx', '10000000 10000 1'),
    ('jobs', 'jobs_project_idx', '10000000 1000000 1');
ANALYZE sqlite_schema;
