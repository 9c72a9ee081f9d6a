-- +goose Up
-- With whom images are shared: a project of any account, which has to accept before it can use one.
CREATE TABLE image_members (
    image_id   TEXT COLLATE "C" NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    status     TEXT COLLATE "C" NOT NULL CHECK (status IN ('pending', 'accepted', 'rejected')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (image_id, project_id)
);
CREATE INDEX image_members_project_idx ON image_members (project_id, image_id);

-- What a deletion of an image looks for.
CREATE INDEX phones_image_idx ON phones (image_id);

CREATE TABLE server_tags (
    server_id TEXT COLLATE "C" NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    key       TEXT COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 127),
    value     TEXT COLLATE "C" NOT NULL CHECK (length(value) BETWEEN 1 AND 255),
    PRIMARY KEY (server_id, key)
);

-- Who may connect to a phone's present life, and until when.
CREATE TABLE tickets (
    hash       TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(hash) = 64),
    session    TEXT COLLATE "C" NOT NULL,
    phone_id   TEXT COLLATE "C" NOT NULL REFERENCES phones (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    user_id    TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tickets_expires_idx ON tickets (expires_at);
CREATE INDEX tickets_phone_idx ON tickets (phone_id);
