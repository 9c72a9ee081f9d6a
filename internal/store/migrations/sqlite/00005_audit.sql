-- +goose Up
-- The audit trail: one row for each call that changed something or was refused. Rows are only added, and removed by their age.
-- It refers to nothing, because it outlives everything. changes is JSON without any property value.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    account_id TEXT NOT NULL,
    project_id TEXT NOT NULL, -- '' for what belongs to the account
    user_id    TEXT NOT NULL,
    user_name  TEXT NOT NULL,
    access_key TEXT NOT NULL,
    source     TEXT NOT NULL,
    agent      TEXT NOT NULL,
    trace      TEXT NOT NULL CHECK (trace <> ''),
    route      TEXT NOT NULL,
    target     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    result     TEXT NOT NULL CHECK (result IN ('accepted', 'refused', 'failed')),
    code       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    changes    TEXT NOT NULL
);
CREATE INDEX audit_account_idx ON audit (account_id, at, seq);
CREATE INDEX audit_user_idx ON audit (account_id, user_name, at, seq);
CREATE INDEX audit_trace_idx ON audit (account_id, trace, at, seq);
CREATE INDEX audit_target_idx ON audit (target, at, seq);
CREATE INDEX audit_request_idx ON audit (request_id);
CREATE INDEX audit_at_idx ON audit (at, seq);

-- What became of a phone in an audited request, once its job is removed, or at once when the phone was refused: until then the job
-- says it. So accepting a thousand phones writes one row here, and not a thousand.
CREATE TABLE audit_phones (
    phone_id   TEXT NOT NULL,
    request_id TEXT NOT NULL,
    result     TEXT NOT NULL,
    PRIMARY KEY (phone_id, request_id)
) WITHOUT ROWID;
CREATE INDEX audit_phones_request_idx ON audit_phones (request_id);

-- +goose StatementBegin
CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
-- +goose StatementEnd

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('audit', 'audit_account_idx', '10000000 1000000 2 1'),
    ('audit', 'audit_user_idx', '10000000 1000000 100000 2 1'),
    ('audit', 'audit_trace_idx', '10000000 1000000 100000 2 1'),
    ('audit', 'audit_target_idx', '10000000 100 2 1'),
    ('audit', 'audit_request_idx', '10000000 1'),
    ('audit', 'audit_at_idx', '10000000 2 1'),
    ('audit_phones', 'audit_phones_request_idx', '10000000 200');
ANALYZE sqlite_schema;
