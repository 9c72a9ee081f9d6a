package cph

// laterRoutes are the operations of the API that lethe does not have yet. A caller learns it at once: the path does not exist.
func laterRoutes() []route {
	const (
		files = "no data is written to buckets yet"
	)
	return []route{
		{"BatchExportCloudPhoneData", "POST " + base + "/phones/batch-storage", "", NotYet, files, nil},
		{"BatchImportCloudPhoneData", "POST " + base + "/phones/batch-restore", "", NotYet, files, nil},
	}
}
