package main

import (
	"fmt"
	"testing"
)

// TestTally: the reference goes by the lines alone.
func TestTally(t *testing.T) {
	f := &facts{Token2: "b", Token4: "a", Sub: "ports/", From8: "2026-03-02T01:00:00Z", To8: "2026-03-02T02:00:00Z"}
	all, most := newTally(filters[0]), newTally(filters[1])
	for i, l := range []string{
		`"2026-03-02T01:00:00.000Z","token":"a","principal":"p","src_ip":"10.0.0.1","user_agent":"u","method":"GET","host":"h","path":"/v1/exports/9","status":501,"bytes_out":27,"duration_ms":3`,
		`"2026-03-02T01:00:59.999Z","token":"a","principal":"p","src_ip":"10.0.0.1","user_agent":"u","method":"GET","host":"h","path":"/v1/a/91s","status":200,"bytes_out":1,"duration_ms":9`,
		`"2026-03-02T01:00:00.001Z","token":"c","principal":"p","src_ip":"10.0.0.2","user_agent":"u","method":"PUT","host":"h","path":"/ports","status":500,"bytes_out":2,"duration_ms":1`,
		`"2026-03-02T02:00:00.000Z","token":"b","principal":"p","src_ip":"10.0.0.2","user_agent":"u","method":"PUT","host":"h","path":"/ports","status":503,"bytes_out":2,"duration_ms":1`,
	} {
		var e event
		if err := readEvent(fmt.Appendf(nil, `{"time":%s,"request_id":"r%d"}`, l, i), &e); err != nil {
			t.Fatal(err)
		}
		for _, to := range []*tally{all, most} {
			if to.more.holds(&e) {
				to.take(f, &e)
			}
		}
		if got := filters[3].holds(&e); got != (i == 1) {
			t.Errorf("line %d: the last filter says %v", i, got)
		}
	}
	for kind, want := range []string{
		1: "[[200 1] [500 1] [501 1] [503 1]]", 2: "[1 [r3]]", 4: "[[2026-03-02T01:00 2]]", 6: "1", 7: "[[h GET 9] [h PUT 1]]", 8: "2",
	} {
		if want == "" {
			continue
		}
		got, err := shape(kind, all.rows(kind))
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("Q%d: %v, %v, want %s", kind, got, err, want)
		}
	}
	if got, _ := shape(6, most.rows(6)); fmt.Sprint(got) != "0" {
		t.Errorf("the filter left out nothing: %v", got)
	}
	if err := readEvent([]byte(`{"time":"x"}`), new(event)); err == nil {
		t.Error("half a line was taken")
	}
}
