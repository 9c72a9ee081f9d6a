package objects

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Writers that share a file system leave its reserve alone, but for what each writes between two looks.
func TestReserve(t *testing.T) {
	t.Parallel()
	const writers, room = 20, int64(reserve + 10<<20)
	var mu sync.Mutex
	left := room
	var all []*localWriter
	for range writers {
		file, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		all = append(all, &localWriter{file: file, ctx: t.Context(), object: phone.Object{Bucket: "b", Key: "k"}, free: func(*os.File) (int64, error) {
			mu.Lock()
			defer mu.Unlock()
			return left, nil
		}})
	}
	piece := bytes.Repeat([]byte("x"), 32<<10)
	ended := 0
	for ended < writers { // in turns, which is the worst for them
		ended = 0
		for _, w := range all {
			n, err := w.Write(piece)
			if left -= int64(n); err != nil {
				if ended++; phone.ReasonOf(err) != phone.ReasonStoreFull {
					t.Fatal(err)
				}
			}
		}
	}
	if left < reserve-writers<<20 || left > reserve {
		t.Errorf("%d bytes of the reserve are left", left)
	}
}

// A page holds no more names of a folder than it can have, whatever is in it, and no object is missed.
func TestLongFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var want []string
	for i := range 2500 {
		name := fmt.Sprintf("n%04d", i*7919%10000)
		if i%5 == 0 { // nothing for the list
			if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if i%5 == 1 {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			name += "/x"
		}
		want = append(want, name)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	const most = 50
	var got []string
	for mark := ""; ; {
		page, next, err := folder{dir}.list(t.Context(), "b", "", mark, most)
		if err != nil || len(page) > most {
			t.Fatalf("%d objects, %v", len(page), err)
		}
		for _, o := range page {
			got = append(got, o.Key)
		}
		if mark = next; mark == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d objects, want %d", len(got), len(want))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	l := listing{ctx: t.Context(), root: root, most: most}
	keys, more, err := l.next(".", "")
	if err != nil || !more || len(keys) != most+1 || cap(keys) > 4*someNames {
		t.Errorf("%d names held in room for %d, %t, %v", len(keys), cap(keys), more, err)
	}
}

// A folder without an object is no bucket's content, and is not taken for one: nor is a file that has its name by now removed in its place.
func TestEmptyFolders(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bucket")
	for i := range 1200 {
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprint("d", i), "e"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b, o := folder{dir}, phone.Object{Bucket: "b", Key: "d7"}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := b.put(t.Context(), o, writeNothing); err != nil {
		t.Errorf("in place of an empty folder: %v", err)
	}
	if err := removeFolder(root, o.Key); err == nil {
		t.Error("an object was removed as a folder")
	}
	if err := b.put(t.Context(), phone.Object{Bucket: "b", Key: "d8/e/x"}, writeNothing); err != nil {
		t.Error(err)
	}
	if err := b.put(t.Context(), phone.Object{Bucket: "b", Key: "d8"}, writeNothing); phone.ReasonOf(err) != phone.ReasonObjectInvalid {
		t.Errorf("in place of a folder with an object: %v", err)
	}
	for _, key := range []string{"d7", "d8/e/x"} {
		if err := b.removeAll(); phone.ReasonOf(err) != phone.ReasonBucketNotEmpty {
			t.Errorf("with %s: %v", key, err)
		}
		if err := b.remove(t.Context(), phone.Object{Bucket: "b", Key: key}); err != nil {
			t.Error(err)
		}
	}
	if err := b.removeAll(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it is there: %v", err)
	}
}

func writeNothing(io.Writer) error { return nil }
