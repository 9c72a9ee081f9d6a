package config

import (
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Bucket is a place that files for phones come from and phones' data goes to, which belongs to one project. It is set in the configuration file only, as one
// [[buckets]] table each.
type Bucket struct {
	Name    string // as in obs://NAME/PATH: of the installation, whatever it is called where it lies
	URL     string // file:///FOLDER, or s3://BUCKET?region=...&endpoint=...
	Project string // its id
	// ReadOnly keeps calls from writing and deleting in it.
	ReadOnly bool
}

const bucketsKey = "buckets"

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	projectID  = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// readBuckets is readPhoneModels for buckets.
func readBuckets(file string, raw any, problems *Error) []Bucket {
	buckets := readModels(file, bucketsKey, "bucket", raw, problems, readBucket, func(b Bucket) string { return b.Name })
	for i, b := range buckets {
		for _, other := range buckets[:i] {
			if b.Project != other.Project && !(b.ReadOnly && other.ReadOnly) && overlap(b.URL, other.URL) {
				problems.addf("bucket %q (%s): url is where bucket %q of another project is, or above or below it, so one could change what is the other's:"+
					" keep them apart, or write read_only = true in both", b.Name, file, other.Name)
			}
		}
	}
	return buckets
}

// checkObjectFolder refuses a bucket through which a project would have what is in the buckets of others.
func checkObjectFolder(c Config, problems *Error) {
	folder := c.ObjectFolder
	if folder == "" && c.SQLite() && c.Data != "" {
		folder, _ = filepath.Abs(filepath.Join(c.Data, "objects")) // fails where there is no working folder: then nothing else works either
	}
	if folder == "" {
		return
	}
	made := (&url.URL{Scheme: "file", Path: filepath.ToSlash(folder)}).String()
	for _, b := range c.Buckets {
		if overlap(b.URL, made) {
			problems.addf("bucket %q: url is the folder of the buckets that projects make (object_folder), or above or below it: name another folder", b.Name)
		}
	}
}

// overlap reports whether what lies at one URL lies at the other too, as far as the URLs tell.
func overlap(a, b string) bool {
	placeA, keysA := placeOf(a)
	placeB, keysB := placeOf(b)
	return placeA == placeB && (strings.HasPrefix(keysA, keysB) || strings.HasPrefix(keysB, keysA))
}

// placeOf says where the objects of a bucket are, and what their names there begin with.
func placeOf(text string) (place, keys string) {
	u, err := url.Parse(text)
	if err != nil { // told already
		return text, ""
	}
	if u.Scheme == "file" {
		return "file", strings.TrimSuffix(path.Clean(u.Path), "/") + "/"
	}
	query := u.Query()
	endpoint := query.Get("endpoint")
	if e, err := url.Parse(endpoint); err == nil && e.Host != "" {
		endpoint = strings.ToLower(e.Host)
	}
	return "s3 " + endpoint + " " + u.Host, query.Get("prefix") + query.Get("key")
}

func readBucket(table map[string]any) (b Bucket, wrong []string) {
	wrong = readModel(table, []modelKey{
		{"name", "must be 3 to 63 lower-case letters, digits, - or ., such as apps", textKey(&b.Name, bucketName)},
		{"url", "must be file:///FOLDER with the folder's whole path, or s3://BUCKET with its region and endpoint after a ?", func(v any) (ok bool) {
			b.URL, ok = v.(string)
			return ok && validBucketURL(b.URL)
		}},
		{"project", "must be a project's id: 32 lower-case hex digits", textKey(&b.Project, projectID)},
		{"read_only", "must be true or false", func(v any) (ok bool) {
			b.ReadOnly, ok = v.(bool)
			return ok
		}},
	})
	for _, key := range []string{"url", "project"} {
		if table[key] == nil {
			wrong = append(wrong, key+" is missing")
		}
	}
	return b, wrong
}

func validBucketURL(text string) bool {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.User != nil || u.Fragment != "": // keys come from where the AWS SDK looks for them, and not from here
		return false
	case u.Scheme == "file":
		return u.Host == "" && filepath.IsAbs(filepath.FromSlash(u.Path)) && u.RawQuery == ""
	case u.Scheme == "s3":
		return u.Host != "" && u.Path == ""
	}
	return false
}
