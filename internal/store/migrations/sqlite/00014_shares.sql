-- +goose Up
-- Jobs about the shared storage of a server: what is done is done on its host, by a worker that holds the job (owner, incarnation, attempt), one
-- after the other, and beside what else is done with the server. attempt is NULL of jobs that only count those of the server's phones.
-- The look at the host of an emptied server, which ends its deletion, is held in the same way (owner, incarnation, looks). Both are given back
-- while the host does not answer. The text of the schema is changed as in 00008, and for the same reason.
ALTER TABLE server_jobs ADD COLUMN output TEXT NOT NULL DEFAULT ''; -- what was done: a sentence, or a listing as JSON
ALTER TABLE server_jobs ADD COLUMN attempt INTEGER;
ALTER TABLE server_jobs ADD COLUMN owner TEXT;
ALTER TABLE server_jobs ADD COLUMN incarnation INTEGER;
ALTER TABLE server_jobs ADD COLUMN looks INTEGER NOT NULL DEFAULT 0; -- how often an emptied server was claimed
ALTER TABLE server_jobs ADD COLUMN erasing TEXT;    -- what was done to destroy its shared storage, as JSON
ALTER TABLE server_jobs ADD COLUMN due_at INTEGER;  -- nobody claims it before
ALTER TABLE server_jobs ADD COLUMN away_at INTEGER; -- when the host did not answer for the first time
DROP INDEX server_jobs_unfinished_key;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '''export'', ''import'')', '''export'', ''import'', ''share_push'', ''share_delete'', ''share_list'', ''app_push'', ''app_delete'')')
    WHERE type = 'table' AND name = 'requests';
UPDATE sqlite_schema SET sql = replace(sql, 'kind IN (''create'', ''restart'', ''reset'', ''delete'', ''update'')',
    'kind IN (''create'', ''restart'', ''reset'', ''delete'', ''update'', ''share_push'', ''share_delete'', ''share_list'', ''app_push'', ''app_delete'')')
    WHERE type = 'table' AND name = 'server_jobs';
UPDATE sqlite_schema SET sql = replace(sql, 'CONSTRAINT server_jobs_emptied_check',
    'CONSTRAINT server_jobs_attempt_check CHECK ((attempt IS NOT NULL) = (kind IN (''share_push'', ''share_delete'', ''share_list'', ''app_push'', ''app_delete''))),
    CONSTRAINT server_jobs_emptied_check')
    WHERE type = 'table' AND name = 'server_jobs';
PRAGMA writable_schema = RESET;
CREATE UNIQUE INDEX server_jobs_unfinished_key ON server_jobs (server_id) WHERE ended_at IS NULL AND attempt IS NULL;
CREATE INDEX server_jobs_shares_idx ON server_jobs (server_id, seq) WHERE ended_at IS NULL AND attempt IS NOT NULL;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('server_jobs', 'server_jobs_unfinished_key', '10 1'), ('server_jobs', 'server_jobs_shares_idx', '10 2 1');
ANALYZE sqlite_schema;
