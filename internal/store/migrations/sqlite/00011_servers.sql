-- +goose Up
-- What an unfinished call about the whole server does with it; 'failed' of one whose creation failed; '' when there is none.
ALTER TABLE servers ADD COLUMN doing TEXT NOT NULL DEFAULT '' CHECK (doing IN ('', 'create', 'restart', 'reset', 'delete', 'failed'));
-- The host of the installation's pool that the server is on; '' of one that was added by itself. A host has one server at a time.
ALTER TABLE servers ADD COLUMN pool_host TEXT NOT NULL DEFAULT '';
-- The name of the key pair whose holder its adb lets in; '' when that has no name.
ALTER TABLE servers ADD COLUMN keypair TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX servers_pool_key ON servers (pool_host) WHERE pool_host <> '';

-- One row for each server of an accepted call about servers. What is done to its phones are the jobs of the same request on that server. It
-- refers to no server, because it outlives it.
CREATE TABLE server_jobs (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of acceptance
    id         TEXT NOT NULL,    -- the same for all servers of a call that is answered with one job
    request_id TEXT NOT NULL REFERENCES requests (id),
    project_id TEXT NOT NULL,
    server_id  TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('create', 'restart', 'reset', 'delete')),
    phones     INTEGER NOT NULL CHECK (phones >= 0), -- that got a job
    emptied_at INTEGER,          -- of a deletion: its phones are gone, and its host is to be looked at
    failure    TEXT,
    receipt    TEXT,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER,
    CONSTRAINT server_jobs_id_key UNIQUE (id, server_id),
    CONSTRAINT server_jobs_emptied_check CHECK (emptied_at IS NULL OR kind = 'delete'),
    CONSTRAINT server_jobs_failure_check CHECK (failure IS NULL OR ended_at IS NOT NULL),
    -- No server counts as deleted whose host was not looked at.
    CONSTRAINT server_jobs_deleted_check CHECK (kind <> 'delete' OR ended_at IS NULL OR failure IS NOT NULL OR receipt IS NOT NULL)
);
CREATE UNIQUE INDEX server_jobs_unfinished_key ON server_jobs (server_id) WHERE ended_at IS NULL;
CREATE INDEX server_jobs_request_idx ON server_jobs (request_id, seq);
CREATE INDEX server_jobs_project_idx ON server_jobs (project_id);

-- Phones that were deleted from a server: what a late call may have left of them on its host is not foreign.
CREATE INDEX jobs_deleted_idx ON jobs (server_id, phone_id) WHERE kind = 'delete' AND stage = 'ended';

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('servers', 'servers_pool_key', '1000 1'),
    ('server_jobs', 'server_jobs_unfinished_key', '10 1'),
    ('server_jobs', 'server_jobs_request_idx', '10000 10 1'),
    ('server_jobs', 'server_jobs_project_idx', '10000 1000'),
    ('jobs', 'jobs_deleted_idx', '100000 500 1');
ANALYZE sqlite_schema;
