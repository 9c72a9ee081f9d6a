-- +goose Up
-- Ids are 32 lower-case hex digits, times microseconds since 1970 UTC, sets and records JSON text.

CREATE TABLE installation (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    id  TEXT COLLATE "C" NOT NULL
);

CREATE TABLE accounts (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT accounts_name_key UNIQUE (name)
);

CREATE TABLE projects (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT projects_name_key UNIQUE (account_id, name)
);

CREATE TABLE users (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id    TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    owner         BOOLEAN NOT NULL,
    policies      TEXT NOT NULL,
    epoch         BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    CONSTRAINT users_name_key UNIQUE (account_id, name)
);

CREATE TABLE access_keys (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    secret     TEXT NOT NULL,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL
);

CREATE TABLE tokens (
    hash       BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    epoch      BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tokens_expires_idx ON tokens (expires_at);

CREATE TABLE images (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL, -- '' for a public image
    label      TEXT NOT NULL,
    os_name    TEXT NOT NULL,
    reference  TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT images_name_key UNIQUE (project_id, name)
);

CREATE TABLE servers (
    id                   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name                 TEXT NOT NULL,
    project_id           TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    driver               TEXT NOT NULL,
    endpoint             TEXT NOT NULL,
    config               TEXT NOT NULL,
    image_label          TEXT NOT NULL,
    model                TEXT NOT NULL,
    phone_model          TEXT NOT NULL,
    status               BIGINT NOT NULL CHECK (status IN (2, 5)),
    max_concurrent_boots BIGINT NOT NULL CHECK (max_concurrent_boots > 0),
    boot_timeout         BIGINT NOT NULL,
    port_base            BIGINT NOT NULL CHECK (port_base BETWEEN 0 AND 65535),
    capacity             BIGINT NOT NULL CHECK (capacity >= 0),
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL
);
CREATE UNIQUE INDEX servers_name_key ON servers (project_id, name);
CREATE INDEX servers_list_idx ON servers (project_id, created_at DESC, id);
CREATE INDEX servers_endpoint_idx ON servers (endpoint);

-- What a server's host resolved an image to.
CREATE TABLE host_images (
    server_id       TEXT COLLATE "C" NOT NULL REFERENCES servers (id),
    image_id        TEXT COLLATE "C" NOT NULL REFERENCES images (id),
    identity_id     TEXT NOT NULL,
    identity_digest TEXT NOT NULL,
    prepared_at     BIGINT NOT NULL,
    PRIMARY KEY (server_id, image_id)
);

CREATE TABLE phones (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name            TEXT NOT NULL,
    project_id      TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    server_id       TEXT COLLATE "C" NOT NULL REFERENCES servers (id),
    model           TEXT NOT NULL,
    image_id        TEXT COLLATE "C" NOT NULL REFERENCES images (id),
    status          BIGINT NOT NULL CHECK (status IN (1, 2, 3, 4, 6, 7, 8, -5, -6, -7, -8, -9)),
    generation      BIGINT NOT NULL CHECK (generation >= 0),
    last_generation BIGINT NOT NULL CHECK (last_generation >= generation),
    properties      TEXT NOT NULL,
    adb_port        BIGINT NOT NULL CHECK (adb_port BETWEEN 0 AND 65535),
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
) WITH (fillfactor = 70); -- every reset updates the row several times, in place while its page has room
CREATE UNIQUE INDEX phones_name_key ON phones (project_id, name);
CREATE UNIQUE INDEX phones_port_key ON phones (server_id, adb_port);
CREATE INDEX phones_list_idx ON phones (project_id, created_at DESC, id) INCLUDE (name); -- the name is searched in the index
CREATE INDEX phones_server_idx ON phones (server_id, created_at DESC, id);

-- How many phones a project has in each status is the sum of n. A transaction adds the differences that it makes, so that no two
-- wait for one row; now and then the rows are put together.
CREATE TABLE phone_counts (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL,
    status     BIGINT NOT NULL,
    n          BIGINT NOT NULL
);
CREATE INDEX phone_counts_idx ON phone_counts (project_id, status, n);

CREATE TABLE requests (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    kind       TEXT COLLATE "C" NOT NULL CHECK (kind IN ('create', 'reset', 'start')),
    caller     TEXT COLLATE "C" NOT NULL,
    refused    BIGINT NOT NULL CHECK (refused >= 0),
    pace       TEXT,    -- the rules by which its jobs are let go; none: all at once
    pacing     BOOLEAN NOT NULL DEFAULT false, -- they have to be looked at: something is held, or could be stopped
    stopped    TEXT,    -- how and why the pace stopped it
    created_at BIGINT NOT NULL,
    CONSTRAINT requests_pace_check CHECK (pace IS NOT NULL OR (NOT pacing AND stopped IS NULL)),
    CONSTRAINT requests_stopped_check CHECK (stopped IS NULL OR NOT pacing)
);
CREATE INDEX requests_pacing_idx ON requests (id) WHERE pacing;

-- A lease per serving process. An ended or taken-over lease has expires_at 0.
CREATE TABLE replicas (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    incarnation   BIGINT NOT NULL, -- grows with every start of the replica
    process       TEXT COLLATE "C" NOT NULL,    -- the River client of that start
    expires_at    BIGINT NOT NULL,
    registered_at BIGINT NOT NULL
);

CREATE TABLE jobs (
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of acceptance
    id           TEXT COLLATE "C" NOT NULL,
    request_id   TEXT COLLATE "C" NOT NULL REFERENCES requests (id),
    project_id   TEXT COLLATE "C" NOT NULL,
    phone_id     TEXT COLLATE "C" NOT NULL REFERENCES phones (id),
    server_id    TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL CHECK (kind IN ('create', 'reset', 'start')),
    phase        TEXT COLLATE "C" NOT NULL CHECK (phase IN ('held', 'queued', 'preparing', 'removing', 'creating', 'booting', 'verifying', 'restoring', 'succeeded', 'failed', 'cancelled')),
    -- What the scheduler needs of the phase; changes less often, so that a step inside a stage touches no index.
    stage        TEXT COLLATE "C" NOT NULL GENERATED ALWAYS AS (CASE phase
        WHEN 'held' THEN 'held' WHEN 'queued' THEN 'queued' WHEN 'preparing' THEN 'preparing' WHEN 'verifying' THEN 'verifying'
        WHEN 'removing' THEN 'slot' WHEN 'creating' THEN 'slot' WHEN 'booting' THEN 'slot' WHEN 'restoring' THEN 'slot' ELSE 'ended' END) STORED,
    erase        TEXT COLLATE "C" NOT NULL CHECK (erase IN ('none', 'pending', 'done', 'failed')),
    target       BIGINT NOT NULL CHECK (target > 0),
    prior        BIGINT NOT NULL CHECK (prior >= 0),
    prior_status BIGINT NOT NULL CHECK (prior_status IN (1, 2, 3, 4, 6, 7, 8, -5, -6, -7, -8, -9)),
    prior_image  TEXT COLLATE "C" NOT NULL,
    image_id     TEXT COLLATE "C" NOT NULL,
    properties   TEXT NOT NULL,
    factory      BOOLEAN NOT NULL,
    rollback     BOOLEAN NOT NULL DEFAULT false,
    rolled_back  BOOLEAN NOT NULL DEFAULT false,
    paced        BOOLEAN NOT NULL DEFAULT false, -- its request has a pace
    attempt      BIGINT NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    owner        TEXT COLLATE "C",    -- replica id while somebody works on it
    incarnation  BIGINT, -- of the owner when it claimed
    delivered_at BIGINT, -- the database's clock; set while a delivery waits to be claimed
    erased       TEXT,    -- volumes destroyed and looked for
    failure      TEXT,
    receipt      TEXT,
    created_at   BIGINT NOT NULL,
    queued_at    BIGINT, -- none while it is held
    started_at   BIGINT,
    preparing_at BIGINT,
    removing_at  BIGINT,
    creating_at  BIGINT,
    booting_at   BIGINT,
    verifying_at BIGINT,
    restoring_at BIGINT,
    ended_at     BIGINT,
    CONSTRAINT jobs_id_key UNIQUE (id),
    CONSTRAINT jobs_generation_check CHECK (target > prior OR kind = 'start' AND target = prior),
    CONSTRAINT jobs_ended_check CHECK ((ended_at IS NOT NULL) = (phase IN ('succeeded', 'failed', 'cancelled'))),
    -- A job that is set going is owned or on its way to somebody, and never both.
    CONSTRAINT jobs_held_check CHECK ((phase IN ('held', 'queued', 'succeeded', 'failed', 'cancelled')) = (owner IS NULL AND delivered_at IS NULL)),
    CONSTRAINT jobs_paced_check CHECK (phase <> 'held' OR paced),
    CONSTRAINT jobs_delivery_check CHECK (owner IS NULL OR delivered_at IS NULL),
    CONSTRAINT jobs_success_check CHECK (phase <> 'succeeded' OR (erase IN ('none', 'done') AND receipt IS NOT NULL)),
    CONSTRAINT jobs_failure_check CHECK (phase NOT IN ('failed', 'restoring') OR failure IS NOT NULL),
    CONSTRAINT jobs_rollback_check CHECK (rollback OR phase <> 'restoring' AND NOT rolled_back),
    CONSTRAINT jobs_rolled_back_check CHECK (NOT rolled_back OR phase = 'failed' AND erase = 'pending')
) WITH (fillfactor = 70);
-- A start makes no new life: its target is the life that it starts, which some other job has made.
CREATE UNIQUE INDEX jobs_target_key ON jobs (phone_id, target, (CASE kind WHEN 'start' THEN id ELSE '' END));
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
