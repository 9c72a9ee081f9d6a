-- +goose Up
-- Finished jobs by their end, and requests by their beginning: how those that are old enough to be removed are found.
CREATE INDEX jobs_ended_idx ON jobs (ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX requests_created_idx ON requests (created_at, id);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('jobs', 'jobs_ended_idx', '10000000 2 1'),
    ('requests', 'requests_created_idx', '100000 2 1');
ANALYZE sqlite_schema;
