package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
)

// binding is a gRPC method as the protos put it on REST.
type binding struct {
	rpc    string // full method name
	method string // GET, POST …
	path   string // template
	query  []string
}

// bindings reads all of them from the descriptors of our services.
func bindings() ([]binding, error) {
	var out []binding
	var err error
	protoregistry.GlobalFiles.RangeFilesByPackage("tokenwatch.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if methods.Get(j).IsStreamingClient() {
					continue // HTTP/1.1 has no form for it
				}
				var b binding
				if b, err = bindingOf(methods.Get(j)); err != nil {
					return false
				}
				out = append(out, b)
			}
		}
		return true
	})
	return out, err
}

func bindingOf(m protoreflect.MethodDescriptor) (binding, error) {
	b := binding{rpc: fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())}
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		b.method, b.path = http.MethodGet, pattern.Get
	case *annotations.HttpRule_Post:
		b.method, b.path = http.MethodPost, pattern.Post
	case *annotations.HttpRule_Patch:
		b.method, b.path = http.MethodPatch, pattern.Patch
	case *annotations.HttpRule_Delete:
		b.method, b.path = http.MethodDelete, pattern.Delete
	default:
		return b, fmt.Errorf("method %s has no REST path of a known kind", b.rpc)
	}
	if len(rule.GetAdditionalBindings()) > 0 {
		return b, fmt.Errorf("method %s has more than one REST path", b.rpc)
	}
	if rule.GetBody() == "*" {
		return b, nil
	}
	fields := m.Input().Fields()
	for i := range fields.Len() {
		name := string(fields.Get(i).Name())
		if name == "update_mask" && b.method == http.MethodPatch {
			continue // it follows from the body
		}
		if name != rule.GetBody() && !slices.Contains(pathFields(b.path), name) {
			b.query = append(b.query, name)
		}
	}
	return b, nil
}

// pathFields returns the names in braces of a path template.
func pathFields(path string) []string {
	var names []string
	for start, i := -1, 0; i < len(path); i++ {
		switch path[i] {
		case '{':
			start = i + 1
		case '}':
			names = append(names, path[start:i])
		}
	}
	return names
}

// checkQuery refuses parameters that a path does not have, and any that is
// given twice: a misspelt filter must not return everything.
func checkQuery(u *url.URL, allowed []string) error {
	if u.RawQuery == "" {
		return nil
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return v1.Fail(tokenwatch.RefusedArgument, "the query cannot be read", 0)
	}
	for name, v := range values {
		if !slices.Contains(allowed, name) {
			return v1.Fail(tokenwatch.RefusedArgument, "unknown query parameter; see /openapi.json for those there are", 0)
		}
		if len(v) > 1 {
			return v1.Fail(tokenwatch.RefusedArgument, "a query parameter is given more than once", 0)
		}
	}
	return nil
}
