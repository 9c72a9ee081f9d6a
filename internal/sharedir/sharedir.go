// Package sharedir looks into the folder of a server's shared storage and removes files from it. No path leads out of the folder, and no link is
// followed, whatever it leads to: what lies behind one is not there. The docker driver does it in a container that sees the folder alone, with
// Main; the simulated one by itself.
package sharedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// File is one file or folder of a folder.
type File struct {
	Name       string    `json:"name"`
	Type       string    `json:"type"` // file, folder or link
	Size       int64     `json:"size"` // bytes, of a file
	ModifiedAt time.Time `json:"modified_at"`
}

// Listing is one page of what a folder has.
type Listing struct {
	Total int    `json:"total"` // in the whole folder
	Files []File `json:"files"`
}

// ErrNoFolder is the error of a listing of what is no folder, or is not there.
var ErrNoFolder = errors.New("there is no such folder")

// below gives a path as it is below the root; "." is the root itself.
func below(name string) string {
	if name = strings.TrimPrefix(path.Clean("/"+name), "/"); name == "" {
		return "."
	}
	return name
}

// isLink reports whether a path is a link, or leads through one. What is not there is none.
func isLink(root *os.Root, name string) (bool, error) {
	for end := range len(name) + 1 {
		if end < len(name) && name[end] != '/' {
			continue
		}
		info, err := root.Lstat(name[:end])
		if err != nil {
			if fault(err) {
				return false, err
			}
			return false, nil
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return true, nil
		}
	}
	return false, nil
}

// List gives the files of a folder below root in the order of their names, limit of them after offset. The error is ErrNoFolder, also of a link
// and what lies behind one, or one of the file system.
func List(root *os.Root, folder string, offset, limit int) (Listing, error) {
	if link, err := isLink(root, below(folder)); err != nil || link {
		return Listing{}, errors.Join(err, ErrNoFolder)
	}
	dir, err := root.Open(below(folder))
	if err != nil {
		return Listing{}, noFolder(err)
	}
	names, err := dir.Readdirnames(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return Listing{}, noFolder(err)
	}
	slices.Sort(names)
	page := Listing{Total: len(names), Files: []File{}}
	for _, name := range names[min(offset, len(names)):min(offset+limit, len(names))] {
		info, err := root.Lstat(path.Join(below(folder), name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went meanwhile
		}
		if err != nil {
			return Listing{}, err
		}
		page.Files = append(page.Files, fileOf(info))
	}
	return page, nil
}

func fileOf(info fs.FileInfo) File {
	f := File{Name: info.Name(), Type: "file", ModifiedAt: info.ModTime().UTC()}
	switch {
	case info.IsDir():
		f.Type = "folder"
	case info.Mode()&fs.ModeSymlink != 0:
		f.Type = "link"
	default:
		f.Size = info.Size()
	}
	return f
}

// noFolder makes ErrNoFolder of what a path that leads to no folder gives: a file in its way, a link that leads out or in a circle.
func noFolder(err error) error {
	if fault(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNoFolder, err)
}

// Remove removes files, and folders with all that is in them, below root, and says how many of the paths led to something. What is not there
// is no error, and neither is what lies behind a link. A link itself is removed.
func Remove(root *os.Root, paths []string) (removed int, err error) {
	for _, name := range paths {
		name = below(name)
		if name == "." {
			return removed, errors.New("the whole folder is not removed")
		}
		if behind, err := isLink(root, path.Dir(name)); err != nil {
			return removed, err
		} else if behind {
			continue
		}
		if _, err := root.Lstat(name); err != nil {
			if fault(err) {
				return removed, err
			}
			continue
		}
		if err := root.RemoveAll(name); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// Order is what Main is asked to do with a folder.
type Order struct {
	Dir    string   `json:"dir"`
	Remove []string `json:"remove,omitempty"` // paths below Dir
	List   *Page    `json:"list,omitempty"`
}

// Page is what is to be listed of a folder below Dir.
type Page struct {
	Folder string `json:"folder"`
	Offset int    `json:"offset"`
	Limit  int    `json:"limit"`
}

// answer is what Main prints.
type answer struct {
	Removed  int      `json:"removed"`
	Listing  *Listing `json:"listing,omitempty"`
	NoFolder bool     `json:"no_folder,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// flag begins the one argument that Main takes. A helper image of before it was known takes that for a folder which is not there, and leaves
// everything alone.
const flag = "--share="

// Argument makes the argument of Main.
func (o Order) Argument() string {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return flag + string(text)
}

// Is reports whether args are for Main.
func Is(args []string) bool { return len(args) == 1 && strings.HasPrefix(args[0], flag) }

// Main does what the one argument says, and prints what came of it as JSON. The exit code is 0 when it was done, or there was no such folder.
func Main(args []string, stdout, stderr io.Writer) int {
	var order Order
	if err := json.Unmarshal([]byte(strings.TrimPrefix(args[0], flag)), &order); err != nil {
		fmt.Fprintln(stderr, "the order cannot be read:", err)
		return 2
	}
	out, code := answer{}, 0
	if err := order.do(&out); errors.Is(err, ErrNoFolder) {
		out.NoFolder = true
	} else if err != nil {
		out.Error, code = err.Error(), 1
	}
	if err := json.NewEncoder(stdout).Encode(out); err != nil {
		fmt.Fprintln(stderr, "write the answer:", err)
		return 1
	}
	return code
}

func (o Order) do(out *answer) (err error) {
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if out.Removed, err = Remove(root, o.Remove); err != nil || o.List == nil {
		return err
	}
	listing, err := List(root, o.List.Folder, o.List.Offset, o.List.Limit)
	if err == nil {
		out.Listing = &listing
	}
	return err
}

// ReadAnswer reads what Main printed: how many paths led to something that was removed, and what was listed. The error may be ErrNoFolder.
func ReadAnswer(r io.Reader) (removed int, listing Listing, err error) {
	var a answer
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil {
		return 0, Listing{}, fmt.Errorf("the helper printed no answer: %w", err)
	}
	switch {
	case a.NoFolder:
		return a.Removed, Listing{}, ErrNoFolder
	case a.Error != "":
		return a.Removed, Listing{}, errors.New(a.Error)
	case a.Listing != nil:
		listing = *a.Listing
	}
	return a.Removed, listing, nil
}
