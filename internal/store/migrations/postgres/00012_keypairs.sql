-- +goose Up
-- A server's phones are given other adb keys by a job of the server.
ALTER TABLE servers DROP CONSTRAINT servers_doing_check, ADD CONSTRAINT servers_doing_check CHECK (doing IN ('', 'create', 'restart', 'reset', 'delete', 'update', 'failed'));
ALTER TABLE server_jobs DROP CONSTRAINT server_jobs_kind_check, ADD CONSTRAINT server_jobs_kind_check CHECK (kind IN ('create', 'restart', 'reset', 'delete', 'update'));
