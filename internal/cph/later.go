package cph

// laterRoutes are the operations of the API that lethe does not have yet. They have no handler, so that a caller learns it at
// once: the path does not exist.
func laterRoutes() []route {
	const (
		lifecycle = "no such job yet"
		commands  = "commands run through the native API only: lethe phone exec"
		files     = "no store of files yet"
		machine   = "machines are added through the native API only: lethe server add"
	)
	return []route{
		{"RestartCloudPhone", "POST " + base + "/phones/batch-restart", "", NotYet, lifecycle, nil},
		{"StopCloudPhone", "POST " + base + "/phones/batch-stop", "", NotYet, lifecycle, nil},
		{"UpdateCloudPhoneProperty", "POST " + base + "/phones/batch-update-property", "", NotYet, lifecycle, nil},
		{"RunShellCommand", "POST " + base + "/phones/commands", "", NotYet, commands, nil},
		{"PushFile", "POST " + base + "/phones/commands", "", NotYet, files, nil},
		{"InstallApk", "POST " + base + "/phones/commands", "", NotYet, files, nil},
		{"UninstallApk", "POST " + base + "/phones/commands", "", NotYet, commands, nil},
		{"RunSyncCommand", "POST " + base + "/phones/sync-commands", "", NotYet, commands, nil},
		{"BatchExportCloudPhoneData", "POST " + base + "/phones/batch-storage", "", NotYet, files, nil},
		{"BatchImportCloudPhoneData", "POST " + base + "/phones/batch-restore", "", NotYet, files, nil},
		{"PushShareApps", "POST " + base + "/phones/share-apps", "", NotYet, files, nil},
		{"DeleteShareApps", "DELETE " + base + "/phones/share-apps", "", NotYet, files, nil},
		{"PushShareFiles", "POST " + base + "/phones/share-files", "", NotYet, files, nil},
		{"DeleteShareFiles", "POST " + base + "/phones/share-files", "", NotYet, files, nil},
		{"ListShareFiles", "GET " + base + "/servers/share-files", "", NotYet, files, nil},
		{"RestartCloudPhoneServer", "POST " + base + "/servers/batch-restart", "", NotYet, lifecycle, nil},
		{"UpdateKeypair", "PUT " + base + "/servers/open-access", "", NotYet,
			"which adb keys may connect stands in the server's template and is read when a phone boots; no job changes it yet", nil},
		{"CreateNet2CloudPhoneServer", "POST " + baseV2 + "/servers", "", NotYet, machine, nil},
		{"DeleteCloudPhoneServer", "DELETE " + baseV2 + "/servers", "", NotYet, lifecycle, nil},
		{"UpdatePhoneName", "PUT " + base + "/phones/{phone_id}", "", NotYet, "next", nil},
		{"UpdateServerName", "PUT " + base + "/servers/{server_id}", "", NotYet, "next", nil},
		{"ListCloudPhoneModels", "GET " + base + "/phone-models", "", NotYet, "next", nil},
		{"ListCloudPhoneServerModels", "GET " + base + "/server-models", "", NotYet, "next", nil},
		{"ListImages", "GET " + base + "/images", "", NotYet, "next", nil},
		{"DeleteImage", "DELETE " + base + "/images/{image_id}", "", NotYet, "next", nil},
		{"ListImageMembers", "GET " + base + "/images/{image_id}/members", "", NotYet, "next", nil},
		{"AddImageMember", "POST " + base + "/images/{image_id}/members", "", NotYet, "next", nil},
		{"UpdateImageMember", "PUT " + base + "/images/{image_id}/members", "", NotYet, "next", nil},
		{"DeleteImageMember", "DELETE " + base + "/images/{image_id}/members/{member_id}", "", NotYet, "next", nil},
		{"ListProjectTags", "GET /v1/{project_id}/cph-server/tags", "", NotYet, "next", nil},
		{"ListResourceTags", "GET /v1/{project_id}/cph-server/{resource_id}/tags", "", NotYet, "next", nil},
		{"BatchCreateTags", "POST /v1/{project_id}/cph-server/{resource_id}/tags/action", "", NotYet, "next", nil},
		{"BatchDeleteTags", "POST /v1/{project_id}/cph-server/{resource_id}/tags/action", "", NotYet, "next", nil},
		{"ListResourceInstances", "POST /v1/{project_id}/cph-server/resource_instances/action", "", NotYet, "next", nil},
		{"BatchShowPhoneConnectInfos", "POST " + base + "/phones/batch-connection", "", NotYet, "next", nil},
		{"ImportTraffic", "POST " + base + "/phones-traffic", "", NotYet, "next", nil},
		{"ExpandPhoneDataVolumeSize", "POST " + base + "/phones/expand-volume", "", NotYet, "next", nil},
		{"ChangeCloudPhoneServerModel", "POST " + base + "/servers/change-server-model", "", NotYet, "next", nil},
		{"CreateCloudPhoneSingleServer", "POST /v2.1/{project_id}/cloud-phone/servers", "", NotYet, "next", nil},
		{"ShowBandwidthDetail", "GET " + base + "/bandwidths", "", NotYet, "next", nil},
		{"UpdateBandwidth", "PUT " + base + "/bandwidths/{band_width_id}", "", NotYet, "next", nil},
		{"ListEncodeServers", "GET " + base + "/encode-servers", "", NotYet, "next", nil},
		{"RestartEncodeServer", "POST " + base + "/encode-servers/batch-restart", "", NotYet, "next", nil},
		{"ChangeCloudPhoneServer", "POST " + baseV2 + "/servers/{server_id}/change", "", NotYet, lifecycle, nil},
	}
}
