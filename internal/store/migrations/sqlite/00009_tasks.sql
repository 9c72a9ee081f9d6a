-- +goose Up
-- Jobs that work inside a phone's present life and leave its status alone (commands and files), several of a phone beside each other: a stage of
-- their own, 'working', keeps them out of the rule that a phone has one unfinished job. And jobs that remove a phone for good. A job outlives its
-- phone, as the record of what became of it. The text of the schema is changed as in 00008, and for the same reason.
ALTER TABLE requests ADD COLUMN payload TEXT NOT NULL DEFAULT ''; -- what its jobs have to do, beyond their phones and images
ALTER TABLE jobs ADD COLUMN deleting_at INTEGER;
ALTER TABLE jobs ADD COLUMN working_at INTEGER;
ALTER TABLE jobs ADD COLUMN output TEXT NOT NULL DEFAULT ''; -- what a task's program said, bounded
DROP INDEX jobs_target_key;
DROP INDEX jobs_unfinished_key;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'kind IN (''create'', ''reset'', ''start'', ''stop'', ''restart'', ''update'')',
    'kind IN (''create'', ''reset'', ''start'', ''stop'', ''restart'', ''update'', ''delete'', ''shell'', ''push'', ''install'', ''uninstall'', ''export'', ''import'')')
    WHERE type = 'table' AND name IN ('jobs', 'requests');
UPDATE sqlite_schema SET sql = replace(sql, '''preparing'', ''stopping'', ''removing'',', '''preparing'', ''stopping'', ''deleting'', ''working'', ''removing'',')
    WHERE type = 'table' AND name = 'jobs';
UPDATE sqlite_schema SET sql = replace(sql, 'WHEN ''stopping'' THEN ''stopping''', 'WHEN ''stopping'' THEN ''stopping'' WHEN ''deleting'' THEN ''deleting'' WHEN ''working'' THEN ''working''')
    WHERE type = 'table' AND name = 'jobs';
UPDATE sqlite_schema SET sql = replace(sql, 'kind IN (''start'', ''stop'', ''restart'', ''update'') AND target = prior', 'kind NOT IN (''create'', ''reset'') AND target >= prior')
    WHERE type = 'table' AND name = 'jobs';
UPDATE sqlite_schema SET sql = replace(sql, 'AND receipt IS NOT NULL)', 'AND (receipt IS NOT NULL OR kind IN (''shell'', ''push'', ''install'', ''uninstall'', ''export'', ''import'')))')
    WHERE type = 'table' AND name = 'jobs';
UPDATE sqlite_schema SET sql = replace(sql, 'TEXT NOT NULL REFERENCES phones (id)', 'TEXT NOT NULL') WHERE type = 'table' AND name = 'jobs';
PRAGMA writable_schema = RESET;
-- What makes no new life has the life that it works on as its target, which some other job has made.
CREATE UNIQUE INDEX jobs_target_key ON jobs (phone_id, target, CASE WHEN kind IN ('create', 'reset') THEN '' ELSE id END);
CREATE UNIQUE INDEX jobs_unfinished_key ON jobs (phone_id) WHERE stage NOT IN ('ended', 'working');
CREATE INDEX jobs_working_idx ON jobs (phone_id) WHERE stage = 'working';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('jobs', 'jobs_target_key', '10000000 10 1 1'), ('jobs', 'jobs_unfinished_key', '100000 1'), ('jobs', 'jobs_working_idx', '100000 10');
ANALYZE sqlite_schema;
