package cph

// laterRoutes are the operations of the API that lethe does not have yet. A caller learns it at once: the path does not exist.
func laterRoutes() []route {
	const (
		files = "servers share no files yet"
	)
	return []route{
		{"PushShareApps", "POST " + base + "/phones/share-apps", "", NotYet, files, nil},
		{"DeleteShareApps", "DELETE " + base + "/phones/share-apps", "", NotYet, files, nil},
		{"PushShareFiles", "POST " + base + "/phones/share-files", "", NotYet, files, nil},
		{"DeleteShareFiles", "POST " + base + "/phones/share-files", "", NotYet, files, nil},
		{"ListShareFiles", "GET " + base + "/servers/share-files", "", NotYet, files, nil},
	}
}
