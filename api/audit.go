package api

import "time"

// AuditEvent is one call that changed something, or that was refused. It has the keys of properties and never a value.
type AuditEvent struct {
	EventID string    `json:"event_id"`
	Time    time.Time `json:"time"`
	// Empty for what belongs to the account.
	ProjectID string `json:"project_id"`
	UserID    string `json:"user_id"`
	UserName  string `json:"user_name"`
	// The id of the key that signed the call; empty when it came with a token or a password.
	AccessKey string `json:"access_key"`
	// The address that the call came from.
	Source string `json:"source"`
	// What the client calls itself.
	UserAgent string `json:"user_agent"`
	// What was done: resetCloudPhone, login, accessDenied ...
	Trace string `json:"trace"`
	Route string `json:"route"`
	// The id or the name of the one thing that the call is about, if it is one.
	Target string `json:"target"`
	// The call's id, which is the accepted request's.
	RequestID string `json:"request_id"`
	// accepted, refused or failed.
	Result string `json:"result"`
	// Why it was refused or failed.
	Code    string        `json:"error_code,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	Changes []AuditChange `json:"changes,omitempty"`
}

// AuditChange is what a call did to phones that it did the same to.
type AuditChange struct {
	PhoneIDs        []string `json:"phone_ids"`
	OldImageID      string   `json:"old_image_id,omitempty"`
	NewImageID      string   `json:"new_image_id,omitempty"`
	OldPropertyKeys []string `json:"old_property_keys,omitempty"`
	NewPropertyKeys []string `json:"new_property_keys,omitempty"`
	// Why nothing was done to these phones.
	Refused string `json:"refused,omitempty"`
	// What became of it, as far as it is known now: running, succeeded, failed or cancelled.
	Result string `json:"result,omitempty"`
}

// AuditEvents is a page of the audit trail.
type AuditEvents struct {
	Events []AuditEvent `json:"events"`
	// Where the next page begins, for the query parameter mark; absent on the last page.
	Next string `json:"next,omitempty"`
}
