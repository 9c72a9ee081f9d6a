-- +goose Up
-- Tasks wait for their turn on their server, in the order of acceptance: attempt is 0 until then. And a later attempt has to know whether an
-- earlier one had begun what may not be done twice. The text of the schema is changed as in 00008, and for the same reason.
ALTER TABLE jobs ADD COLUMN begun INTEGER NOT NULL DEFAULT 0; -- of a task: the attempt that was the first to be claimed
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK ((phase IN (''held'', ''queued'', ''succeeded'', ''failed'', ''cancelled'')) =',
    'CHECK ((phase IN (''held'', ''queued'', ''succeeded'', ''failed'', ''cancelled'') OR phase = ''working'' AND attempt = 0) =')
    WHERE type = 'table' AND name = 'jobs';
PRAGMA writable_schema = RESET;
CREATE INDEX jobs_tasks_idx ON jobs (server_id, attempt, seq) WHERE stage = 'working';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('jobs', 'jobs_tasks_idx', '100000 1000 500 1');
ANALYZE sqlite_schema;
