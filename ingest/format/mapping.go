package format

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tokenwatch/tokenwatch"
)

// Mapping says what the fields of a source's JSON records are.
type Mapping struct {
	rules map[string]rule // by dotted path as the record writes it
}

// ParseMapping reads a mapping file: YAML, one line a field.
//
//	client.addr: src_ip          # a column, by our name, ECS's or OCSF's
//	client.tier: attrs.tier      # an attr
//	auth.raw: credential         # a raw credential
//	auth.id: name:provider_id    # another name of the token, by its kind
//	debug: drop                  # nothing
//
// To drop an object drops all within it. Array elements carry their index in the path. An unknown target is an error.
func ParseMapping(data []byte) (*Mapping, error) {
	var lines map[string]string
	if err := yaml.Unmarshal(data, &lines); err != nil {
		return nil, fmt.Errorf("read mapping: %w", err)
	}
	m := &Mapping{make(map[string]rule, len(lines))}
	for field, target := range lines {
		r, err := mappingRule(target)
		if err != nil {
			return nil, fmt.Errorf("read mapping: field %q: %w", field, err)
		}
		if r.op == toCredential {
			r.carrier, r.incidental = field, incidentalCarriers[field]
		}
		m.rules[field] = r
	}
	return m, nil
}

func mappingRule(target string) (rule, error) {
	switch {
	case target == "drop":
		return rule{op: toNothing}, nil
	case target == "credential":
		return rule{op: toCredential}, nil
	case strings.HasPrefix(target, "attrs."):
		return rule{op: toAttr, carrier: strings.TrimPrefix(target, "attrs.")}, nil
	case strings.HasPrefix(target, "name:"):
		kind := tokenwatch.NameKind(strings.TrimPrefix(target, "name:"))
		for _, k := range tokenwatch.NameKinds {
			if k == kind {
				return rule{op: toName, name: kind}, nil
			}
		}
		return rule{}, fmt.Errorf("no kind of name is called %q", string(kind))
	}
	col, ok := tokenwatch.ColumnByName(target)
	switch {
	case !ok:
		return rule{}, fmt.Errorf("no column is called %q", target)
	case col == tokenwatch.ColToken:
		return rule{}, fmt.Errorf("column %q is made from a credential or a name; use credential, or name and a kind", target)
	case col == tokenwatch.ColDuration:
		return rule{op: toDuration, unit: 1}, nil
	case col == tokenwatch.ColPath:
		return rule{op: toURL}, nil
	case col.Kind() == tokenwatch.KindMap || col.Kind() == tokenwatch.KindBool || col == tokenwatch.ColIngestTime:
		return rule{}, fmt.Errorf("column %q is not for a record to fill", target)
	}
	return rule{op: toColumn, col: col}, nil
}
