package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/tokenwatch/tokenwatch"
)

// words is a finding as the scorer reads it.
type words struct {
	Token  string   `json:"token"`
	Time   string   `json:"time"`
	Score  int      `json:"score"`
	Kind   string   `json:"kind"`
	Class  string   `json:"class"`
	IP     string   `json:"ip,omitempty"`
	ID     string   `json:"id"`
	ReqIDs []string `json:"req_ids,omitempty"`
}

// translateFile puts the findings of a scan in the scorer's words.
func translateFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(out)
	if err := translate(in, buffered); err != nil {
		out.Close()
		return fmt.Errorf("translate %s: %w", from, err)
	}
	if err := buffered.Flush(); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// translate reads findings as JSON lines. A finding that goes on from the day
// before is the same incident.
func translate(in io.Reader, out io.Writer) error {
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	root := map[string]string{}
	for {
		var f tokenwatch.Finding
		if err := dec.Decode(&f); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		id := f.ID
		if f.Continues != "" {
			id = f.Continues
			if r, ok := root[id]; ok {
				id = r
			}
			root[f.ID] = id
		}
		if err := enc.Encode(words{
			Token: tokenOf(&f), Time: f.Time.Format("2006-01-02T15:04:05.000Z"), Score: f.Score,
			Kind: f.Kind, Class: string(f.Class), IP: f.SrcIP, ID: id, ReqIDs: f.RequestIDs,
		}); err != nil {
			return err
		}
	}
}

// scorerNames are the kinds of names by which the scorer knows tokens, the most
// certain first.
var scorerNames = []string{"provider_id", "token_id", "sha256_prefix", "key_prefix"}

// tokenOf is the token as the logs call it; "" for a finding about an address,
// which the scorer knows by its ip.
func tokenOf(f *tokenwatch.Finding) string {
	if f.EntityKind == tokenwatch.EntityAddress {
		return ""
	}
	for _, kind := range scorerNames {
		for _, a := range f.Aliases {
			if string(a.Kind) == kind {
				return a.Value
			}
		}
	}
	return string(f.Token)
}
