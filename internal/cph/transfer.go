package cph

import (
	"encoding/json"
	"errors"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/strictjson"
)

// transferList is what a body of batch-storage or batch-restore has: its one list, and which errors are about it.
type transferList struct {
	kind             phone.Kind
	field            string
	invalid, tooMany phone.Reason
}

var (
	storageInfos = transferList{phone.KindExport, "storage_infos", reasonStorageInfos, reasonTooManyStorages}
	// The reference has no code for too many of these but the one for phones.
	restoreInfos = transferList{phone.KindImport, "restore_infos", reasonRestoreInfos, phone.ReasonPhonesTooMany}
)

// transferInfo is one element [SDK model_storage_info.go, model_restore_info.go]; the paths are an export's.
type transferInfo struct {
	PhoneID string          `json:"phone_id"`
	Include json.RawMessage `json:"include_files"`
	Exclude json.RawMessage `json:"exclude_files"`
	Bucket  string          `json:"bucket_name"`
	Path    string          `json:"object_path"`
}

// exportData is POST phones/batch-storage, importData POST phones/batch-restore. Both are repeatable as a reset is.
func (h *Handler) exportData(c *call) (any, error) { return h.transferData(c, storageInfos) }
func (h *Handler) importData(c *call) (any, error) { return h.transferData(c, restoreInfos) }

func (h *Handler) transferData(c *call, l transferList) (any, error) {
	var body struct {
		Storage json.RawMessage `json:"storage_infos"`
		Restore json.RawMessage `json:"restore_infos"`
	}
	if err := c.decode(&body, nil); err != nil {
		return nil, err
	}
	list := body.Storage
	if l.kind == phone.KindImport {
		list = body.Restore
	}
	in := fleet.TransferData{Request: c.id, Project: c.project, Kind: l.kind, Key: idempotencyKey(c.Header)}
	var err error
	if in.Phones, err = l.read(list, h.Fleet.MaxBatch()); err != nil {
		return nil, err
	}
	id, outcomes, err := h.Fleet.TransferData(c.Context(), c.caller, in)
	if err != nil {
		return nil, renamed(err, map[phone.Reason]phone.Reason{phone.ReasonObjectInvalid: l.invalid})
	}
	return c.accepted(id, outcomes), nil
}

// read reads the list, which is counted before.
func (l transferList) read(list json.RawMessage, most int) ([]fleet.PhoneData, error) {
	switch {
	case absent(list):
		return nil, errQuery(l.invalid, l.field, "is missing or empty")
	case list[0] != '[':
		return nil, errQuery(l.invalid, l.field, "must be a list")
	case longer(list, most):
		return nil, &phone.Error{Code: phone.Exhausted, Reason: l.tooMany, Field: l.field, Msg: l.field + " has more elements than one call takes"}
	}
	var elements []*transferInfo
	if err := strictjson.Unmarshal(list, &elements, bodyRules); err != nil {
		var wrong *strictjson.Error
		if !errors.As(err, &wrong) {
			return nil, err
		}
		return nil, &phone.Error{Code: phone.Invalid, Reason: l.invalid, Field: l.field + wrong.Path, Msg: l.field + wrong.Path + " " + wrong.Msg}
	}
	phones := make([]fleet.PhoneData, len(elements))
	for i, e := range elements {
		if e == nil {
			return nil, errQuery(l.invalid, l.field, "[%d] must be an object, not null", i)
		}
		phones[i] = fleet.PhoneData{Phone: e.PhoneID, Bucket: e.Bucket, Key: e.Path}
		if l.kind == phone.KindImport {
			continue
		}
		var err error
		if phones[i].Include, err = paths("include_files", e.Include, phone.ReasonIncludeInvalid); err != nil {
			return nil, err
		}
		if phones[i].Exclude, err = paths("exclude_files", e.Exclude, phone.ReasonExcludeInvalid); err != nil {
			return nil, err
		}
	}
	return phones, nil
}

// paths reads a list of paths, which may be absent.
func paths(field string, list json.RawMessage, invalid phone.Reason) ([]string, error) {
	if absent(list) {
		return nil, nil
	}
	if list[0] == '[' && longer(list, phone.MaxDataPaths) {
		return nil, errQuery(invalid, field, "has more than %d paths", phone.MaxDataPaths)
	}
	var given []*string
	if err := json.Unmarshal(list, &given); err != nil {
		return nil, errQuery(invalid, field, "must be a list of strings")
	}
	all := make([]string, len(given))
	for i, path := range given {
		if path == nil {
			return nil, errQuery(invalid, field, "must be a list of strings")
		}
		all[i] = *path
	}
	return all, nil
}
