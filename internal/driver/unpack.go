package driver

import (
	"errors"
	"io"
	"sync/atomic"
)

// Source remembers why an archive could not be read, for drivers whose libraries do not give a reader's error as it is.
type Source struct {
	io.Reader
	failed atomic.Pointer[error] // a library may go on reading in the background
}

// Read implements io.Reader.
func (s *Source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed.Store(&err)
	}
	return n, err
}

// Err is the error of the reader, or nil.
func (s *Source) Err() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}
