package simulated

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// maxPath is the longest path that a phone's programs take. It is less than Linux takes by what the host's folder may need
// itself, so that the host can reach, and erase, whatever a phone has made.
const maxPath = 2048

// inside gives the path as it is below /data: "." is /data itself. A path that leads elsewhere is not on the phone.
func inside(name string) (string, error) {
	clean := path.Clean("/" + name)
	below, ok := strings.CutPrefix(clean, "/data/")
	switch {
	case len(clean) > maxPath:
		return "", syscall.ENAMETOOLONG
	case clean == "/data":
		return ".", nil
	case !ok:
		return "", fs.ErrNotExist
	}
	return below, nil
}

// options takes the leading options off the arguments: any of the letters, alone or together. It reports a letter that is
// none of them.
func options(args []string, letters string) (given map[rune]bool, rest []string, unknown string) {
	given = map[rune]bool{}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		if args[0] == "--" {
			return given, args[1:], ""
		}
		for _, letter := range args[0][1:] {
			if !strings.ContainsRune(letters, letter) {
				return given, args, string(letter)
			}
			given[letter] = true
		}
		args = args[1:]
	}
	return given, args, ""
}

// reason is what a program says of an error with a file. A way out of /data, by a link for example, leads nowhere.
func reason(err error) string {
	switch {
	case errors.Is(err, syscall.EISDIR):
		return "Is a directory"
	case errors.Is(err, syscall.ENOTDIR):
		return "Not a directory"
	case errors.Is(err, syscall.ENOTEMPTY):
		return "Directory not empty"
	case errors.Is(err, fs.ErrExist):
		return "File exists"
	case errors.Is(err, syscall.ENAMETOOLONG):
		return "File name too long"
	case errors.Is(err, syscall.EINVAL):
		return "Invalid argument"
	case errors.Is(err, errReadOnly):
		return "Read-only file system"
	}
	return "No such file or directory"
}

// hostFault reports whether an error with a file is the host's and not the program's.
func hostFault(err error) bool {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.EIO, syscall.EROFS, fs.ErrPermission} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// errReadOnly is the error of a program that would write into the shared storage.
var errReadOnly = errors.New("it is mounted read-only")

// place is where a path leads: into the phone's data, or into the server's shared storage, which phones read alone.
func (s *shell) place(name string) (root *os.Root, below string, err error) {
	if at := s.instance.Share; at != "" {
		clean := path.Clean("/" + name)
		if rest, is := strings.CutPrefix(clean+"/", at+"/"); is && len(clean) <= maxPath {
			if s.share == nil && rest != "" {
				return nil, "", fs.ErrNotExist
			}
			return s.share, path.Clean("./" + rest), nil
		}
	}
	below, err = inside(name)
	return s.data, below, err
}

// each runs do for each path, of the phone's data alone, and says what went wrong with which. It gives 1 when anything did.
func (s *shell) each(program string, names []string, do func(name string) error) (int, error) {
	return s.eachPlace(program, names, func(root *os.Root, name, below string) error {
		if root != s.data {
			return errReadOnly
		}
		return do(below)
	})
}

// eachPlace is each for programs that only read.
func (s *shell) eachPlace(program string, names []string, do func(root *os.Root, name, below string) error) (int, error) {
	code := 0
	for _, name := range names {
		if err := s.ctx.Err(); err != nil {
			return code, err
		}
		root, below, err := s.place(name)
		if err == nil {
			err = do(root, name, below)
		}
		if hostFault(err) {
			return code, err
		}
		if err != nil {
			code, _ = s.fail(1, "%s: %s: %s", program, name, reason(err))
		}
	}
	return code, nil
}

// tee copies its standard input to files and to its standard output.
func tee(s *shell) (int, error) {
	given, names, unknown := options(s.args, "a")
	if unknown != "" {
		return s.fail(1, "tee: Unknown option '%s'", unknown)
	}
	input, err := io.ReadAll(s.stdin)
	if err != nil {
		return 0, err
	}
	if _, err := s.stdout.Write(input); err != nil {
		return 0, err
	}
	how := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if given['a'] {
		how = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	return s.each("tee", names, func(name string) error {
		file, err := s.data.OpenFile(name, how, 0o600)
		if err != nil {
			return err
		}
		_, err = file.Write(input)
		return errors.Join(err, file.Close())
	})
}

// cat copies files, or its standard input, to its standard output.
func cat(s *shell) (int, error) {
	if len(s.args) == 0 {
		_, err := io.Copy(&s.stdout, s.stdin)
		return 0, err
	}
	if slices.Equal(s.args, []string{keysFile}) {
		if text, there := s.instance.keys(); there {
			return 0, s.say("%s", text)
		}
	}
	return s.eachPlace("cat", s.args, func(root *os.Root, _, below string) error {
		if root == nil { // an empty shared storage
			return syscall.EISDIR
		}
		// Not waiting for a writer of something that is no file at all.
		file, err := root.OpenFile(below, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		info, err := file.Stat()
		switch {
		case err == nil && info.IsDir():
			err = syscall.EISDIR
		case err == nil && !info.Mode().IsRegular():
			err = syscall.EINVAL
		case err == nil:
			// One byte more than is kept tells that there is more.
			_, err = io.Copy(&s.stdout, io.LimitReader(file, int64(s.stdout.left)+1))
		}
		return errors.Join(err, file.Close())
	})
}

// ls names files, and what is in folders, one below the other and in order.
func ls(s *shell) (int, error) {
	given, names, unknown := options(s.args, "1aA")
	if unknown != "" {
		return s.fail(1, "ls: Unknown option '%s'", unknown)
	}
	if len(names) == 0 || len(names) == 1 && path.Clean("/"+names[0]) == "/" {
		return 0, s.say("data\n")
	}
	all := given['a'] || given['A']
	return s.eachPlace("ls", names, func(root *os.Root, name, below string) error {
		if root == nil { // an empty shared storage
			return nil
		}
		info, err := root.Stat(below)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return s.say("%s\n", path.Clean("/"+name))
		}
		found, err := fs.ReadDir(root.FS(), below)
		if err != nil {
			return err
		}
		for _, e := range found {
			if all || !strings.HasPrefix(e.Name(), ".") {
				if err := s.say("%s\n", e.Name()); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// mkdir makes folders, with -p also those above and without complaint about one that is there.
func mkdir(s *shell) (int, error) {
	given, names, unknown := options(s.args, "p")
	if unknown != "" || len(names) == 0 {
		return s.fail(1, "mkdir: usage: mkdir [-p] PATH...")
	}
	return s.each("mkdir", names, func(name string) error {
		if given['p'] {
			return s.data.MkdirAll(name, 0o700)
		}
		return s.data.Mkdir(name, 0o700)
	})
}

// rm removes files, with -r also folders, with -f without complaint about one that is not there.
func rm(s *shell) (int, error) {
	given, names, unknown := options(s.args, "rRf")
	if unknown != "" || len(names) == 0 && !given['f'] {
		return s.fail(1, "rm: usage: rm [-rf] PATH...")
	}
	return s.each("rm", names, func(name string) error {
		info, err := s.data.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && given['f']:
			return nil
		case err != nil:
			return err
		case !info.IsDir():
			return s.data.Remove(name)
		case !given['r'] && !given['R']:
			return syscall.EISDIR
		case name == ".":
			return s.emptyData()
		}
		return s.data.RemoveAll(name)
	})
}

// emptyData removes everything in /data; the folder itself is where the volume is mounted and stays.
func (s *shell) emptyData() error {
	found, err := fs.ReadDir(s.data.FS(), ".")
	for _, e := range found {
		err = errors.Join(err, s.data.RemoveAll(e.Name()))
	}
	return err
}
