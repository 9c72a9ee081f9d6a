package phone_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestParseProperties(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want phone.Properties
	}{
		"none":             {``, nil},
		"an empty object":  {`{}`, phone.Properties{}},
		"white space":      {" {\n} ", phone.Properties{}},
		"strings":          {`{"com.cph.mainkeys":"1","persist.sys.locale":"zh-CN"}`, phone.Properties{"com.cph.mainkeys": "1", "persist.sys.locale": "zh-CN"}},
		"numbers":          {`{"com.cph.mainkeys":0,"com.cph.bandwidth_limit":-1}`, phone.Properties{"com.cph.mainkeys": "0", "com.cph.bandwidth_limit": "-1"}},
		"deprecated keys":  {`{"ro.product.manufacturer":"Huawei","ro.com.cph.sfs_enable":"0"}`, phone.Properties{"ro.product.manufacturer": "Huawei", "ro.com.cph.sfs_enable": "0"}},
		"Chinese picture":  {`{"com.cph.cam_local_pic_path":"/sdcard/图片 1.png"}`, phone.Properties{"com.cph.cam_local_pic_path": "/sdcard/图片 1.png"}},
		"an escaped key":   {`{"com.cph\u002emainkeys":"1"}`, phone.Properties{"com.cph.mainkeys": "1"}},
		"a URL, a port":    {`{"com.cph.cg.heartbeat_url":"https://a.example:8080/x,y","com.cph.cg.app_port":11000}`, phone.Properties{"com.cph.cg.heartbeat_url": "https://a.example:8080/x,y", "com.cph.cg.app_port": "11000"}},
		"the page's three": {`{"sys.prop.writephonenum":"13666666666","sys.prop.writeimsi":"460021624617113","sys.prop.writewifissid":"test_wifi"}`, phone.Properties{"sys.prop.writephonenum": "13666666666", "sys.prop.writeimsi": "460021624617113", "sys.prop.writewifissid": "test_wifi"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := phone.ParseProperties(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParsePropertiesRefuses(t *testing.T) {
	t.Parallel()
	const mainkeys = "com.cph.mainkeys"
	tests := map[string]struct {
		text   string
		reason phone.Reason
		field  string
	}{
		"white space":         {" ", phone.ReasonPropertyInvalid, ""},
		"not JSON":            {`mainkeys=1`, phone.ReasonPropertyInvalid, ""},
		"null":                {`null`, phone.ReasonPropertyInvalid, ""},
		"a list":              {`["com.cph.mainkeys"]`, phone.ReasonPropertyInvalid, ""},
		"a string":            {`"{}"`, phone.ReasonPropertyInvalid, ""},
		"truncated":           {`{"com.cph.mainkeys":"1"`, phone.ReasonPropertyInvalid, ""},
		"truncated key":       {`{"com.cph.m`, phone.ReasonPropertyInvalid, ""},
		"trailing comma":      {`{"com.cph.mainkeys":"1",}`, phone.ReasonPropertyInvalid, ""},
		"no comma":            {`{"com.cph.mainkeys":"1" "ro.install.auto":"1"}`, phone.ReasonPropertyInvalid, ""},
		"a number for a key":  {`{1:"1"}`, phone.ReasonPropertyInvalid, ""},
		"something follows":   {`{} {}`, phone.ReasonPropertyInvalid, ""},
		"invalid UTF-8":       {"{\"com.cph.mainkeys\":\"\xff\"}", phone.ReasonPropertyInvalid, ""},
		"too long":            {`{"com.cph.mainkeys":"1"` + strings.Repeat(" ", phone.MaxPropertyBytes) + `}`, phone.ReasonPropertyInvalid, ""},
		"a key twice":         {`{"com.cph.mainkeys":"1","com.cph.mainkeys":"0"}`, phone.ReasonPropertyInvalid, mainkeys},
		"unknown key":         {`{"no.such.key":"1"}`, phone.ReasonPropertyUnsupported, "no.such.key"},
		"key of another case": {`{"COM.CPH.MAINKEYS":"1"}`, phone.ReasonPropertyUnsupported, "COM.CPH.MAINKEYS"},
		"weakens adb":         {`{"ro.adb.secure":"0"}`, phone.ReasonPropertyUnsupported, "ro.adb.secure"},
		"weakens the host":    {`{"androidboot.redroid_gpu_mode":"host"}`, phone.ReasonPropertyUnsupported, "androidboot.redroid_gpu_mode"},
		"out of range":        {`{"com.cph.mainkeys":"2"}`, phone.ReasonPropertyValue, mainkeys},
		"empty value":         {`{"com.cph.mainkeys":""}`, phone.ReasonPropertyValue, mainkeys},
		"line feed at end":    {`{"com.cph.mainkeys":"1\n"}`, phone.ReasonPropertyValue, mainkeys},
		"true":                {`{"com.cph.mainkeys":true}`, phone.ReasonPropertyValue, mainkeys},
		"null value":          {`{"com.cph.mainkeys":null}`, phone.ReasonPropertyValue, mainkeys},
		"object value":        {`{"com.cph.mainkeys":{"a":1}}`, phone.ReasonPropertyValue, mainkeys},
		"fraction":            {`{"com.cph.mainkeys":1.0}`, phone.ReasonPropertyValue, mainkeys},
		"exponent":            {`{"com.cph.mainkeys":1e0}`, phone.ReasonPropertyValue, mainkeys},
		"IMSI of 16":          {`{"sys.prop.writeimsi":"1234567890123456"}`, phone.ReasonPropertyValue, "sys.prop.writeimsi"},
		"name with a space":   {`{"ro.product.name":"two words"}`, phone.ReasonPropertyValue, "ro.product.name"},
		"name with =":         {`{"ro.product.name":"a=b"}`, phone.ReasonPropertyValue, "ro.product.name"},
		"no URL":              {`{"com.cph.cg.heartbeat_url":"ftp://a"}`, phone.ReasonPropertyValue, "com.cph.cg.heartbeat_url"},
		"port too low":        {`{"com.cph.cg.h5_port":"9999"}`, phone.ReasonPropertyValue, "com.cph.cg.h5_port"},
		"bandwidth 0":         {`{"com.cph.bandwidth_limit":"0"}`, phone.ReasonPropertyValue, "com.cph.bandwidth_limit"},
		"picture of 91":       {`{"com.cph.cam_local_pic_path":"` + strings.Repeat("图", 91) + `"}`, phone.ReasonPropertyValue, "com.cph.cam_local_pic_path"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := phone.ParseProperties(tt.text)
			if err == nil {
				t.Fatalf("taken as %v", got)
			}
			if err.Code != phone.Invalid || err.Reason != tt.reason || err.Field != tt.field {
				t.Errorf("code %q, reason %q, field %q; want %q, %q, %q", err.Code, err.Reason, err.Field, phone.Invalid, tt.reason, tt.field)
			}
		})
	}
}

// Every key of the table takes the value that the table's own words allow, as a string, and no value with a NUL in it.
func TestPropertyRules(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, rule := range phone.PropertyRules() {
		if seen[rule.Key] {
			t.Errorf("%s stands twice", rule.Key)
		}
		seen[rule.Key] = true
		if rule.Says == "" || rule.Values.MatchString("") || rule.Values.MatchString("a\x00b") {
			t.Errorf("%s: the rule %q takes an empty value or a NUL", rule.Key, rule.Says)
		}
	}
	for _, key := range []string{"ro.adb.secure", "ro.secure", "ro.debuggable", "service.adb.tcp.port", "persist.adb.tcp.port"} {
		if seen[key] {
			t.Errorf("%s weakens the host or adb", key)
		}
	}
}

// Property values never reach a log: every way of printing shows the keys only.
func TestPropertiesHideValues(t *testing.T) {
	t.Parallel()
	p := phone.Properties{"sys.prop.writephonenum": "13666666666", "com.cph.mainkeys": "1"}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("phone", "properties", p)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("phone", "properties", p)
	for _, printed := range []string{p.String(), fmt.Sprint(p), fmt.Sprintf("%s %v %+v", p, p, p), log.String()} {
		if strings.Contains(printed, "13666666666") || !strings.Contains(printed, "sys.prop.writephonenum") {
			t.Errorf("printed as %q", printed)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	kept := phone.Properties{"a": "1", "b": "2"}
	tests := map[string]struct {
		given   phone.Properties
		factory bool
		want    phone.Properties
	}{
		"nothing given":          {nil, false, phone.Properties{"a": "1", "b": "2"}},
		"given over kept":        {phone.Properties{"b": "3", "c": "4"}, false, phone.Properties{"a": "1", "b": "3", "c": "4"}},
		"factory":                {nil, true, phone.Properties{}},
		"given after a clearing": {phone.Properties{"b": "3"}, true, phone.Properties{"b": "3"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, kept.Merge(tt.given, tt.factory)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if len(kept) != 2 || kept["b"] != "2" {
		t.Error("merging changed what it merged")
	}
}

// Whatever the text: it is refused with one of the three property reasons, or every key is a known one with a value of its rule,
// and the same object written out again reads the same.
func FuzzParseProperties(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"com.cph.mainkeys":0}`, `{"com.cph.mainkeys":"1","ro.install.auto":"1"}`, `{"a":{"b":[1,{"c":null}]}}`,
		`{"sys.prop.writephonenum":"13666666666",}`, `{"com.cph.cam_local_pic_path":"\u56fe\ud83d"}`, `{"com.cph.bandwidth_limit":-0}`,
		"{\"com.cph.mainkeys\":\"\xff\"}", `[[[[[[`, `{"":""}`, `{"com.cph.mainkeys":1}x`,
	} {
		f.Add(seed)
	}
	rules := map[string]phone.PropertyRule{}
	for _, rule := range phone.PropertyRules() {
		rules[rule.Key] = rule
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := phone.ParseProperties(text)
		if err != nil {
			switch err.Reason {
			case phone.ReasonPropertyInvalid, phone.ReasonPropertyUnsupported, phone.ReasonPropertyValue:
			default:
				t.Fatalf("reason %q", err.Reason)
			}
			if err.Code != phone.Invalid || err.Msg == "" || got != nil {
				t.Fatalf("code %q, message %q, properties %v", err.Code, err.Msg, got)
			}
			return
		}
		for key, value := range got {
			if rule, known := rules[key]; !known || !rule.Values.MatchString(value) {
				t.Fatalf("took %q for %q", value, key)
			}
		}
		if text == "" {
			return
		}
		again, encodeErr := json.Marshal(map[string]string(got))
		if encodeErr != nil {
			t.Fatal(encodeErr)
		}
		if len(again) > phone.MaxPropertyBytes {
			return // escapes made it longer than what is taken
		}
		read, err := phone.ParseProperties(string(again))
		if err != nil {
			t.Fatalf("took %q, but not what it means: %v", text, err)
		}
		if diff := cmp.Diff(got, read); diff != "" {
			t.Fatal(diff)
		}
	})
}
