package objects

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func (f folder) list(ctx context.Context, bucket, prefix, mark string, most int) ([]phone.ObjectInfo, string, error) {
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return nil, "", noFolder(bucket, err)
	}
	defer root.Close()
	l := listing{ctx: ctx, root: root, prefix: prefix, mark: mark, most: most}
	err = l.walk(".")
	if err != nil && !errors.Is(err, errEnough) {
		return nil, "", noFolder(bucket, err)
	}
	if err == nil {
		return l.found, "", nil
	}
	return l.found, l.found[len(l.found)-1].Key, nil
}

// listing is one page of a list.
type listing struct {
	ctx          context.Context
	root         *os.Root
	prefix, mark string
	most         int
	found        []phone.ObjectInfo
}

var errEnough = errors.New("the page is full")

// walk goes through a folder in the order of keys: a folder sorts as its name with the slash behind it. It holds no more of the folder's names
// than a page can have; where folders turn out to have nothing for the page, the next ones are read.
func (l *listing) walk(dir string) error {
	for after := ""; ; {
		keys, more, err := l.next(dir, after)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := l.take(key); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		after = keys[len(keys)-1]
	}
}

// next gives the first names in a folder after one, by key, of those that may be on the page, as many as the page and one more; and whether there
// are others.
func (l *listing) next(dir, after string) (keys []string, more bool, err error) {
	file, err := l.root.Open(dir)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	most := l.most + 1
	least := func() { // keeps the first
		slices.Sort(keys)
		if len(keys) > most {
			keys, more = keys[:most], true
		}
	}
	for {
		if err := l.ctx.Err(); err != nil {
			return nil, false, err
		}
		entries, err := file.ReadDir(someNames)
		for _, entry := range entries {
			if key := l.keyOf(dir, entry); key > after {
				keys = append(keys, key)
			}
		}
		if len(keys) > most+someNames {
			least()
		}
		if errors.Is(err, io.EOF) {
			least()
			return keys, more, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
}

// keyOf gives the key of what may be on the page, with a slash at the end if it is a folder; "" of anything else.
func (l *listing) keyOf(dir string, entry fs.DirEntry) string {
	key := path.Join(dir, entry.Name())
	switch {
	case phone.CheckKey(key) != nil: // no object, and no folder of any
		return ""
	case entry.IsDir():
		key += "/"
		wanted := strings.HasPrefix(key, l.prefix) || strings.HasPrefix(l.prefix, key)
		if passed := key < l.mark && !strings.HasPrefix(l.mark, key); !wanted || passed {
			return ""
		}
		return key
	case !entry.Type().IsRegular(), !strings.HasPrefix(key, l.prefix), key <= l.mark:
		return ""
	}
	return key
}

func (l *listing) take(key string) error {
	if below, isDir := strings.CutSuffix(key, "/"); isDir {
		err := l.walk(below)
		if errors.Is(err, fs.ErrNotExist) { // it has just gone
			return nil
		}
		return err
	}
	if len(l.found) == l.most {
		return errEnough
	}
	info, err := l.root.Lstat(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	l.found = append(l.found, phone.ObjectInfo{Key: key, Size: info.Size(), UpdatedAt: info.ModTime()})
	return nil
}
