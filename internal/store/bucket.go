package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// AddBucket writes a bucket that a project makes, unless the project has as many as it may have.
func (s *Store) AddBucket(ctx context.Context, b phone.Bucket) error {
	return s.tx(ctx, func(t *tx) error {
		var project phone.ProjectID // locked: of two calls at once one sees the other's bucket
		if err := t.row(ctx, `SELECT id FROM projects WHERE id = ?`+t.lock, b.Project).Scan(&project); err != nil {
			return fmt.Errorf("lock the project: %w", err)
		}
		if err := t.withinQuota(ctx, phone.MaxBuckets, "buckets of the project", `SELECT count(*) FROM buckets WHERE project_id = ?`, b.Project); err != nil {
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO buckets (`+bucketColumns+`) VALUES (?, ?, ?, ?)`, b.ID, b.Name, b.Project, micros(b.CreatedAt))
		return err
	})
}

const bucketColumns = `id, name, project_id, created_at`

func scanBucket(row scanner) (phone.Bucket, error) {
	var b phone.Bucket
	var created int64
	err := row.Scan(&b.ID, &b.Name, &b.Project, &created)
	b.CreatedAt = timeOf(created)
	return b, err
}

// Bucket gives the bucket of that name, whosever it is: NotFound with ReasonBucketNotFound.
func (s *Store) Bucket(ctx context.Context, name string) (phone.Bucket, error) {
	var b phone.Bucket
	err := s.once(ctx, func(t *tx) (err error) {
		b, err = scanBucket(t.row(ctx, `SELECT `+bucketColumns+` FROM buckets WHERE name = ?`, name))
		if errors.Is(err, sql.ErrNoRows) {
			return errNoBucket()
		}
		return err
	})
	return b, err
}

// Buckets gives the buckets that a project has made, by name.
func (s *Store) Buckets(ctx context.Context, project phone.ProjectID) ([]phone.Bucket, error) {
	return readAll(ctx, s, scanBucket, `SELECT `+bucketColumns+` FROM buckets WHERE project_id = ? ORDER BY name`, project)
}

// DeleteBucket forgets the bucket of that id: NotFound with ReasonBucketNotFound.
func (s *Store) DeleteBucket(ctx context.Context, id string) error {
	return s.tx(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `DELETE FROM buckets WHERE id = ?`, id)
		if err == nil && n == 0 {
			return errNoBucket()
		}
		return err
	})
}

func errNoBucket() error {
	return phone.Errorf(phone.NotFound, phone.ReasonBucketNotFound, "there is no such bucket")
}
