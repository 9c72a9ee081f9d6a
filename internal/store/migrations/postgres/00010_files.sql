-- +goose Up
-- Tasks wait for their turn on their server, in the order of acceptance: attempt is 0 until then. And a later attempt has to know whether an
-- earlier one had begun what may not be done twice.
ALTER TABLE jobs DROP CONSTRAINT jobs_held_check;
ALTER TABLE jobs ADD COLUMN begun BIGINT NOT NULL DEFAULT 0, -- of a task: the attempt that was the first to be claimed
    ADD CONSTRAINT jobs_held_check CHECK ((phase IN ('held', 'queued', 'succeeded', 'failed', 'cancelled') OR phase = 'working' AND attempt = 0) = (owner IS NULL AND delivered_at IS NULL));
CREATE INDEX jobs_tasks_idx ON jobs (server_id, attempt, seq) WHERE stage = 'working';
