-- +goose Up
-- What a caller's idempotency key stands for: the hash of the call, and the answer without any property value. request_id refers
-- to nothing, for finished requests may be removed before their keys expire.
CREATE TABLE idempotency_keys (
    project_id TEXT NOT NULL REFERENCES projects (id),
    user_id    TEXT NOT NULL,
    key        TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 128),
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    request_id TEXT NOT NULL,
    outcomes   TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, user_id, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_expires_idx ON idempotency_keys (expires_at);
