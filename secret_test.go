package tokenwatch

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"go.yaml.in/yaml/v3"
)

const raw = "s3cr3t-value-that-must-not-show"

// holder is a struct of some other package that keeps a Secret where methods
// cannot be reached.
type holder struct {
	Name   string
	hidden Secret
	Shown  Secret
	list   []Secret
	m      map[string]Secret
	p      *Secret
	any    any
	row    Row
}

func newHolder() holder {
	s := NewSecret([]byte(raw))
	h := holder{Name: "x", hidden: s, Shown: s, list: []Secret{s}, m: map[string]Secret{"k": s}, p: &s, any: s}
	h.row.AddCredential("authorization", []byte(raw))
	return h
}

func TestNoPrinterOpensASecret(t *testing.T) {
	s := NewSecret([]byte(raw))
	h := newHolder()
	for _, v := range []any{s, &s, []Secret{s}, [1]Secret{s}, map[string]Secret{"k": s}, struct{ s Secret }{s}, struct{ S any }{s}, h, &h, []holder{h}, []any{h, &h}} {
		for verb := rune(0x20); verb < 0x7f; verb++ {
			for _, flags := range []string{"", "+", "#", " ", "0", "-10", "10.3", "+#"} {
				check(t, fmt.Sprintf("%%%s%c of %T", flags, verb, v), fmt.Sprintf("%"+flags+string(verb), v))
			}
		}
		check(t, "Sprint", fmt.Sprint(v))
		check(t, "Sprintln", fmt.Sprintln(v))
		check(t, "Errorf", fmt.Errorf("x: %v %s %w", v, v, fmt.Errorf("%q", v)).Error())
		check(t, "panic value", func() (out string) {
			defer func() { out = fmt.Sprint(recover()) }()
			panic(fmt.Sprintf("%v", v))
		}())
	}
}

func TestNoEncoderOpensASecret(t *testing.T) {
	s := NewSecret([]byte(raw))
	h := newHolder()
	for _, v := range []any{s, &s, []Secret{s}, map[string]Secret{"k": s}, struct{ S Secret }{s}, struct{ S any }{s}, &h} {
		for name, encode := range map[string]func(any) ([]byte, error){
			"json": json.Marshal,
			"xml":  xml.Marshal,
			"yaml": yaml.Marshal,
			"cbor": cbor.Marshal,
			"gob": func(v any) ([]byte, error) {
				var b bytes.Buffer
				err := gob.NewEncoder(&b).Encode(v)
				return b.Bytes(), err
			},
		} {
			out, err := encode(v)
			check(t, fmt.Sprintf("%s of %T", name, v), string(out))
			if err != nil {
				check(t, name+" error", err.Error())
			}
		}
	}
}

func TestNoLoggerOpensASecret(t *testing.T) {
	s := NewSecret([]byte(raw))
	h := newHolder()
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		log := slog.New(handler)
		log.Info("m", "s", s, "p", &s, "h", h, "hp", &h, "list", []Secret{s}, slog.Group("g", "s", s))
		log.With("s", s).Error("m", "err", fmt.Errorf("%v", s))
	}
	check(t, "slog", out.String())
	if !strings.Contains(out.String(), redacted) {
		t.Errorf("slog shows nothing at all: %s", out.String())
	}
}

func TestSecretIsReusable(t *testing.T) {
	var r Row
	for i := range 3 {
		r.Reset()
		want := fmt.Sprint(raw, i)
		r.AddCredential("authorization", []byte(want))
		if got := string(r.Credentials[0].Secret.Reveal()); got != want {
			t.Errorf("got a %d-byte secret, want the %d-byte one", len(got), len(want))
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		r.Reset()
		r.AddCredential("authorization", []byte(raw)[:4:4])
	}); n > 1 { // the slice header that holds the bytes
		t.Errorf("%v allocations a credential", n)
	}
}

func check(t *testing.T, how, shown string) {
	t.Helper()
	if strings.Contains(shown, raw) || strings.Contains(shown, raw[:12]) {
		t.Errorf("%s shows the secret", how)
	}
	// %x, %X, %d and %v of bytes
	for _, form := range []string{fmt.Sprintf("%x", raw[:12]), fmt.Sprintf("%X", raw[:12]), fmt.Sprintf("% x", raw[:12]), strings.Trim(fmt.Sprint([]byte(raw[:12])), "[]")} {
		if strings.Contains(shown, form) {
			t.Errorf("%s shows the secret's bytes", how)
		}
	}
}
