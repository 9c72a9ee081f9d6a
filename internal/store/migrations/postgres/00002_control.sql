-- +goose Up
-- What a caller's idempotency key stands for: the hash of the call, and the answer without any property value. request_id refers
-- to nothing, for finished requests may be removed before their keys expire.
CREATE TABLE idempotency_keys (
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    user_id    TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 128),
    hash       BYTEA NOT NULL CHECK (length(hash) = 32),
    request_id TEXT COLLATE "C" NOT NULL,
    outcomes   TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, user_id, key)
);
CREATE INDEX idempotency_keys_expires_idx ON idempotency_keys (expires_at);
