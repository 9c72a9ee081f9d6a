-- +goose Up
-- The audit trail: one row for each call that changed something or was refused. Rows are only added, and removed by their age.
-- It refers to nothing, because it outlives everything. changes is JSON without any property value.
CREATE TABLE audit (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         BIGINT NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL, -- '' for what belongs to the account
    user_id    TEXT COLLATE "C" NOT NULL,
    user_name  TEXT COLLATE "C" NOT NULL,
    access_key TEXT COLLATE "C" NOT NULL,
    source     TEXT COLLATE "C" NOT NULL,
    agent      TEXT NOT NULL,
    trace      TEXT COLLATE "C" NOT NULL CHECK (trace <> ''),
    route      TEXT COLLATE "C" NOT NULL,
    target     TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    result     TEXT COLLATE "C" NOT NULL CHECK (result IN ('accepted', 'refused', 'failed')),
    code       TEXT COLLATE "C" NOT NULL,
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
    phone_id   TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    result     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (phone_id, request_id)
);
CREATE INDEX audit_phones_request_idx ON audit_phones (request_id);

-- +goose StatementBegin
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only();
