package driver

import (
	"errors"
	"io"
)

// Source remembers why an archive could not be read, for drivers whose libraries do not give a reader's error as it is.
type Source struct {
	io.Reader
	Err error
}

// Read implements io.Reader.
func (s *Source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.Err = err
	}
	return n, err
}
