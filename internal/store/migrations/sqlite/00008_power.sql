-- +goose Up
-- Jobs that stop a phone, start it again or update its properties, in the life that it has. SQLite changes no CHECK and no generated column of a table that
-- exists, and copying the jobs would take minutes; what is changed here makes no row that is there another one, so the text of the
-- tables is changed instead (https://sqlite.org/lang_altertable.html#otheralter, the second procedure).
ALTER TABLE jobs ADD COLUMN stopping_at INTEGER;
DROP INDEX jobs_target_key;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'kind IN (''create'', ''reset'', ''start'')', 'kind IN (''create'', ''reset'', ''start'', ''stop'', ''restart'', ''update'')')
    WHERE type = 'table' AND name IN ('jobs', 'requests');
UPDATE sqlite_schema SET sql = replace(sql, 'phase IN (''held'', ''queued'', ''preparing'', ''removing'',', 'phase IN (''held'', ''queued'', ''preparing'', ''stopping'', ''removing'',')
    WHERE type = 'table' AND name = 'jobs';
UPDATE sqlite_schema SET sql = replace(sql, 'WHEN ''verifying'' THEN ''verifying''', 'WHEN ''verifying'' THEN ''verifying'' WHEN ''stopping'' THEN ''stopping''')
    WHERE type = 'table' AND name = 'jobs';
UPDATE sqlite_schema SET sql = replace(sql, 'kind = ''start'' AND target = prior', 'kind IN (''start'', ''stop'', ''restart'', ''update'') AND target = prior')
    WHERE type = 'table' AND name = 'jobs';
PRAGMA writable_schema = RESET;
-- What makes no new life has the life that it works on as its target, which some other job has made.
CREATE UNIQUE INDEX jobs_target_key ON jobs (phone_id, target, CASE WHEN kind IN ('start', 'stop', 'restart', 'update') THEN id ELSE '' END);
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('jobs', 'jobs_target_key', '10000000 10 1 1');
ANALYZE sqlite_schema;
