package cph

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// The limits of sync-commands [SDK model_run_sync_command_request_body.go and its client's comment].
const (
	maxSyncPhones = 15
	maxContent    = 1024 // bytes
	syncTime      = 2 * time.Second
	syncWithin    = 30 * time.Second
	syncPerMinute = 6 // of each user
)

// syncAtOnce is in how many phones one call runs at the same time.
const syncAtOnce = maxSyncPhones

// syncCommand is the body of sync-commands. phone_ids wins over server_ids.
type syncCommand struct {
	Command   string          `json:"command"`
	Content   string          `json:"content"`
	PhoneIDs  json.RawMessage `json:"phone_ids"`
	ServerIDs json.RawMessage `json:"server_ids"`
}

// syncJob is one phone's result [SDK model_run_sync_command_job.go]. Its id is of this answer alone: nothing of the run is kept. An element
// about a server that is refused has server_id in place of phone_id, as those of commands.
type syncJob struct {
	PhoneID  string      `json:"phone_id,omitempty"`
	ServerID string      `json:"server_id,omitempty"`
	ID       phone.JobID `json:"job_id,omitempty"` // none where nothing was run
	Status   int         `json:"status"`
	Code     string      `json:"error_code"`
	Msg      string      `json:"error_msg"`
	Executed string      `json:"execute_msg"`
}

type syncJobs struct {
	RequestID phone.RequestID `json:"request_id"`
	Jobs      []syncJob       `json:"jobs"`
}

// runSyncCommand is POST phones/sync-commands. What counts towards the limit of calls is a call that would run something.
func (h *Handler) runSyncCommand(c *call) (any, error) {
	in, err := c.syncCommand()
	if err != nil {
		return nil, err
	}
	if err := h.syncCalls.take(c.caller.User.ID); err != nil {
		return nil, err
	}
	results, err := h.Fleet.RunOnPhones(c.Context(), c.caller, in)
	if err != nil {
		return nil, err
	}
	out := syncJobs{RequestID: c.id, Jobs: make([]syncJob, len(results))}
	for i, r := range results {
		out.Jobs[i] = syncJobOut(r)
		if r.Err != nil && phone.CodeOf(r.Err) == phone.Internal {
			h.Logger.ErrorContext(c.Context(), "a command could not be run", "request_id", c.id, "phone_id", r.PhoneID, "err", r.Err)
		}
	}
	return out, nil
}

// syncCommand reads the body.
func (c *call) syncCommand() (fleet.RunOnPhones, error) {
	var in syncCommand
	err := c.decode(&in, map[string]phone.Reason{"command": phone.ReasonCommandInvalid, "content": phone.ReasonContentInvalid})
	if err != nil {
		return fleet.RunOnPhones{}, err
	}
	if in.Command != "shell" {
		return fleet.RunOnPhones{}, errQuery(phone.ReasonCommandInvalid, "command", "must be shell")
	}
	content, err := shellWords(in.Content)
	if err != nil {
		return fleet.RunOnPhones{}, err
	}
	out := fleet.RunOnPhones{
		Project: c.project, Within: syncWithin, AtOnce: syncAtOnce,
		// One byte more than is shown tells that there is more; stderr is shown behind stdout.
		Command: fleet.Command{Args: []string{"sh", "-c", content}, MaxOutput: maxExecuteMsg + 1, TimeLimit: syncTime},
	}
	if !absent(in.PhoneIDs) || absent(in.ServerIDs) {
		out.Phones, err = ids("phone_ids", in.PhoneIDs, maxSyncPhones, reasonPhoneIDs, reasonNoPhoneIDs, phone.ReasonPhonesTooMany)
	} else {
		out.Servers, err = ids("server_ids", in.ServerIDs, maxServers, reasonServerIDs, reasonNoServerIDs, reasonTooManyServers)
	}
	return out, err
}

// absent reports whether a list names nothing; an empty one counts as absent, as clients send every key of their schema.
func absent(list json.RawMessage) bool {
	switch strings.Join(strings.Fields(string(list)), "") {
	case "", "null", "[]":
		return true
	}
	return false
}

// shellWords checks a command by the reference's rule: letters, digits and _ . / : - of at most 1024 bytes. Its own example has spaces.
// Nothing of that means anything to a shell, so a command is words and no script.
func shellWords(content string) (string, error) {
	words := strings.Trim(content, " ")
	switch {
	case len(content) > maxContent:
		return "", errQuery(phone.ReasonContentInvalid, "content", "has more than %d bytes", maxContent)
	case words == "":
		return "", errQuery(phone.ReasonContentInvalid, "content", "is empty: write a command")
	case words[0] == '-': // the shell would take it for one of its own options
		return "", errQuery(phone.ReasonContentInvalid, "content", "begins with -: write a program's name first")
	case strings.ContainsFunc(words, func(r rune) bool { return !contentRune(r) }):
		return "", errQuery(phone.ReasonContentInvalid, "content", "may have letters, digits, spaces and _ . / : - only")
	}
	return words, nil
}

func contentRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" _./:-", r)
}

func syncJobOut(r fleet.PhoneResult) syncJob {
	out := syncJob{PhoneID: cut(r.PhoneID, maxPhoneID), ServerID: cut(r.ServerID, maxPhoneID), Status: int(phone.JobFailed)}
	var failed line
	switch {
	case r.Err != nil && phone.CodeOf(r.Err) == phone.Unavailable:
		failed = lineOfFailure(phone.ReasonHostGone)
	case r.Err != nil:
		failed = lineOf(r.Err)
	case r.Result.Expired:
		failed = byReason[phone.ReasonBootTimeout]
	case r.Result.ExitCode != 0:
		failed = byReason[phone.ReasonCommandFailed]
	default:
		out.Status = int(phone.JobSuccess)
	}
	if failed.code != "" {
		out.Code, out.Msg = failed.code, failed.sentence(r.Err)
	}
	if r.Err == nil {
		out.ID, out.Executed = phone.NewID[phone.JobID](), executed(r.Result)
	}
	return out
}

// executed is what the command wrote, without the line ends after it: stdout, then stderr.
func executed(r fleet.CommandResult) string {
	text := strings.ToValidUTF8(string(r.Stdout)+string(r.Stderr), "\ufffd")
	return cut(strings.TrimRight(text, "\r\n"), maxExecuteMsg)
}
