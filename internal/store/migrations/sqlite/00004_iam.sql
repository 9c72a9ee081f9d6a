-- +goose Up
-- The operator's account makes the others. There was only one account before.
ALTER TABLE accounts ADD COLUMN operator INTEGER NOT NULL DEFAULT 0 CHECK (operator IN (0, 1));
ALTER TABLE accounts ADD COLUMN own_hosts INTEGER NOT NULL DEFAULT 0 CHECK (own_hosts IN (0, 1)); -- may add servers, on hosts that it names
UPDATE accounts SET operator = 1;
CREATE UNIQUE INDEX accounts_operator_key ON accounts (operator) WHERE operator = 1;

ALTER TABLE users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1));
ALTER TABLE access_keys ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1));
CREATE INDEX access_keys_user_idx ON access_keys (user_id);
CREATE INDEX tokens_user_idx ON tokens (user_id);

CREATE TABLE user_groups (
    id         TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT user_groups_name_key UNIQUE (account_id, name)
);

CREATE TABLE group_members (
    user_id  TEXT NOT NULL REFERENCES users (id),
    group_id TEXT NOT NULL REFERENCES user_groups (id),
    PRIMARY KEY (user_id, group_id)
) WITHOUT ROWID;
CREATE INDEX group_members_group_idx ON group_members (group_id);

CREATE TABLE policies (
    id         TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name       TEXT NOT NULL,
    document   TEXT NOT NULL, -- without the name
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT policies_name_key UNIQUE (account_id, name)
);

-- A policy that a user or a group has: one of the account's, or a system policy by its name; in one project, or in all the account.
CREATE TABLE grants (
    id            TEXT NOT NULL PRIMARY KEY,
    user_id       TEXT REFERENCES users (id),
    group_id      TEXT REFERENCES user_groups (id),
    policy_id     TEXT REFERENCES policies (id),
    system_policy TEXT,
    project_id    TEXT REFERENCES projects (id),
    CONSTRAINT grants_holder_check CHECK ((user_id IS NULL) <> (group_id IS NULL)),
    CONSTRAINT grants_policy_check CHECK ((policy_id IS NULL) <> (system_policy IS NULL))
);
CREATE UNIQUE INDEX grants_key ON grants
    (coalesce(user_id, ''), coalesce(group_id, ''), coalesce(policy_id, ''), coalesce(system_policy, ''), coalesce(project_id, ''));
CREATE INDEX grants_user_idx ON grants (user_id);
CREATE INDEX grants_group_idx ON grants (group_id);
CREATE INDEX grants_policy_idx ON grants (policy_id);
CREATE INDEX grants_project_idx ON grants (project_id);

-- What a project that is deleted takes along.
CREATE INDEX requests_project_idx ON requests (project_id);
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('requests', 'requests_project_idx', '100000 100');
ANALYZE sqlite_schema;
