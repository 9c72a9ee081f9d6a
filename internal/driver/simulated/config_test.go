package simulated

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestParseConfig(t *testing.T) {
	t.Parallel()
	code := 7
	for name, test := range map[string]struct {
		text string
		want Config
	}{
		"nothing":      {"", DefaultConfig()},
		"white space":  {" \n", DefaultConfig()},
		"empty object": {"{}", DefaultConfig()},
		"all": {`{"boot_time": "1.5s", "boot_spread": 0.25, "capacity": 40, "disk": 5000000000, "data_files": 0, "missing_images": ["a:1", "b:2"],
			"faults": [{"name": "n", "phone": "web-*", "operation": "boot", "effect": "exit", "exit_code": 7, "duration": "20ms", "times": 3,
			"generations": [2, 3]},
			{"operation": "boot", "effect": "slow", "factor": 2.5}, {"operation": "*", "effect": "unavailable"}]}`,
			Config{
				BootTime: Duration(1500 * time.Millisecond), BootSpread: 0.25, Capacity: 40, Disk: 5_000_000_000, MissingImages: []string{"a:1", "b:2"},
				Faults: []Fault{
					{
						Name: "n", Phone: "web-*", Operation: OpBoot, Effect: EffectExit, ExitCode: &code, Duration: Duration(20 * time.Millisecond),
						Times: 3, Generations: []phone.Generation{2, 3},
					},
					{Operation: OpBoot, Effect: EffectSlow, Factor: 2.5},
					{Operation: OpAll, Effect: EffectUnavailable},
				},
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseConfig([]byte(test.text))
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Fatalf("%v\n%s", err, diff)
			}
			text, err := json.Marshal(got)
			must(t, err)
			again, err := ParseConfig(text)
			if diff := cmp.Diff(got, again); err != nil || diff != "" {
				t.Errorf("written and read again: %v\n%s", err, diff)
			}
		})
	}
}

// Every mistake is named with its key, and the sentence says what would be right.
func TestParseConfigRefuses(t *testing.T) {
	t.Parallel()
	fault := func(rule string) string {
		return `{"faults": [{"operation": "boot", "effect": "never"}, ` + rule + `]}`
	}
	for _, test := range []struct{ text, key, says string }{
		{`[]`, "", "must be one JSON object"},
		{`null`, "", "must be one JSON object"},
		{`"x"`, "", "must be one JSON object"},
		{`{"boot_time": "1s"`, "", "not valid JSON"},
		{`{"boot_time" "1s"}`, "boot_time", "not valid JSON"},
		{`{"boot_time": soon}`, "boot_time", "not valid JSON"},
		{`{"boot_time": "1s"} {}`, "", "nothing after it"},
		{`{"boottime": "1s"}`, "boottime", "use one of boot_spread, boot_time, capacity"},
		{`{"boot_time": "1s", "boot_time": "2s"}`, "boot_time", "twice"},
		{`{"boot_time": 1}`, "boot_time", `a duration such as "1.5s"`},
		{`{"boot_time": "fast"}`, "boot_time", `a duration such as "1.5s"`},
		{`{"boot_time": "-1s"}`, "boot_time", `a duration such as "1.5s"`},
		{`{"boot_time": null}`, "boot_time", `a duration such as "1.5s"`},
		{`{"boot_spread": "0.5"}`, "boot_spread", "a number"},
		{`{"boot_spread": 1.01}`, "boot_spread", "from 0"},
		{`{"boot_spread": -0.1}`, "boot_spread", "from 0"},
		{`{"capacity": 1.5}`, "capacity", "a whole number"},
		{`{"capacity": -1}`, "capacity", "0 for no limit"},
		{`{"disk": "5G"}`, "disk", "a whole number"},
		{`{"disk": -1}`, "disk", "a number of bytes"},
		{`{"data_files": -1}`, "data_files", "from 0 to"},
		{`{"data_files": 10001}`, "data_files", "from 0 to"},
		{`{"missing_images": "a"}`, "missing_images", "a list of texts"},
		{`{"faults": {}}`, "faults", "a list of rules"},
		{`{"faults": null}`, "faults", "a list"},
		{`{"faults": ["never"]}`, "faults[0]", "must be one JSON object"},
		{fault(`{}`), "faults[1].effect", "one of slow, never"},
		{fault(`{"operation": "boot", "effect": "explode"}`), "faults[1].effect", "one of slow, never"},
		{fault(`{"operation": "boot", "effect": "never", "phnoe": "x"}`), "faults[1].phnoe", "use one of duration, effect"},
		{fault(`{"effect": "never"}`), "faults[1].operation", "one of boot"},
		{fault(`{"operation": "start", "effect": "never"}`), "faults[1].operation", "for the effect never, one of boot"},
		{fault(`{"operation": "inspect", "effect": "lost-answer"}`), "faults[1].operation", "prepare, ensure"},
		{fault(`{"operation": "boot", "effect": "unavailable"}`), "faults[1].operation", "*, info"},
		{fault(`{"operation": "erase", "effect": "vanish"}`), "faults[1].operation", "start, boot"},
		{fault(`{"operation": "boot", "effect": "slow"}`), "faults[1].duration", "needed"},
		{fault(`{"operation": "stop", "effect": "late"}`), "faults[1].duration", "needed"},
		{fault(`{"operation": "inspect", "effect": "late", "duration": "1s"}`), "faults[1].operation", "prepare, ensure"},
		{fault(`{"operation": "stop", "effect": "ignored"}`), "faults[1].operation", "one of exec"},
		{fault(`{"operation": "exec", "effect": "slow", "factor": 2}`), "faults[1].factor", "operation boot"},
		{fault(`{"operation": "boot", "effect": "slow", "factor": -1}`), "faults[1].factor", "at most"},
		{fault(`{"operation": "boot", "effect": "never", "duration": "1s"}`), "faults[1].duration", "slow, late, exit and vanish"},
		{fault(`{"operation": "boot", "effect": "never", "exit_code": 1}`), "faults[1].exit_code", "the effect exit"},
		{fault(`{"operation": "boot", "effect": "exit", "exit_code": 256}`), "faults[1].exit_code", "0 to 255"},
		{fault(`{"operation": "boot", "effect": "exit", "exit_code": "1"}`), "faults[1].exit_code", "a whole number"},
		{fault(`{"operation": "boot", "effect": "never", "times": -1}`), "faults[1].times", "0 for every time"},
		{fault(`{"operation": "boot", "effect": "never", "generations": [0]}`), "faults[1].generations", "from 1"},
		{fault(`{"operation": "boot", "effect": "never", "generations": 2}`), "faults[1].generations", "a list of whole numbers"},
		{fault(`{"operation": "info", "effect": "fail", "generations": [1]}`), "faults[1].generations", "no one phone"},
		{fault(`{"operation": "boot", "effect": "never", "phone": "[a"}`), "faults[1].phone", "a pattern"},
		{fault(`{"operation": "boot", "effect": "never", "phone": 3}`), "faults[1].phone", "a text"},
	} {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			config, err := ParseConfig([]byte(test.text))
			var known *phone.Error
			if !errors.As(err, &known) {
				t.Fatalf("accepted as %+v, or refused without a code: %v", config, err)
			}
			if known.Code != phone.Invalid || known.Reason != phone.ReasonServerInvalid || known.Field != test.key {
				t.Errorf("%s, %s, key %q; want the key %q", known.Code, known.Reason, known.Field, test.key)
			}
			if !strings.HasPrefix(known.Msg, test.key) || !strings.Contains(known.Msg, test.says) {
				t.Errorf("the message %q does not begin with %q or does not say %q", known.Msg, test.key, test.says)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	owner := newOwner()
	good := phone.Server{ID: owner.Server, Endpoint: "sim:///nowhere/at/all"}
	must(t, drop(Open(owner.Installation, good)))
	for name, change := range map[string]func(*phone.Server, *string){
		"no endpoint":     func(s *phone.Server, _ *string) { s.Endpoint = "" },
		"other scheme":    func(s *phone.Server, _ *string) { s.Endpoint = "unix:///var/run/docker.sock" },
		"relative folder": func(s *phone.Server, _ *string) { s.Endpoint = "sim://hosts/one" },
		"bad config":      func(s *phone.Server, _ *string) { s.Config = []byte(`{"capacity": "many"}`) },
		"server id":       func(s *phone.Server, _ *string) { s.ID = "../../etc" },
		"installation":    func(_ *phone.Server, installation *string) { *installation = "mine" },
	} {
		server, installation := good, owner.Installation
		change(&server, &installation)
		d, err := Open(installation, server)
		wantError(t, err, phone.Invalid, phone.ReasonServerInvalid, "")
		if d != nil {
			t.Errorf("%s: a driver beside the error", name)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"boot_time": "1s", "boot_spread": 0.5}`, `{"faults": [{"operation": "boot", "effect": "slow", "factor": 3}]}`,
		`{"faults": [`, "\xff", `{"":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		config, err := ParseConfig(text)
		if err != nil {
			if phone.CodeOf(err) != phone.Invalid {
				t.Fatalf("not Invalid: %v", err)
			}
			return
		}
		again, err := json.Marshal(config)
		must(t, err)
		if _, err := ParseConfig(again); err != nil {
			t.Fatalf("%s is accepted, and what is written of it refused: %v", text, err)
		}
	})
}
