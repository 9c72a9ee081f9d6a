-- +goose Up
-- A server's phones are given other adb keys by a job of the server. The text of the schema is changed as in 00008, and for the same reason.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'doing IN ('''', ''create'', ''restart'', ''reset'', ''delete'', ''failed'')',
    'doing IN ('''', ''create'', ''restart'', ''reset'', ''delete'', ''update'', ''failed'')')
    WHERE type = 'table' AND name = 'servers';
UPDATE sqlite_schema SET sql = replace(sql, 'kind IN (''create'', ''restart'', ''reset'', ''delete'')', 'kind IN (''create'', ''restart'', ''reset'', ''delete'', ''update'')')
    WHERE type = 'table' AND name = 'server_jobs';
PRAGMA writable_schema = RESET;
