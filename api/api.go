// Package api holds the wire structs of lethe's native API, /lethe/v1: what the Cloud Phone Host API has no word for, and what it
// has, under its own names.
//
// phone_id, server_id, image_id, job_id and request_id are 32 lower-case hex digits; status is the CPH number; times are RFC 3339
// in UTC; durations are whole milliseconds and named so. A list is an object with the noun's plural as its key and, except for
// jobs, "count", how many match in all.
//
// Lists of phones, servers and jobs are read page by page, by cursor or by offset. By cursor: the query's after is the next of the
// page before, and an empty after is the first page; such a page costs the same however far down the list it lies, nothing is left
// out or given twice when the list changes meanwhile, and it has no count. A first page without after has both a count and a next.
//
// The same credentials guard it as the CPH API: X-Auth-Token, or a SDK-HMAC-SHA256 signature. The project is named by the
// header X-Project-Id or the query's project_id; without either it is the token's, or the account's only one.
//
// openapi.yaml beside this file describes the same; a test keeps the two equal.
package api

// Prefix is where the native API begins.
const Prefix = "/lethe/v1"

// Error is the body of every answer with a status of 400 or above.
type Error struct {
	// The call's id, also in the header X-Request-Id; the server's log has it.
	RequestID string `json:"request_id"`
	// invalid, unauthenticated, forbidden, not_found, conflict, precondition, exhausted, unsupported, unavailable or internal. exhausted comes with the
	// status 429 and Retry-After where the same call may succeed later by itself, with 507 where a store is full, with 400 where a call names too many
	// phones, and else with 409.
	Code string `json:"error_code"`
	// One sentence that says what is wrong and, where there is one, the cure.
	Msg string `json:"error_msg"`
	// A stable sub-code, such as name_taken or phone_busy; absent when the code says it all.
	Reason string `json:"reason,omitempty"`
	// The field that the message is about, such as phones[3].phone_id.
	Field string `json:"field,omitempty"`
}

// Version says what is serving.
type Version struct {
	Version string `json:"version"`
	// The commit it was built from, when known.
	Revision string `json:"revision,omitempty"`
	// The Go release it was built with.
	Go string `json:"go"`
}

// Health is the answer of healthz and readyz.
type Health struct {
	// ok, or the sentence that says what is missing.
	Status string `json:"status"`
}
