-- +goose Up
-- The buckets that projects have made. Their objects are in the folder that the id names: a bucket of a name that was another's before is empty.
CREATE TABLE buckets (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id),
    created_at INTEGER NOT NULL,
    CONSTRAINT buckets_name_key UNIQUE (name)
);
CREATE INDEX buckets_project_idx ON buckets (project_id, name);

-- What a task has to do where each phone of its request has its own; '' where requests.payload says it for all.
ALTER TABLE jobs ADD COLUMN payload TEXT NOT NULL DEFAULT '';

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('buckets', 'sqlite_autoindex_buckets_1', '1000 1'), ('buckets', 'sqlite_autoindex_buckets_2', '1000 1'), ('buckets', 'buckets_project_idx', '1000 10 1');
ANALYZE sqlite_schema;
