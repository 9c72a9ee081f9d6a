-- +goose Up
-- A known text, sealed with the key that seals the access keys: a process that was given another key finds out. '': not sealed yet.
ALTER TABLE installation ADD COLUMN key_check TEXT NOT NULL DEFAULT '';
