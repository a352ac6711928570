package api

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tokenwatch/tokenwatch/proto"
)

// openAPI returns the document of all paths: those of the protos, and those that
// exist over HTTP only. It is put together as OpenAPI 2, as the generator of the
// protos writes it, and turned into OpenAPI 3 at the end.
func openAPI(version string, extra []route) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(proto.OpenAPI, &doc); err != nil {
		return nil, fmt.Errorf("read the generated OpenAPI document: %w", err)
	}
	info, _ := doc["info"].(map[string]any)
	paths, _ := doc["paths"].(map[string]any)
	if info == nil || paths == nil {
		return nil, fmt.Errorf("the generated OpenAPI document has no info or paths")
	}
	info["version"] = version
	for _, r := range extra {
		operation := map[string]any{
			"summary":     r.summary,
			"operationId": operationID(r),
			"produces":    []string{r.produces},
			"tags":        []string{"Operations"},
			"responses":   map[string]any{"200": map[string]any{"description": "A successful response."}},
		}
		if grants[r.grant].public {
			operation["security"] = []any{}
		}
		operation["parameters"] = parameters(r)
		if r.method == "POST" {
			operation["consumes"] = []string{"application/x-www-form-urlencoded"}
		}
		item, _ := paths[r.path].(map[string]any)
		if item == nil {
			item = make(map[string]any)
			paths[r.path] = item
		}
		item[strings.ToLower(r.method)] = operation
	}
	if err := describeIngest(paths); err != nil {
		return nil, err
	}
	if err := describeQuery(paths); err != nil {
		return nil, err
	}
	if err := describeWatch(paths); err != nil {
		return nil, err
	}
	describeErrors(paths)
	numbers(doc)
	return json.MarshalIndent(upgraded(doc), "", " ")
}

// operationID is the name of a path that does not come from the protos, in the
// manner of those that do: Operations_get_api_v1_query.
func operationID(r route) string {
	words := strings.FieldsFunc(strings.ToLower(r.method)+r.path, func(c rune) bool { return strings.ContainsRune("/{}._", c) })
	return "Operations_" + strings.Join(words, "_")
}

// parameters describes those of a path that does not come from the protos.
func parameters(r route) []any {
	out := []any{}
	for _, name := range pathFields(r.path) {
		out = append(out, map[string]any{"name": name, "in": "path", "required": true, "type": "string"})
	}
	for _, name := range append(r.query, r.takes...) {
		p := map[string]any{"name": name, "in": "query", "type": "string"}
		if r.method == "POST" {
			p["in"] = "formData"
		}
		if strings.HasSuffix(name, "[]") {
			p["type"], p["items"], p["collectionFormat"] = "array", map[string]any{"type": "string"}, "multi"
		}
		out = append(out, p)
	}
	return out
}

// numbers says of 64-bit integers what our marshaler does with them.
func numbers(v any) {
	switch v := v.(type) {
	case map[string]any:
		if format := v["format"]; v["type"] == "string" && (format == "int64" || format == "uint64") {
			v["type"] = "integer"
		}
		for _, inner := range v {
			numbers(inner)
		}
	case []any:
		for _, inner := range v {
			numbers(inner)
		}
	}
}

// describeIngest says what the protos cannot: the body is the records
// themselves, and the key a header.
func describeIngest(paths map[string]any) error {
	post, err := operation(paths, "/v1/ingest", "post")
	if err != nil {
		return err
	}
	post["consumes"] = []string{"application/x-ndjson", "text/plain", "application/json", "application/octet-stream"}
	post["parameters"] = []any{
		map[string]any{"name": "format", "in": "query", "type": "string", "default": "auto", "description": "Name of a format, or auto."},
		map[string]any{"name": "source", "in": "query", "type": "string", "description": "Which input the records belong to."},
		map[string]any{"name": "Idempotency-Key", "in": "header", "type": "string", "description": "The same key with the same records is stored once; with others it is refused."},
		map[string]any{"name": "Content-Encoding", "in": "header", "type": "string", "enum": []string{"identity", "gzip", "zstd", "deflate", "snappy"}},
		map[string]any{"name": "records", "in": "body", "required": true, "schema": map[string]any{"type": "string", "format": "binary"}},
	}
	return nil
}

// describeQuery says that Accept picks the format, and that the answer is the
// body itself.
func describeQuery(paths map[string]any) error {
	post, err := operation(paths, "/v1/query", "post")
	if err != nil {
		return err
	}
	post["produces"] = []string{
		"application/json", "application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet",
	}
	post["parameters"] = []any{
		map[string]any{"name": "body", "in": "body", "required": true, "schema": map[string]any{
			"type": "object", "required": []string{"sql"}, "properties": map[string]any{"sql": map[string]any{"type": "string"}},
		}},
	}
	column := map[string]any{"type": "object", "properties": map[string]any{
		"name": map[string]any{"type": "string"}, "type": map[string]any{"type": "string"},
	}}
	responses, _ := post["responses"].(map[string]any)
	if responses == nil {
		return fmt.Errorf("the generated OpenAPI document has no responses of POST /v1/query")
	}
	responses["200"] = map[string]any{"description": "The answer. What the query took is in it, or in the trailer Tokenwatch-Statistics.", "schema": map[string]any{
		"type": "object", "properties": map[string]any{
			"columns":    map[string]any{"type": "array", "items": column},
			"rows":       map[string]any{"type": "array", "items": map[string]any{"type": "array", "items": map[string]any{}}},
			"statistics": map[string]any{"$ref": "#/definitions/v1QueryStatistics"},
		},
	}}
	return nil
}

func describeWatch(paths map[string]any) error {
	for _, path := range []string{"/v1/findings:watch", "/v1/events:tail"} {
		get, err := operation(paths, path, "get")
		if err != nil {
			return err
		}
		get["produces"] = []string{"text/event-stream"}
	}
	return nil
}

func operation(paths map[string]any, path, method string) (map[string]any, error) {
	item, _ := paths[path].(map[string]any)
	op, _ := item[method].(map[string]any)
	if op == nil {
		return nil, fmt.Errorf("the generated OpenAPI document has no %s %s", method, path)
	}
	return op, nil
}
