package api_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// schemas gathers the structs that the operations use, with the comments that stand at them in the source.
type schemas struct {
	t          *testing.T
	packageDoc string
	types      map[string]reflect.Type
	typeDoc    map[string]string // "Phone"
	fieldDoc   map[string]string // "Phone.ADBPort"
}

func newSchemas(t *testing.T) *schemas {
	t.Helper()
	s := &schemas{t: t, types: map[string]reflect.Type{}, typeDoc: map[string]string{}, fieldDoc: map[string]string{}}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		s.readFile(file)
	}
	return s
}

func (s *schemas) readFile(file *ast.File) {
	if paragraphs := strings.Split(file.Doc.Text(), "\n\n"); len(paragraphs) > 2 {
		s.packageDoc = oneLine(strings.Join(paragraphs[1:len(paragraphs)-1], " ")) // the first and the last are about this package
	}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, spec := range gen.Specs {
			spec := spec.(*ast.TypeSpec)
			s.typeDoc[spec.Name.Name] = oneLine(gen.Doc.Text())
			if body, ok := spec.Type.(*ast.StructType); ok {
				s.readFields(spec.Name.Name, body)
			}
		}
	}
}

func (s *schemas) readFields(of string, body *ast.StructType) {
	for _, field := range body.Fields.List {
		for _, name := range field.Names {
			s.fieldDoc[of+"."+name.Name] = oneLine(field.Doc.Text() + field.Comment.Text())
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// add takes a struct, and every struct in it, among the schemas.
func (s *schemas) add(t reflect.Type) {
	if s.types[t.Name()] == nil {
		s.types[t.Name()] = t
		s.describe(t)
	}
}

func (s *schemas) all() object {
	var out object
	for _, name := range slices.Sorted(maps.Keys(s.types)) {
		out = append(out, pair{name, s.describe(s.types[name])})
	}
	return out
}

func (s *schemas) describe(t reflect.Type) object {
	out := object{{"type", "object"}}
	if doc := s.typeDoc[t.Name()]; doc != "" {
		out = append(out, pair{"description", doc})
	} else {
		s.t.Errorf("%s has no comment", t.Name())
	}
	var required list
	var properties object
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous {
			continue // its fields follow
		}
		if name == "" {
			s.t.Errorf("%s.%s has no name on the wire", t.Name(), field.Name)
		}
		property := s.schema(field.Type)
		if doc := s.fieldDoc[owner(t, field)+"."+field.Name]; doc != "" {
			property = append(property, pair{"description", doc})
		}
		properties = append(properties, pair{name, property})
		if options == "" {
			required = append(required, name)
		}
	}
	if len(required) > 0 {
		out = append(out, pair{"required", required})
	}
	return append(out, pair{"properties", properties})
}

// owner is the struct that a field is written in: t, or one that t embeds.
func owner(t reflect.Type, field reflect.StructField) string {
	for _, i := range field.Index[:len(field.Index)-1] {
		t = t.Field(i).Type
	}
	return t.Name()
}

func (s *schemas) schema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{{"type", "string"}, {"format", "date-time"}}
	case reflect.TypeFor[json.RawMessage]():
		return object{{"type", "object"}}
	case reflect.TypeFor[[]byte]():
		return object{{"type", "string"}, {"format", "byte"}}
	}
	switch t.Kind() {
	case reflect.String:
		return object{{"type", "string"}}
	case reflect.Bool:
		return object{{"type", "boolean"}}
	case reflect.Int:
		return object{{"type", "integer"}}
	case reflect.Int64:
		return object{{"type", "integer"}, {"format", "int64"}}
	case reflect.Pointer:
		return s.schema(t.Elem())
	case reflect.Map:
		return object{{"type", "object"}, {"additionalProperties", s.schema(t.Elem())}}
	case reflect.Slice:
		return object{{"type", "array"}, {"items", s.schema(t.Elem())}}
	case reflect.Struct:
		s.add(t)
		return object{{"$ref", "#/components/schemas/" + t.Name()}}
	}
	s.t.Errorf("%s has no place in a description", t)
	return object{}
}
