package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Temporary makes a fresh, empty database on the PostgreSQL server that the URL names, and gives its URL and what drops it
// again, whoever is still connected. The URL's own database is only connected to. Its user must have the right to create
// databases.
func Temporary(ctx context.Context, serverURL string) (fresh string, drop func(context.Context) error, err error) {
	parsed, err := url.Parse(serverURL)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		return "", nil, phone.Errorf(phone.Invalid, "", "the database URL is not one of PostgreSQL: write postgres://USER:PASSWORD@HOST/DATABASE")
	}
	name := "lethe_temporary_" + phone.NewID[string]()
	if err := runOnServer(ctx, serverURL, `CREATE DATABASE `+name+` TEMPLATE template0`); err != nil {
		return "", nil, err
	}
	parsed.Path = "/" + name
	return parsed.String(), func(ctx context.Context) error {
		return runOnServer(ctx, serverURL, `DROP DATABASE `+name+` WITH (FORCE)`)
	}, nil
}

func runOnServer(ctx context.Context, serverURL, statement string) (err error) {
	config, err := pgx.ParseConfig(serverURL)
	if err != nil {
		return phone.Errorf(phone.Invalid, "", "the database URL cannot be read: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return unreachable(config, err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%.15s: %w", statement, err)
	}
	return nil
}

// Size is how many bytes a database takes, its indexes and, of SQLite, its log included.
func Size(ctx context.Context, databaseURL string) (n int64, err error) {
	if path, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
		for _, name := range []string{path, path + "-wal"} {
			info, err := os.Stat(name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return 0, phone.Errorf(phone.Unavailable, "", "the database file cannot be looked at: %w", err)
			}
			if err == nil {
				n += info.Size()
			}
		}
		return n, nil
	}
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return 0, phone.Errorf(phone.Invalid, "", "the database URL cannot be read: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return 0, unreachable(config, err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	err = conn.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&n)
	return n, translate(ctx, err)
}
