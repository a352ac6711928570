package api

import "strings"

// upgraded turns a document of OpenAPI 2, which the generator writes, into one of
// OpenAPI 3.1, which is what today's generators of clients read.
func upgraded(doc map[string]any) map[string]any {
	produces, consumes := texts(doc["produces"]), texts(doc["consumes"])
	paths, _ := doc["paths"].(map[string]any)
	for _, item := range paths {
		methods, _ := item.(map[string]any)
		for _, op := range methods {
			if operation, ok := op.(map[string]any); ok {
				upgradeOperation(operation, produces, consumes)
			}
		}
	}
	definitions, _ := doc["definitions"].(map[string]any)
	for _, d := range definitions {
		if schema, ok := d.(map[string]any); ok {
			absent(schema)
		}
	}
	out := map[string]any{
		"openapi":  "3.1.0",
		"servers":  []any{map[string]any{"url": "/"}},
		"info":     doc["info"],
		"tags":     doc["tags"],
		"security": doc["security"],
		"paths":    paths,
		"components": map[string]any{
			"schemas": definitions,
			"securitySchemes": map[string]any{
				"key": map[string]any{"type": "http", "scheme": "bearer", "description": "An API key of tokenwatch."},
			},
		},
	}
	return upgradeRefs(out).(map[string]any)
}

// upgradeOperation moves what OpenAPI 3 has elsewhere: the types of parameters and
// answers into schemas, what is sent as a body into one of its own, and the media
// types to the schemas they are of.
func upgradeOperation(op map[string]any, produces, consumes []string) {
	if own := texts(op["produces"]); own != nil {
		produces = own
	}
	if own := texts(op["consumes"]); own != nil {
		consumes = own
	}
	delete(op, "produces")
	delete(op, "consumes")
	parameters, _ := op["parameters"].([]any)
	kept, form := []any{}, map[string]any{}
	for _, p := range parameters {
		p, _ := p.(map[string]any)
		switch p["in"] {
		case "body":
			op["requestBody"] = map[string]any{"required": p["required"] == true, "content": content(consumes, p["schema"])}
		case "formData":
			form[p["name"].(string)] = schemaOf(p)
		default:
			kept = append(kept, p)
			p["schema"] = schemaOf(p)
		}
	}
	if len(form) > 0 {
		op["requestBody"] = map[string]any{"content": content(consumes, map[string]any{"type": "object", "properties": form})}
	}
	op["parameters"] = kept
	responses, _ := op["responses"].(map[string]any)
	for code, r := range responses {
		r, _ := r.(map[string]any)
		schema, described := r["schema"]
		delete(r, "schema")
		switch {
		case code == "200":
			r["content"] = contentOfAnswer(produces, schema)
		case described:
			r["content"] = content([]string{"application/json"}, schema)
		}
	}
}

// schemaOf takes the type of a parameter out of it.
func schemaOf(p map[string]any) map[string]any {
	schema := map[string]any{}
	for _, name := range []string{"type", "format", "items", "enum", "default"} {
		if v, ok := p[name]; ok {
			schema[name] = v
			delete(p, name)
		}
	}
	delete(p, "collectionFormat") // many values are sent one by one without it
	return schema
}

// contentOfAnswer is the content of a good answer; only JSON is of the schema.
func contentOfAnswer(types []string, schema any) map[string]any {
	out := map[string]any{}
	for _, t := range types {
		switch {
		case t == "application/json" && schema != nil:
			out[t] = map[string]any{"schema": schema}
		case t == "application/json":
			out[t] = map[string]any{"schema": map[string]any{"type": "object"}}
		case strings.HasPrefix(t, "text/"), strings.HasSuffix(t, "ndjson"), strings.HasSuffix(t, "+xml"):
			out[t] = map[string]any{"schema": map[string]any{"type": "string"}}
		default:
			out[t] = map[string]any{"schema": map[string]any{"type": "string", "format": "binary"}}
		}
	}
	return out
}

func content(types []string, schema any) map[string]any {
	out := map[string]any{}
	for _, t := range types {
		out[t] = map[string]any{"schema": schema}
	}
	return out
}

// absent says of the properties of a message which may be null: those that are
// messages themselves, times among them, as our marshaler writes what is not there.
func absent(schema map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	for _, p := range properties {
		p, _ := p.(map[string]any)
		if ref, isMessage := p["$ref"]; isMessage {
			p["anyOf"] = []any{map[string]any{"$ref": ref}, map[string]any{"type": "null"}}
			delete(p, "$ref")
		}
		if p["format"] == "date-time" {
			p["type"] = []any{"string", "null"}
		}
	}
}

// upgradeRefs has references lead to where schemas are in OpenAPI 3, and nothing
// stand beside one, which some readers do not expect.
func upgradeRefs(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			return map[string]any{"$ref": strings.Replace(ref, "#/definitions/", "#/components/schemas/", 1)}
		}
		for name, inner := range v {
			v[name] = upgradeRefs(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = upgradeRefs(inner)
		}
	}
	return v
}

// texts is a list of texts, as it was read or as it was made.
func texts(v any) (out []string) {
	switch v := v.(type) {
	case []string:
		return v
	case []any:
		for _, t := range v {
			if t, ok := t.(string); ok {
				out = append(out, t)
			}
		}
	}
	return out
}
