-- +goose Up
-- With whom images are shared: a project of any account, which has to accept before it can use one.
CREATE TABLE image_members (
    image_id   TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    status     TEXT NOT NULL CHECK (status IN ('pending', 'accepted', 'rejected')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (image_id, project_id)
) WITHOUT ROWID;
CREATE INDEX image_members_project_idx ON image_members (project_id, image_id);

-- What a deletion of an image looks for.
CREATE INDEX phones_image_idx ON phones (image_id);

CREATE TABLE server_tags (
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    key       TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 127),
    value     TEXT NOT NULL CHECK (length(value) BETWEEN 1 AND 255),
    PRIMARY KEY (server_id, key)
) WITHOUT ROWID;

-- Who may connect to a phone's present life, and until when.
CREATE TABLE tickets (
    hash       TEXT NOT NULL PRIMARY KEY CHECK (length(hash) = 64),
    session    TEXT NOT NULL,
    phone_id   TEXT NOT NULL REFERENCES phones (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    project_id TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX tickets_expires_idx ON tickets (expires_at);
CREATE INDEX tickets_phone_idx ON tickets (phone_id);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('phones', 'phones_image_idx', '1000000 100000'),
    ('tickets', 'tickets_expires_idx', '10000 10'),
    ('tickets', 'tickets_phone_idx', '10000 10');
ANALYZE sqlite_schema;
