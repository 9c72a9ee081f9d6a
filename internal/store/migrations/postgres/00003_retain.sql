-- +goose Up
-- Finished jobs by their end, and requests by their beginning: how those that are old enough to be removed are found.
CREATE INDEX jobs_ended_idx ON jobs (ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX requests_created_idx ON requests (created_at, id);
