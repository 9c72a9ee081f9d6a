package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// raw sends bytes as they are and gives the answer's status and body.
func (p *process) raw(text string) (int, string) {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.endpoint, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	_, _ = io.WriteString(conn, text) // it may be answered before all of it was sent
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		p.t.Fatalf("%.100q is not answered: %v", text, err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, string(body)
}

// TestOddRequests sends what no client of ours would: each gets a clear refusal, nothing panics and nothing is a server's error.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "")
	base, native := "/v1/"+p.project+"/cloud-phone", "/lethe/v1"
	get := func(target string, headers ...string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Auth-Token: " + p.token + "\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
	}
	post := func(target, body string, headers ...string) string {
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Auth-Token: %s\r\nContent-Length: %d\r\n", target, p.token, len(body))
		return head + strings.Join(append(headers, ""), "\r\n") + "\r\n" + body
	}
	for name, c := range map[string]struct {
		text   string
		status string // the allowed ones
		says   string
	}{
		"an encoded slash in a project":   {get("/v1/" + p.project + "%2f..%2f" + p.project + "/cloud-phone/phones"), "404", "APIGW.0101"},
		"an encoded slash in a phone":     {get(base + "/phones/..%2f..%2fservers"), "404", "APIGW.0101"},
		"dots":                            {get(base + "/../cloud-phone/phones"), "404", "APIGW.0101"},
		"encoded dots":                    {get(base + "/%2e%2e/cloud-phone/phones"), "404", "APIGW.0101"},
		"double slashes":                  {get("//v1//" + p.project + "/cloud-phone/phones"), "404", "APIGW.0101"},
		"a backslash":                     {get(base + `\phones`), "404", "APIGW.0101"},
		"NUL in a path":                   {get(base + "/phones/%00"), "404", "CPS.0005"},
		"broken escape in a path":         {get(base + "/phones/%zz"), "400", ""},
		"NUL in a name":                   {get(base + "/phones?phone_name=%00"), "400", "CPS.0025"},
		"invalid UTF-8 in a name":         {get(base + "/phones?phone_name=%ff%fe"), "400", "CPS.0025"},
		"RTL and 4-byte characters":       {get(base + "/phones?phone_name=%E2%80%AE%F0%9F%98%80%D7%A9"), "200", "phones"},
		"a huge offset":                   {get(base + "/phones?offset=99999999999999999999"), "400", "CPS.0002"},
		"the largest offset":              {get(base + "/phones?offset=2147483647"), "200", "phones"},
		"a negative limit":                {get(base + "/phones?limit=-1"), "400", "CPS.0002"},
		"a limit in hexadecimal":          {get(base + "/phones?limit=0x10"), "400", "CPS.0002"},
		"a parameter twice":               {get(base + "/phones?limit=1&limit=-1"), "200", "phones"},
		"a broken query":                  {get(base + "/phones?limit=%zz;a=b"), "200 400", ""},
		"a huge time":                     {get(base + "/servers?create_since=-1"), "200 400", ""},
		"a native parameter twice":        {get(native + "/phones?limit=1&limit=2"), "400", "stands twice"},
		"a native parameter unknown":      {get(native + "/phones?limti=1"), "400", "limti"},
		"a native broken query":           {get(native + "/phones?a=%zz"), "400", "not well formed"},
		"NUL in a native name":            {get(native + "/phones?phone_name=%00"), "400", "phone_name"},
		"two tokens":                      {get(base+"/phones", "X-Auth-Token: "+p.token), "401", "APIGW.0301"},
		"two projects":                    {get(native+"/phones", "X-Project-Id: "+strings.Repeat("a", 32)), "403", "not scoped"},
		"a header that is too long":       {get(base+"/phones", "X-Long: "+strings.Repeat("a", 80<<10)), "431", ""},
		"a control character in a header": {get(base+"/phones", "X-Odd: a\x00b"), "400", ""},
		"no such method":                  {strings.Replace(get(base+"/phones"), "GET", "BREW", 1), "404 405", ""},
		"no such version":                 {strings.Replace(get(base+"/phones"), "HTTP/1.1", "HTTP/9.9", 1), "400 505", ""},
		"two lengths":                     {post(base+"/phones/batch-reset", "{}", "Content-Length: 3"), "400", ""},
		"a length and chunks":             {post(base+"/phones/batch-reset", "0\r\n\r\n", "Transfer-Encoding: chunked"), "400", ""},
		"an unknown coding":               {post(base+"/phones/batch-reset", "{}", "Transfer-Encoding: gzip"), "400 501", ""},
		"a body that is no JSON":          {post(base+"/phones/batch-reset", "\x00\xff"), "400", "CPS.0077"},
		"deep nesting":                    {post(base+"/phones/batch-reset", strings.Repeat("[", 100_000)), "400", "CPS.0077"},
		"a million empty phones":          {post(base+"/phones/batch-reset", `{"phones":[`+strings.Repeat("{},", 1_000_000)+`{}]}`), "400", "CPS.0190"},
		"a body over the limit":           {post(base+"/phones/batch-reset", strings.Repeat(" ", 12<<20+1)), "413", "APIGW.0201"},
		"a native body over the limit":    {post(native+"/images", strings.Repeat(" ", 2<<20)), "413", "bytes"},
		"an image of NUL":                 {post(native+"/images", `{"image_name":"a\u0000b","reference":"r"}`), "400", "image_name"},
		"half a character":                {post(native+"/images", `{"image_name":"a\ud800b","reference":"r"}`), "400", "surrogate"},
		"an image in four bytes, RTL":     {post(native+"/images", `{"image_name":"😀 שלום","reference":"r"}`), "200", "😀 שלום"},
		"a login without an end":          {post("/v3/auth/tokens", `{"auth":{"identity":`), "400", "invalid"},
		"a login with a key twice":        {post("/v3/auth/tokens", `{"auth":{},"auth":{}}`), "400", "invalid"},
		"a login over the limit":          {post("/v3/auth/tokens", strings.Repeat(" ", 65<<10)), "400", "invalid"},
		"a login of NUL":                  {post("/v3/auth/tokens", `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"\u0000","password":"x","domain":{"name":"lethe"}}}}}}`), "400", "invalid"},
	} {
		status, body := p.raw(c.text)
		if !strings.Contains(c.status, strconv.Itoa(status)) || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %.300s; want %s and %q", name, status, body, c.status, c.says)
		}
		if strings.HasPrefix(strings.TrimSpace(body), "{") && !json.Valid([]byte(body)) {
			t.Errorf("%s: the answer is broken JSON: %.300s", name, body)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, "panic") || strings.Contains(line, "level=ERROR") || strings.Contains(line, p.token) {
			t.Errorf("logged: %s", line)
		}
	}
}

// peak is the most memory that the process has had, in MiB.
func (p *process) peak() int {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return kib >> 10
}

// maxResident is what the process may have had of memory at its worst, in MiB, whatever is sent to it.
const maxResident = 600

// other is another caller, from another address, who is served all the while.
func (p *process) other(ctx context.Context) (stop func() int) {
	var served atomic.Int64
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	web := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}, Timeout: 2 * time.Minute}
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.endpoint+"/v1/"+p.project+"/cloud-phone/phones", nil)
			if err != nil {
				p.t.Error(err)
				return
			}
			req.Header.Set("X-Auth-Token", p.token)
			res, err := web.Do(req)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				p.t.Errorf("another caller is not served: %v", err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				p.t.Errorf("another caller is answered %s", res.Status)
				return
			}
			served.Add(1)
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond): // below the limit of calls of one user
			}
		}
	}()
	return func() int { cancel(); <-done; return int(served.Load()) }
}

// TestCrowd holds ten thousand idle connections and a few hundred that send a request byte by byte, and then sends many bodies of
// 12 MB at once: memory stays bounded, everybody gets a clear answer, and another caller is served all the while.
func TestCrowd(t *testing.T) {
	p := newProcess(t, "")
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	idle := int(min(10_000, limit.Max-min(limit.Max, 1000)))
	address := strings.TrimPrefix(p.endpoint, "http://")
	stop := p.other(t.Context())

	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for i := range idle {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, c)
		if i%20 == 0 { // some have begun a request that never ends
			_, _ = io.WriteString(c, "POST /v1/"+p.project+"/cloud-phone/phones/batch-reset HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		}
	}
	if n := p.descriptors(); n > 5000 {
		t.Errorf("the process holds %d descriptors under %d idle connections", n, idle)
	}
	afterIdle := p.peak()

	full := append([]byte(`{"phones":"`), bytes.Repeat([]byte("a"), 12<<20-13)...)
	full = append(full, '"', '}')
	var group sync.WaitGroup
	answers := map[string]*atomic.Int64{"400": {}, "401": {}, "429": {}}
	for i := range 60 {
		group.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.endpoint+"/v1/"+p.project+"/cloud-phone/phones/batch-reset", bytes.NewReader(full))
			if err != nil {
				t.Error(err)
				return
			}
			if i%2 == 0 {
				req.Header.Set("X-Auth-Token", p.token)
			} else { // nobody: the body has to be read before that is known
				req.Header.Set("X-Sdk-Date", time.Now().UTC().Format("20060102T150405Z"))
				req.Header.Set("Authorization", "SDK-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature="+strings.Repeat("0", 64))
			}
			res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
			if err != nil {
				t.Errorf("a big body is not answered: %v", err)
				return
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			n := answers[strconv.Itoa(res.StatusCode)]
			if n == nil || !bytes.Contains(body, []byte("error_code")) || res.StatusCode == 429 && res.Header.Get("Retry-After") == "" {
				t.Errorf("a big body is answered %s %.200s", res.Status, body)
				return
			}
			n.Add(1)
		})
	}
	group.Wait()
	served := stop()
	if served == 0 {
		t.Error("another caller was never served")
	}
	if answers["400"].Load() == 0 || answers["401"].Load() == 0 {
		t.Errorf("of the big bodies %d were read and refused, and %d of nobody: want some of each", answers["400"].Load(), answers["401"].Load())
	}
	if rss := p.peak(); rss > maxResident {
		t.Errorf("the process had %d MiB, more than %d", rss, maxResident)
	}
	t.Logf("%d idle connections: %d MiB; then 60 bodies of 12 MB: %d MiB at the worst; %d answered 400, %d 401, %d 429; another caller served %d times",
		idle, afterIdle, p.peak(), answers["400"].Load(), answers["401"].Load(), answers["429"].Load(), served)
}

// descriptors is how many file descriptors the process has.
func (p *process) descriptors() int {
	p.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(entries)
}
