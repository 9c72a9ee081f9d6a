package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// migrationLock is the advisory lock that lets one of several starting replicas bring the tables up to date; the number is
// the project's own.
const migrationLock = 0x6c65746865 // "lethe"

// sqliteMigrations is how often the tables of a SQLite database are tried to be brought up to date: another process that opens
// the new database at the same moment may do a step first, and then the next try finds it done.
const sqliteMigrations = 10

// migrate brings River's tables and ours up to date.
func (s *Store) migrate(ctx context.Context) (err error) {
	if !s.postgres {
		for range sqliteMigrations {
			if err = s.migrateLocked(ctx); err == nil || ctx.Err() != nil {
				break
			}
		}
		return err
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("wait for another replica's migration: %w", err)
	}
	defer func() {
		_, unlock := conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(migrationLock))
		err = errors.Join(err, unlock)
	}()
	return s.migrateLocked(ctx)
}

// migrateLocked does it; on PostgreSQL the caller holds the lock.
func (s *Store) migrateLocked(ctx context.Context) error {
	if err := s.migrateRiver(ctx); err != nil {
		return fmt.Errorf("the queue's tables: %w", err)
	}
	dialect, folder := goose.DialectSQLite3, "migrations/sqlite"
	if s.postgres {
		dialect, folder = goose.DialectPostgres, "migrations/postgres"
	}
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if !s.postgres {
		options = append(options, goose.WithExcludeNames([]string{retainFile}), goose.WithGoMigrations(goose.NewGoMigration(3, &goose.GoFunc{RunTx: retainSQLite}, nil)))
	}
	provider, err := goose.NewProvider(dialect, s.write, files, options...)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

func (s *Store) migrateRiver(ctx context.Context) error {
	if s.postgres {
		migrator, err := rivermigrate.New(riverpgxv5.New(s.pool), &rivermigrate.Config{Logger: quiet(s.log)})
		if err != nil {
			return err
		}
		_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	}
	migrator, err := rivermigrate.New(riversqlite.New(s.write), &rivermigrate.Config{Logger: quiet(s.log)})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}
