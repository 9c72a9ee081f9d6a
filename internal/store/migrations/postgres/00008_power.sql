-- +goose Up
-- Jobs that stop a phone, start it again or update its properties, in the life that it has.
ALTER TABLE requests DROP CONSTRAINT requests_kind_check,
    ADD CONSTRAINT requests_kind_check CHECK (kind IN ('create', 'reset', 'start', 'stop', 'restart', 'update'));
DROP INDEX jobs_target_key;
-- Before version 17 the expression of a generated column cannot be changed: the column goes, with its indexes, and comes back.
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check, DROP CONSTRAINT jobs_phase_check, DROP CONSTRAINT jobs_generation_check, DROP COLUMN stage;
ALTER TABLE jobs ADD COLUMN stopping_at BIGINT,
    ADD COLUMN stage TEXT COLLATE "C" NOT NULL GENERATED ALWAYS AS (CASE phase
        WHEN 'held' THEN 'held' WHEN 'queued' THEN 'queued' WHEN 'preparing' THEN 'preparing' WHEN 'verifying' THEN 'verifying' WHEN 'stopping' THEN 'stopping'
        WHEN 'removing' THEN 'slot' WHEN 'creating' THEN 'slot' WHEN 'booting' THEN 'slot' WHEN 'restoring' THEN 'slot' ELSE 'ended' END) STORED,
    ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('create', 'reset', 'start', 'stop', 'restart', 'update')),
    ADD CONSTRAINT jobs_phase_check CHECK (phase IN ('held', 'queued', 'preparing', 'stopping', 'removing', 'creating', 'booting', 'verifying', 'restoring', 'succeeded', 'failed', 'cancelled')),
    ADD CONSTRAINT jobs_generation_check CHECK (target > prior OR kind IN ('start', 'stop', 'restart', 'update') AND target = prior);
-- What makes no new life has the life that it works on as its target, which some other job has made.
CREATE UNIQUE INDEX jobs_target_key ON jobs (phone_id, target, (CASE WHEN kind IN ('start', 'stop', 'restart', 'update') THEN id ELSE '' END));
CREATE UNIQUE INDEX jobs_unfinished_key ON jobs (phone_id) WHERE stage <> 'ended';
CREATE UNIQUE INDEX jobs_preparing_key ON jobs (server_id, image_id) WHERE stage = 'preparing';
CREATE INDEX jobs_pace_idx ON jobs (request_id, seq) WHERE stage = 'held';
CREATE INDEX jobs_queue_idx ON jobs (server_id, project_id, image_id, seq) WHERE stage = 'queued';
CREATE INDEX jobs_slot_idx ON jobs (server_id, project_id) WHERE stage = 'slot';
