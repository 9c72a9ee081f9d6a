-- +goose Up
-- Jobs that work inside a phone's present life and leave its status alone (commands and files), several of a phone beside each other: a stage of
-- their own, 'working', keeps them out of the rule that a phone has one unfinished job. And jobs that remove a phone for good. A job outlives its
-- phone, as the record of what became of it.
ALTER TABLE requests DROP CONSTRAINT requests_kind_check,
    ADD COLUMN payload TEXT NOT NULL DEFAULT '', -- what its jobs have to do, beyond their phones and images
    ADD CONSTRAINT requests_kind_check CHECK (kind IN ('create', 'reset', 'start', 'stop', 'restart', 'update', 'delete', 'shell', 'push', 'install', 'uninstall', 'export', 'import'));
DROP INDEX jobs_target_key;
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check, DROP CONSTRAINT jobs_phase_check, DROP CONSTRAINT jobs_generation_check, DROP CONSTRAINT jobs_success_check,
    DROP CONSTRAINT jobs_phone_id_fkey, DROP COLUMN stage;
ALTER TABLE jobs ADD COLUMN deleting_at BIGINT, ADD COLUMN working_at BIGINT,
    ADD COLUMN output TEXT NOT NULL DEFAULT '', -- what a task's program said, bounded
    ADD COLUMN stage TEXT COLLATE "C" NOT NULL GENERATED ALWAYS AS (CASE phase
        WHEN 'held' THEN 'held' WHEN 'queued' THEN 'queued' WHEN 'preparing' THEN 'preparing' WHEN 'verifying' THEN 'verifying' WHEN 'stopping' THEN 'stopping'
        WHEN 'deleting' THEN 'deleting' WHEN 'working' THEN 'working'
        WHEN 'removing' THEN 'slot' WHEN 'creating' THEN 'slot' WHEN 'booting' THEN 'slot' WHEN 'restoring' THEN 'slot' ELSE 'ended' END) STORED,
    ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('create', 'reset', 'start', 'stop', 'restart', 'update', 'delete', 'shell', 'push', 'install', 'uninstall', 'export', 'import')),
    ADD CONSTRAINT jobs_phase_check CHECK (phase IN ('held', 'queued', 'preparing', 'stopping', 'deleting', 'working', 'removing', 'creating', 'booting', 'verifying', 'restoring', 'succeeded', 'failed', 'cancelled')),
    ADD CONSTRAINT jobs_generation_check CHECK (target > prior OR kind NOT IN ('create', 'reset') AND target >= prior),
    ADD CONSTRAINT jobs_success_check CHECK (phase <> 'succeeded' OR (erase IN ('none', 'done') AND (receipt IS NOT NULL OR kind IN ('shell', 'push', 'install', 'uninstall', 'export', 'import'))));
-- What makes no new life has the life that it works on as its target, which some other job has made.
CREATE UNIQUE INDEX jobs_target_key ON jobs (phone_id, target, (CASE WHEN kind IN ('create', 'reset') THEN '' ELSE id END));
CREATE UNIQUE INDEX jobs_unfinished_key ON jobs (phone_id) WHERE stage NOT IN ('ended', 'working');
CREATE INDEX jobs_working_idx ON jobs (phone_id) WHERE stage = 'working';
CREATE UNIQUE INDEX jobs_preparing_key ON jobs (server_id, image_id) WHERE stage = 'preparing';
CREATE INDEX jobs_pace_idx ON jobs (request_id, seq) WHERE stage = 'held';
CREATE INDEX jobs_queue_idx ON jobs (server_id, project_id, image_id, seq) WHERE stage = 'queued';
CREATE INDEX jobs_slot_idx ON jobs (server_id, project_id) WHERE stage = 'slot';
