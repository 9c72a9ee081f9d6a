-- +goose Up
-- The buckets that projects have made. Their objects are in the folder that the id names: a bucket of a name that was another's before is empty.
CREATE TABLE buckets (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    created_at BIGINT NOT NULL,
    CONSTRAINT buckets_name_key UNIQUE (name)
);
CREATE INDEX buckets_project_idx ON buckets (project_id, name);

-- What a task has to do where each phone of its request has its own; '' where requests.payload says it for all.
ALTER TABLE jobs ADD COLUMN payload TEXT NOT NULL DEFAULT '';
