package sharedir

import (
	"errors"
	"io/fs"
	"syscall"
)

// fault reports whether an error is the file system's own, and not one of a path that leads nowhere.
func fault(err error) bool {
	for _, cause := range []error{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.EIO, syscall.EROFS, syscall.ENOMEM, fs.ErrPermission,
	} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}
