package compat

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	sdk "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1"

	"github.com/lethe-cloud/lethe/internal/cph"
)

var update = flag.Bool("update", false, "write docs/cph-coverage.md anew")

var coverageFile = filepath.Join("..", "..", "docs", "cph-coverage.md")

// TestCoverage holds lethe's table of operations against what the official SDK really sends, and docs/cph-coverage.md against both.
func TestCoverage(t *testing.T) {
	t.Parallel()
	sent := sdkOperations(t)
	known := map[string]bool{}
	for _, op := range cph.Operations() {
		if known[op.Name] {
			t.Errorf("lethe has %s twice", op.Name)
		}
		known[op.Name] = true
		if (op.Why == "") != (op.State == cph.Done) {
			t.Errorf("%s is %s, and why: %q", op.Name, op.State, op.Why)
		}
		if op.Action == "" {
			t.Errorf("%s needs no permission", op.Name)
		}
		inSDK, ok := sent[op.Name]
		if have := op.Method + " " + op.Path; ok && inSDK != have {
			t.Errorf("the SDK sends %s as\n%s, lethe has it as\n%s", op.Name, inSDK, have)
		}
		_, judged := judgements[op.Name]
		if judged != ok {
			t.Errorf("%s is %s and in the SDK: %v, but called through it: %v", op.Name, op.State, ok, judged)
		}
	}
	for name := range sent {
		if !known[name] {
			t.Errorf("the SDK has %s (%s), lethe's table has not", name, sent[name])
		}
	}
	for name := range judgements {
		if !known[name] {
			t.Errorf("%s is called, but not an operation of the table", name)
		}
	}

	want := coverage(sent)
	if *update {
		if err := os.WriteFile(coverageFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(coverageFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("docs/cph-coverage.md is not what the SDK and the routes say: run (cd test/compat && go test -run TestCoverage -update)")
	}
}

// coverage writes the table.
func coverage(sent map[string]string) []byte {
	var table bytes.Buffer
	counts := map[cph.State]int{}
	inSDK := 0
	for _, op := range cph.Operations() {
		through := "not in the SDK"
		if _, ok := sent[op.Name]; ok {
			inSDK++
			through = "no"
			if _, judged := judgements[op.Name]; judged {
				through = "yes"
			}
		}
		counts[op.State]++
		fmt.Fprintf(&table, "| %s | %s | `%s` | %s | %s | %s |\n", op.Name, op.Method, op.Path, op.State, op.Why, through)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `# Coverage of the CPH API

Generated from the official Go SDK v0.1.207 (%d operations) and lethe's routes by `+"`go test -run TestCoverage -update` in `test/compat`"+`; the
same test fails when they differ from this file. *Done* is what the reference says. *Partly* does what it can, the rest is said here.
*Refused* is routed, authorised and validated, and then says that it cannot be done: nothing answers success for what did not happen.
*Through the SDK*: a test calls the operation with right and with wrong input, the
real client against the real binary.

| state | operations |
|---|---|
`, inSDK)
	for _, state := range []cph.State{cph.Done, cph.Partly, cph.Refused} {
		fmt.Fprintf(&out, "| %s | %d |\n", state, counts[state])
	}
	fmt.Fprintf(&out, "\n| operation | method | path | state | why | through the SDK |\n|---|---|---|---|---|---|\n")
	return append(out.Bytes(), table.Bytes()...)
}

// sdkOperations calls every method of the official client once and gives what it sends, with the names of path parameters as the
// SDK has them: "GET /v1/{project_id}/cloud-phone/phones/{phone_id}".
func sdkOperations(t *testing.T) map[string]string {
	t.Helper()
	var mu sync.Mutex
	var last string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		path, err := url.PathUnescape(r.URL.EscapedPath())
		if err != nil {
			t.Error(err)
		}
		last = r.Method + " " + path
		fmt.Fprint(w, "{}")
	}))
	defer server.Close()
	credential, err := basic.NewCredentialsBuilder().WithAk("a").WithSk("b").WithProjectId("{project_id}").SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	http, err := sdk.CphClientBuilder().WithEndpoint(server.URL).WithCredential(credential).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	client := reflect.ValueOf(sdk.NewCphClient(http))
	sent := map[string]string{}
	for i := range client.NumMethod() {
		name, method := client.Type().Method(i).Name, client.Method(i)
		if strings.HasSuffix(name, "Invoker") {
			continue
		}
		results := method.Call([]reflect.Value{emptyRequest(t, method.Type().In(0).Elem())})
		if err, _ := results[1].Interface().(error); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mu.Lock()
		sent[name] = last
		mu.Unlock()
	}
	if len(sent) < 50 {
		t.Fatalf("the SDK has %d operations: %v", len(sent), sent)
	}
	return sent
}

// emptyRequest fills a request's path parameters with their names, and a resource type with the only one that there is.
func emptyRequest(t *testing.T, of reflect.Type) reflect.Value {
	t.Helper()
	request := reflect.New(of)
	for i := range of.NumField() {
		field, name := of.Field(i), strings.Split(of.Field(i).Tag.Get("json"), ",")[0]
		value := "{" + name + "}"
		if name == "resource_type" {
			value = "cph-server"
		}
		switch {
		case name == "body" || field.Type.Kind() == reflect.Pointer:
		default:
			quoted, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(quoted, request.Elem().Field(i).Addr().Interface()); err != nil {
				t.Fatalf("%s.%s: %v", of.Name(), field.Name, err)
			}
		}
	}
	return request
}

// TestRoutesOfTheBinary asks the real binary for every path of the table: all of them exist.
func TestRoutesOfTheBinary(t *testing.T) {
	t.Parallel()
	in := serve(t)
	token := in.token(in.cred.User, in.cred.Password, map[string]any{"project": map[string]any{"name": in.cred.Region}})
	for _, op := range cph.Operations() {
		path := strings.NewReplacer("{project_id}", in.cred.ProjectID, "{", "", "}", "").Replace(op.Path)
		status, body := in.call(token, op.Method, path, "")
		if status == http.StatusNotFound && strings.Contains(body, "APIGW.0101") {
			t.Errorf("%s is %s, but %s %s is answered %d %s", op.Name, op.State, op.Method, path, status, body)
		}
	}
}
