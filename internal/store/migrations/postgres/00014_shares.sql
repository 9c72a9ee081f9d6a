-- +goose Up
-- Jobs about the shared storage of a server: what is done is done on its host, by a worker that holds the job (owner, incarnation, attempt), one
-- after the other, and beside what else is done with the server. attempt is NULL of jobs that only count those of the server's phones.
-- The look at the host of an emptied server, which ends its deletion, is held in the same way (owner, incarnation, looks). Both are given back
-- while the host does not answer.
ALTER TABLE requests DROP CONSTRAINT requests_kind_check,
    ADD CONSTRAINT requests_kind_check CHECK (kind IN ('create', 'reset', 'start', 'stop', 'restart', 'update', 'delete', 'shell', 'push', 'install', 'uninstall', 'export', 'import',
        'share_push', 'share_delete', 'share_list', 'app_push', 'app_delete'));
ALTER TABLE server_jobs DROP CONSTRAINT server_jobs_kind_check,
    ADD COLUMN output TEXT NOT NULL DEFAULT '', -- what was done: a sentence, or a listing as JSON
    ADD COLUMN attempt BIGINT, ADD COLUMN owner TEXT COLLATE "C", ADD COLUMN incarnation BIGINT,
    ADD COLUMN looks BIGINT NOT NULL DEFAULT 0, -- how often an emptied server was claimed
    ADD COLUMN erasing TEXT COLLATE "C",        -- what was done to destroy its shared storage, as JSON
    ADD COLUMN due_at BIGINT,                   -- nobody claims it before
    ADD COLUMN away_at BIGINT,                  -- when the host did not answer for the first time
    ADD CONSTRAINT server_jobs_kind_check CHECK (kind IN ('create', 'restart', 'reset', 'delete', 'update', 'share_push', 'share_delete', 'share_list', 'app_push', 'app_delete')),
    ADD CONSTRAINT server_jobs_attempt_check CHECK ((attempt IS NOT NULL) = (kind IN ('share_push', 'share_delete', 'share_list', 'app_push', 'app_delete')));
DROP INDEX server_jobs_unfinished_key;
CREATE UNIQUE INDEX server_jobs_unfinished_key ON server_jobs (server_id) WHERE ended_at IS NULL AND attempt IS NULL;
CREATE INDEX server_jobs_shares_idx ON server_jobs (server_id, seq) WHERE ended_at IS NULL AND attempt IS NOT NULL;
