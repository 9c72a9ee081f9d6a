-- +goose Up
-- The operator's account makes the others. There was only one account before.
ALTER TABLE accounts ADD COLUMN operator BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE accounts ADD COLUMN own_hosts BOOLEAN NOT NULL DEFAULT FALSE; -- may add servers, on hosts that it names
UPDATE accounts SET operator = TRUE;
CREATE UNIQUE INDEX accounts_operator_key ON accounts (operator) WHERE operator;

ALTER TABLE users ADD COLUMN disabled BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE access_keys ADD COLUMN disabled BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX access_keys_user_idx ON access_keys (user_id);
CREATE INDEX tokens_user_idx ON tokens (user_id);

CREATE TABLE user_groups (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT user_groups_name_key UNIQUE (account_id, name)
);

CREATE TABLE group_members (
    user_id  TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    group_id TEXT COLLATE "C" NOT NULL REFERENCES user_groups (id),
    PRIMARY KEY (user_id, group_id)
);
CREATE INDEX group_members_group_idx ON group_members (group_id);

CREATE TABLE policies (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name       TEXT COLLATE "C" NOT NULL,
    document   TEXT NOT NULL, -- without the name
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT policies_name_key UNIQUE (account_id, name)
);

-- A policy that a user or a group has: one of the account's, or a system policy by its name; in one project, or in all the account.
CREATE TABLE grants (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id       TEXT COLLATE "C" REFERENCES users (id),
    group_id      TEXT COLLATE "C" REFERENCES user_groups (id),
    policy_id     TEXT COLLATE "C" REFERENCES policies (id),
    system_policy TEXT COLLATE "C",
    project_id    TEXT COLLATE "C" REFERENCES projects (id),
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
