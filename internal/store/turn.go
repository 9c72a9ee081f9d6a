package store

import (
	"context"
	"database/sql/driver"
	"fmt"

	"golang.org/x/sync/semaphore"
)

// A SQLite database has one writer at a time. database/sql serves those who wait for the one writing connection at random, so a renewal
// of the lease could wait for any time behind many others. It has a connection of its own instead, and the two take turns: whichever is
// handed out has the turn until it comes back, and the turn goes in the order in which it was asked for. So the renewal waits for the one
// transaction that is running and goes next, whoever else waits for the other connection, and for what. See docs/decisions/0070.

// turnConnector opens connections that have the turn while they are in use.
type turnConnector struct {
	driver.Connector
	turn *semaphore.Weighted // of 1
}

// Connect is database/sql's name for it. The new connection is in use.
func (c turnConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.turn.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		c.turn.Release(1)
		return nil, err
	}
	conn := &turnConn{turn: c.turn, has: true}
	var known bool
	if conn.sqliteConn, known = opened.(sqliteConn); !known {
		c.turn.Release(1)
		return nil, fmt.Errorf("the database driver's %T is not what it is documented to be", opened)
	}
	return conn, nil
}

// sqliteConn is all that database/sql asks a connection of the SQLite driver for; see the driver's NewConnector.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// turnConn is a connection that has the turn from when its pool hands it out until it comes back. database/sql calls no two of these
// methods at once.
type turnConn struct {
	sqliteConn
	turn *semaphore.Weighted
	has  bool
}

// ResetSession is called before the pool hands the connection out. One whose caller leaves before its turn is given up: any other error
// than this one would count as success.
func (c *turnConn) ResetSession(ctx context.Context) error {
	if c.turn.Acquire(ctx, 1) != nil {
		return driver.ErrBadConn
	}
	c.has = true
	return c.sqliteConn.ResetSession(ctx)
}

// IsValid is called when the connection comes back, also when it comes back without having been handed out.
func (c *turnConn) IsValid() bool {
	c.give()
	return c.sqliteConn.IsValid()
}

// Close is called for a connection that the pool does not want, in use or not.
func (c *turnConn) Close() error {
	defer c.give()
	return c.sqliteConn.Close()
}

func (c *turnConn) give() {
	if c.has {
		c.has = false
		c.turn.Release(1)
	}
}
