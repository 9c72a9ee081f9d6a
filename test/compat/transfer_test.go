package compat

import (
	"strings"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"
)

func export(infos ...model.StorageInfo) *model.BatchExportCloudPhoneDataRequest {
	return &model.BatchExportCloudPhoneDataRequest{Body: &model.BatchExportCloudPhoneDataRequestBody{StorageInfos: infos}}
}

func storage(phone, bucket, path string, include ...string) model.StorageInfo {
	return model.StorageInfo{PhoneId: phone, IncludeFiles: include, BucketName: bucket, ObjectPath: path}
}

func restore(infos ...model.RestoreInfo) *model.BatchImportCloudPhoneDataRequest {
	return &model.BatchImportCloudPhoneDataRequest{Body: &model.BatchImportCloudPhoneDataRequestBody{RestoreInfos: infos}}
}

// backedUp exports a file of a phone and gives what imports it again.
func (w world) backedUp(id, path string) *model.BatchImportCloudPhoneDataRequest {
	w.Helper()
	bucket := "backups-" + id
	w.in.lethe(nil, "bucket", "create", bucket)
	info := storage(id, bucket, "phones/"+id+"/1.tar", path+"*", "/cache")
	info.ExcludeFiles = &[]string{path + "-not"}
	answer := answered(w.client.BatchExportCloudPhoneData(export(info, storage(unknown, bucket, "x", "/data"))))(w)
	w.elements(answer, "", "CPS.0005")
	if job := w.ended(answer.RequestId)[0]; *job.Status != 2 || !strings.Contains(*job.ExecuteMsg, "exported 1 files") || !strings.Contains(*job.ExecuteMsg, "SHA-256") {
		w.Errorf("the export: %s", job)
	}
	return restore(model.RestoreInfo{PhoneId: id, BucketName: bucket, ObjectPath: info.ObjectPath})
}

// restored imports it.
func (w world) restored(backup *model.BatchImportCloudPhoneDataRequest) {
	w.Helper()
	answer := answered(w.client.BatchImportCloudPhoneData(backup))(w)
	w.elements(answer, "")
	if job := w.ended(answer.RequestId)[0]; *job.Status != 2 || !strings.Contains(*job.ExecuteMsg, "as its checksum says") {
		w.Errorf("the import: %s", job)
	}
}

var transferJudgements = map[string]judgement{
	"BatchExportCloudPhoneData": {
		func(w world) {
			id := w.phones[5]
			w.prints(id, "tee /data/export-not", "")
			w.prints(id, "tee /data/export-kept", "")
			backup := w.backedUp(id, "/data/export")
			w.prints(id, "rm /data/export-kept /data/export-not", "")
			w.restored(backup)
			w.prints(id, "cat /data/export-kept", "")
			if code, _ := w.exec(id, "cat /data/export-not"); code == 0 {
				w.Error("what was left out was exported")
			}
		},
		func(w world) {
			id := w.phones[5]
			refused(w.client.BatchExportCloudPhoneData(export()))(w, 400, "CPS.0167")
			refused(w.client.BatchExportCloudPhoneData(export(storage(id, "No_Bucket", "a", "/data"))))(w, 400, "CPS.0167")
			refused(w.client.BatchExportCloudPhoneData(export(storage(id, "bucket", "../a", "/data"))))(w, 400, "CPS.0167")
			refused(w.client.BatchExportCloudPhoneData(export(storage(id, "bucket", "a", "/system"))))(w, 400, "CPS.0168")
			refused(w.client.BatchExportCloudPhoneData(export(storage(id, "bucket", "a"))))(w, 400, "CPS.0168")
			out := storage(id, "bucket", "a", "/data")
			out.ExcludeFiles = &[]string{"/data/../system"}
			refused(w.client.BatchExportCloudPhoneData(export(out)))(w, 400, "CPS.0169")
			w.elements(answered(w.client.BatchExportCloudPhoneData(export(storage(id, "no-such-bucket", "a", "/data"))))(w), "CPS.0103")
		},
	},
	"BatchImportCloudPhoneData": {
		func(w world) {
			id := w.phones[4]
			w.prints(id, "tee /data/import-kept", "")
			backup := w.backedUp(id, "/data/import")
			w.prints(id, "rm /data/import-kept", "")
			w.restored(backup)
			w.prints(id, "cat /data/import-kept", "")
		},
		func(w world) {
			id := w.phones[4]
			refused(w.client.BatchImportCloudPhoneData(restore()))(w, 400, "CPS.0171")
			refused(w.client.BatchImportCloudPhoneData(restore(model.RestoreInfo{PhoneId: id, BucketName: "bucket", ObjectPath: "/a"})))(w, 400, "CPS.0171")
			w.elements(answered(w.client.BatchImportCloudPhoneData(restore(model.RestoreInfo{PhoneId: id, BucketName: "no-such-bucket", ObjectPath: "a"})))(w), "CPS.0104")
		},
	},
}
