// Command gen writes a deterministic, realistic API access log.
//
// The same N events are written in two forms: JSON lines and nginx "combined"
// lines (token in the remote-user field). It also writes a small JSON file of
// facts about the data (which token is "mid-frequency", and so on) that the
// drivers read, so that every system is asked exactly the same questions.
//
//	go run main.go -n 5000000 -seed 1 -out DIR
//
// writes DIR/events.jsonl, DIR/events.nginx.log and DIR/facts.json.
// Output depends only on -n, -seed, -tokens, -start and the program; not on
// the number of CPUs. Standard library only.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"time"
)

// ---- deterministic random numbers (splitmix64: stable across Go versions) ----

type rng struct{ s uint64 }

func mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
func newRng(seed, stream uint64) *rng {
	return &rng{mix(seed*0x9e3779b97f4a7c15 ^ mix(stream+0x1234567))}
}
func (r *rng) u64() uint64 { r.s += 0x9e3779b97f4a7c15; return mix(r.s) }
func (r *rng) f() float64  { return float64(r.u64()>>11) / (1 << 53) }
func (r *rng) n(n int) int { return int((r.u64() >> 32) * uint64(n) >> 32) }
func (r *rng) norm() float64 {
	return math.Sqrt(-2*math.Log(1-r.f())) * math.Cos(2*math.Pi*r.f())
}

// alias is Vose's alias table: O(1) draws from a discrete distribution.
type alias struct {
	p []float64
	a []int32
}

func newAlias(w []float64) *alias {
	n := len(w)
	sum := 0.0
	for _, x := range w {
		sum += x
	}
	p, a := make([]float64, n), make([]int32, n)
	var small, large []int
	for i, x := range w {
		p[i] = x * float64(n) / sum
		if p[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a[s] = int32(l)
		p[l] -= 1 - p[s]
		if p[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		p[i] = 1
	}
	return &alias{p, a}
}
func (t *alias) draw(r *rng) int {
	i := r.n(len(t.p))
	if r.f() < t.p[i] {
		return i
	}
	return int(t.a[i])
}

// ---- the world: hosts, routes, tokens ----

const (
	b62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	hx  = "0123456789abcdef"
)

var hosts = []string{"api.example.com", "api.eu.example.com", "auth.example.com", "billing.example.com",
	"files.example.com", "search.example.com", "hooks.example.com", "admin.example.com"}
var hostW = []float64{46, 21, 9, 6, 8, 6, 3, 1}

type route struct {
	method string
	segs   []string // "{n}" numeric id, "{x}" hex id, "{p}" prefixed base62 id, else literal
	host   int
	lat    float64 // median milliseconds
	latS   float64
	size   float64 // median bytes
	sizeS  float64
	err4   float64
	err5   float64
}

type token struct {
	id, principal string
	ips           []string // usual addresses
	uas           []int
	routes        [12]int16
	roam          float64 // probability of an address drawn afresh (mobile, leaked)
	err4          float64
}

type world struct {
	seed   uint64
	routes []route
	tokens []token
	zipf   *alias
	prefR  *alias
	uas    []string
	start  int64 // unix ms
	cum    []float64
}

func buildRoutes(r *rng) []route {
	res := []string{"accounts", "users", "orders", "invoices", "payments", "refunds", "products", "sessions", "devices",
		"webhooks", "exports", "reports", "files", "folders", "projects", "tickets", "messages", "teams", "roles", "keys",
		"audits", "alerts", "jobs", "models"}
	sub := []string{"items", "events", "members", "history", "settings", "permissions", "comments", "versions", "tags", "usage"}
	ids := []string{"{n}", "{x}", "{p}"}
	ha := newAlias(hostW)
	var out []route
	add := func(m string, segs ...string) {
		x := route{method: m, segs: segs, host: ha.draw(r),
			lat: math.Exp(2.2 + 1.1*r.norm()), latS: 0.35 + 0.5*r.f(),
			size: math.Exp(6.8 + 1.2*r.norm()), sizeS: 0.2 + 0.7*r.f(),
			err4: 0.004 + 0.05*r.f()*r.f(), err5: 0.0003 + 0.004*r.f()*r.f()}
		if m == "DELETE" {
			x.size, x.sizeS = 0, 0
		}
		if m != "GET" {
			x.lat *= 2.2
		}
		out = append(out, x)
	}
	for i, n := range res {
		v := "v1"
		if i%5 == 4 {
			v = "v2"
		}
		id := ids[i%3]
		add("GET", v, n)
		add("GET", v, n, id)
		add("POST", v, n)
		add([]string{"PATCH", "PUT"}[i%2], v, n, id)
		if i%2 == 0 {
			add("DELETE", v, n, id)
		}
		for k := 0; k < 3; k++ {
			s := sub[(i*3+k*7)%len(sub)]
			add("GET", v, n, id, s)
			if k == 0 {
				add("POST", v, n, id, s)
			}
			if k == 1 && i%3 == 0 {
				add("GET", v, n, id, s, ids[(i+1)%3])
			}
		}
	}
	return out // about 200
}

func buildUAs(r *rng) []string {
	var out []string
	for i := 0; i < 9; i++ {
		out = append(out, fmt.Sprintf("acme-sdk-go/2.%d.%d (linux; amd64) go1.%d", i, r.n(9), 20+r.n(6)))
		out = append(out, fmt.Sprintf("acme-sdk-python/3.%d.%d Python/3.%d requests/2.%d.0", i, r.n(9), 9+r.n(5), 26+r.n(7)))
		out = append(out, fmt.Sprintf("acme-sdk-node/1.%d.%d node/v%d.%d.0", i, r.n(9), 16+2*r.n(4), r.n(20)))
		out = append(out, fmt.Sprintf("acme-sdk-java/4.%d.%d okhttp/4.%d.0", i, r.n(9), 9+r.n(4)))
	}
	for i := 0; i < 16; i++ {
		out = append(out, fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 110+i))
		out = append(out, fmt.Sprintf("Mozilla/5.0 (iPhone; CPU iPhone OS 17_%d like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.%d Mobile/15E148 Safari/604.1", i%7, i%7))
		out = append(out, fmt.Sprintf("AcmeMobile/%d.%d (Android %d; Pixel %d)", 5+i/8, i, 10+i%5, 3+i%6))
	}
	out = append(out, "curl/7.88.1", "curl/8.5.0", "curl/8.7.1", "PostmanRuntime/7.39.0", "Go-http-client/1.1", "Go-http-client/2.0", "python-requests/2.31.0", "axios/1.6.8", "Terraform/1.7.5")
	return out
}

func ipStr(v uint64) string {
	// Addresses come from 4096 /16-ish networks so that prefixes repeat, as in life.
	net := mix(v>>16) % 4096
	a := 13 + net%180
	b := (net / 16) % 256
	return strconv.Itoa(int(a)) + "." + strconv.Itoa(int(b)) + "." + strconv.Itoa(int(v>>8&255)) + "." + strconv.Itoa(1+int(v&255)%254)
}

func buildWorld(seed uint64, nTokens int, start time.Time) *world {
	r := newRng(seed, 1)
	w := &world{seed: seed, start: start.UnixMilli()}
	w.routes = buildRoutes(r)
	w.uas = buildUAs(r)
	zw := make([]float64, nTokens)
	for i := range zw {
		zw[i] = 1 / math.Pow(float64(i)+2.7, 1.05)
	}
	w.zipf = newAlias(zw)
	w.prefR = newAlias([]float64{30, 18, 12, 9, 7, 6, 5, 4, 3, 2.5, 2, 1.5})
	rw := make([]float64, len(w.routes))
	for i := range rw {
		rw[i] = 1 / math.Pow(float64(i)+3, 0.7)
	}
	perm := make([]int, len(w.routes))
	for i := range perm {
		perm[i] = i
	}
	for i := len(perm) - 1; i > 0; i-- {
		j := r.n(i + 1)
		perm[i], perm[j] = perm[j], perm[i]
	}
	ra := newAlias(rw)
	w.tokens = make([]token, nTokens)
	for i := range w.tokens {
		t := &w.tokens[i]
		id := []byte("tok_")
		for k := 0; k < 20; k++ {
			id = append(id, b62[r.n(62)])
		}
		t.id = string(id)
		if r.f() < 0.35 {
			t.principal = fmt.Sprintf("svc-%s-%02d", []string{"billing", "ingest", "sync", "etl", "report", "deploy", "mailer", "search"}[r.n(8)], r.n(60))
		} else {
			t.principal = fmt.Sprintf("user-%05d@org%03d", r.n(nTokens/2+1), r.n(400))
		}
		nip := 1 + int(math.Exp(1.0*math.Abs(r.norm())))
		if r.f() < 0.02 {
			nip *= 20 // fleets
		}
		base := r.u64()
		for k := 0; k < nip; k++ {
			if r.f() < 0.5 {
				base = base&^0xff | r.u64()&0xff // same /24
			} else {
				base = r.u64()
			}
			t.ips = append(t.ips, ipStr(base))
		}
		for k := 0; k <= r.n(3); k++ {
			t.uas = append(t.uas, r.n(len(w.uas)))
		}
		for k := range t.routes {
			t.routes[k] = int16(perm[ra.draw(r)])
		}
		if r.f() < 0.05 {
			t.roam = 0.3 * r.f()
		}
		if r.f() < 0.01 {
			t.err4 = 0.5 * r.f()
		}
	}
	// Diurnal shape: minute weights, cumulative and normalised.
	w.cum = make([]float64, 1441)
	for m := 0; m < 1440; m++ {
		h := float64(m) / 60
		x := 1 + 0.75*math.Sin((h-8)/24*2*math.Pi) + 0.25*math.Sin((h-9)/12*2*math.Pi)
		x *= 1 + 0.05*r.norm()
		w.cum[m+1] = w.cum[m] + math.Max(x, 0.15)
	}
	for i := range w.cum {
		w.cum[i] /= w.cum[1440]
	}
	return w
}

// ---- events ----

const chunkEvents = 32768

type chunk struct {
	js, ng  []byte
	byTok   []uint32
	sc      [600]uint32
	sub     int
	err5    [24]int
	min, mx int64
}

const substr = "ports/" // Q6: occurs inside exports/ and reports/

func (w *world) gen(ci, n, total int, c *chunk) {
	r := newRng(w.seed, 1000+uint64(ci))
	c.js, c.ng = c.js[:0], c.ng[:0]
	c.sc, c.err5 = [600]uint32{}, [24]int{}
	c.sub = 0
	for i := range c.byTok {
		c.byTok[i] = 0
	}
	minute := 0
	lo := ci * chunkEvents
	var path []byte
	for i := 0; i < n; i++ {
		u := (float64(lo+i) + r.f()) / float64(total)
		if minute == 0 {
			minute = sort.SearchFloat64s(w.cum, u) - 1
			if minute < 0 {
				minute = 0
			}
		}
		for minute < 1439 && w.cum[minute+1] <= u {
			minute++
		}
		off := (float64(minute) + (u-w.cum[minute])/(w.cum[minute+1]-w.cum[minute])) * 60000
		ms := w.start + int64(off)
		hour := int(int64(off)/3600000) % 24

		ti := w.zipf.draw(r)
		t := &w.tokens[ti]
		c.byTok[ti]++
		rt := &w.routes[t.routes[w.prefR.draw(r)]]
		var ip string
		if t.roam > 0 && r.f() < t.roam {
			ip = ipStr(r.u64())
		} else {
			ip = t.ips[min(r.n(len(t.ips)), r.n(len(t.ips)))]
		}
		ua := w.uas[t.uas[min(r.n(len(t.uas)), r.n(len(t.uas)))]]

		path = path[:0]
		for _, s := range rt.segs {
			path = append(path, '/')
			switch s {
			case "{n}":
				path = strconv.AppendInt(path, 100000+int64(float64(900000)*r.f()*r.f()), 10)
			case "{x}":
				x := r.u64()
				for k := 0; k < 12; k++ {
					path = append(path, hx[x>>(4*k)&15])
				}
			case "{p}":
				path = append(path, rt.segs[1][:2]...)
				path = append(path, '_')
				for k := 0; k < 14; k++ {
					path = append(path, b62[r.n(62)])
				}
			default:
				path = append(path, s...)
			}
		}
		if len(rt.segs) == 2 && rt.method == "GET" && r.f() < 0.02 {
			path = append(path, "/search"...)
		}

		status := 200
		switch rt.method {
		case "POST":
			status = 201
			if len(rt.segs)%2 == 0 && r.f() < 0.1 {
				status = 202
			}
		case "DELETE":
			status = 204
		case "GET":
			if r.f() < 0.06 {
				status = 304
			}
		}
		x := r.f()
		e5 := rt.err5
		if hour == 14 && rt.host == 0 {
			e5 *= 12 // an incident
		}
		switch {
		case x < e5:
			status = []int{500, 502, 503, 504}[r.n(4)]
		case x < e5+rt.err4+t.err4:
			status = []int{400, 401, 403, 404, 404, 404, 409, 422, 429, 429}[r.n(10)]
		}
		size := 0
		switch {
		case status >= 400:
			size = 60 + r.n(180)
		case status == 304 || status == 204:
		default:
			size = int(rt.size * math.Exp(rt.sizeS*r.norm()))
		}
		lat := rt.lat * math.Exp(rt.latS*r.norm())
		if r.f() < 0.003 {
			lat *= 10 + 20*r.f()
		}
		if status >= 500 {
			lat *= 8
		}
		dur := int(lat) + 1

		c.sc[status]++
		if status >= 500 {
			c.err5[hour]++
		}
		if hasSub(path) {
			c.sub++
		}

		// JSON
		b := c.js
		b = append(b, `{"time":"`...)
		b = appendRFC(b, ms)
		b = append(b, `","token":"`...)
		b = append(b, t.id...)
		b = append(b, `","principal":"`...)
		b = append(b, t.principal...)
		b = append(b, `","src_ip":"`...)
		b = append(b, ip...)
		b = append(b, `","user_agent":"`...)
		b = append(b, ua...)
		b = append(b, `","method":"`...)
		b = append(b, rt.method...)
		b = append(b, `","host":"`...)
		b = append(b, hosts[rt.host]...)
		b = append(b, `","path":"`...)
		b = append(b, path...)
		b = append(b, `","status":`...)
		b = strconv.AppendInt(b, int64(status), 10)
		b = append(b, `,"bytes_out":`...)
		b = strconv.AppendInt(b, int64(size), 10)
		b = append(b, `,"duration_ms":`...)
		b = strconv.AppendInt(b, int64(dur), 10)
		b = append(b, `,"request_id":"`...)
		x1, x2 := r.u64(), r.u64()
		for k := 0; k < 16; k++ {
			b = append(b, hx[x1>>(4*k)&15])
		}
		for k := 0; k < 16; k++ {
			b = append(b, hx[x2>>(4*k)&15])
		}
		b = append(b, '"', '}', '\n')
		c.js = b

		// nginx combined
		g := c.ng
		g = append(g, ip...)
		g = append(g, " - "...)
		g = append(g, t.id...)
		g = append(g, " ["...)
		g = appendCLF(g, ms)
		g = append(g, `] "`...)
		g = append(g, rt.method...)
		g = append(g, ' ')
		g = append(g, path...)
		g = append(g, ` HTTP/1.1" `...)
		g = strconv.AppendInt(g, int64(status), 10)
		g = append(g, ' ')
		g = strconv.AppendInt(g, int64(size), 10)
		g = append(g, ` "-" "`...)
		g = append(g, ua...)
		g = append(g, '"', '\n')
		c.ng = g

		if i == 0 {
			c.min = ms
		}
		c.mx = ms
	}
}

func hasSub(p []byte) bool {
	for i := 0; i+len(substr) <= len(p); i++ {
		if p[i] == 'p' && string(p[i:i+len(substr)]) == substr {
			return true
		}
	}
	return false
}

func d2(b []byte, v int) []byte { return append(b, byte('0'+v/10), byte('0'+v%10)) }

func appendRFC(b []byte, ms int64) []byte {
	t := time.UnixMilli(ms).UTC()
	y, mo, d := t.Date()
	h, m, s := t.Clock()
	b = strconv.AppendInt(b, int64(y), 10)
	b = append(b, '-')
	b = d2(b, int(mo))
	b = append(b, '-')
	b = d2(b, d)
	b = append(b, 'T')
	b = d2(b, h)
	b = append(b, ':')
	b = d2(b, m)
	b = append(b, ':')
	b = d2(b, s)
	f := int(ms % 1000)
	b = append(b, '.', byte('0'+f/100))
	b = d2(b, f%100)
	return append(b, 'Z')
}

func appendCLF(b []byte, ms int64) []byte {
	t := time.UnixMilli(ms).UTC()
	y, mo, d := t.Date()
	h, m, s := t.Clock()
	b = d2(b, d)
	b = append(b, '/')
	b = append(b, mo.String()[:3]...)
	b = append(b, '/')
	b = strconv.AppendInt(b, int64(y), 10)
	b = append(b, ':')
	b = d2(b, h)
	b = append(b, ':')
	b = d2(b, m)
	b = append(b, ':')
	b = d2(b, s)
	return append(b, " +0000"...)
}

func main() {
	n := flag.Int("n", 1000000, "number of events")
	seed := flag.Uint64("seed", 1, "seed")
	nTok := flag.Int("tokens", 20000, "number of tokens")
	start := flag.String("start", "2026-03-02T00:00:00Z", "time of the first event; events span 24h from here")
	out := flag.String("out", ".", "output folder")
	nginx := flag.Bool("nginx", true, "write the nginx form too")
	flag.Parse()
	st, err := time.Parse(time.RFC3339, *start)
	check(err)
	w := buildWorld(*seed, *nTok, st)
	check(os.MkdirAll(*out, 0o755))
	fj, err := os.Create(filepath.Join(*out, "events.jsonl"))
	check(err)
	bj := bufio.NewWriterSize(fj, 1<<20)
	var fn *os.File
	var bn *bufio.Writer
	if *nginx {
		fn, err = os.Create(filepath.Join(*out, "events.nginx.log"))
		check(err)
		bn = bufio.NewWriterSize(fn, 1<<20)
	}

	chunks := (*n + chunkEvents - 1) / chunkEvents
	workers := runtime.NumCPU()
	free := make(chan *chunk, workers*2)
	for i := 0; i < workers*2; i++ {
		free <- &chunk{byTok: make([]uint32, *nTok)}
	}
	type job struct {
		ci   int
		c    *chunk
		done chan struct{}
	}
	jobs := make(chan job, workers)
	order := make(chan job, workers*2)
	for i := 0; i < workers; i++ {
		go func() {
			for j := range jobs {
				w.gen(j.ci, min(chunkEvents, *n-j.ci*chunkEvents), *n, j.c)
				close(j.done)
			}
		}()
	}
	go func() {
		for ci := 0; ci < chunks; ci++ {
			j := job{ci, <-free, make(chan struct{})}
			order <- j
			jobs <- j
		}
		close(jobs)
		close(order)
	}()

	byTok := make([]int, *nTok)
	var sc [600]int
	var err5 [24]int
	sub := 0
	var jb, nb, first, last int64
	for j := range order {
		<-j.done
		c := j.c
		_, err := bj.Write(c.js)
		check(err)
		jb += int64(len(c.js))
		if bn != nil {
			_, err := bn.Write(c.ng)
			check(err)
			nb += int64(len(c.ng))
		}
		for i, x := range c.byTok {
			byTok[i] += int(x)
		}
		for i, x := range c.sc {
			sc[i] += int(x)
		}
		for i, x := range c.err5 {
			err5[i] += x
		}
		sub += c.sub
		if j.ci == 0 {
			first = c.min
		}
		last = c.mx
		free <- c
	}
	check(bj.Flush())
	check(fj.Close())
	if bn != nil {
		check(bn.Flush())
		check(fn.Close())
	}

	pick := func(share float64) (int, int) {
		want, best := share*float64(*n), -1
		for i, x := range byTok {
			if best < 0 || math.Abs(float64(x)-want) < math.Abs(float64(byTok[best])-want) {
				best = i
			}
		}
		return best, byTok[best]
	}
	q2, q2n := pick(0.0001)
	q4, q4n := pick(0.001)
	statuses := map[string]int{}
	for i, x := range sc {
		if x > 0 {
			statuses[strconv.Itoa(i)] = x
		}
	}
	seen := 0
	for _, x := range byTok {
		if x > 0 {
			seen++
		}
	}
	facts := map[string]any{
		"events": *n, "seed": *seed, "tokens": *nTok, "tokens_seen": seen, "routes": len(w.routes),
		"json_bytes": jb, "nginx_bytes": nb,
		"start": st.UTC().Format("2006-01-02T15:04:05Z"), "end": st.Add(24 * time.Hour).UTC().Format("2006-01-02T15:04:05Z"),
		"first": time.UnixMilli(first).UTC().Format("2006-01-02T15:04:05.000Z"), "last": time.UnixMilli(last).UTC().Format("2006-01-02T15:04:05.000Z"),
		"q1_expect": statuses,
		"q2_token":  w.tokens[q2].id, "q2_events": q2n,
		"q4_token": w.tokens[q4].id, "q4_events": q4n,
		"q6_substr": substr, "q6_expect": sub,
		"q8_from": st.Add(14 * time.Hour).UTC().Format("2006-01-02T15:04:05Z"), "q8_to": st.Add(15 * time.Hour).UTC().Format("2006-01-02T15:04:05Z"), "q8_expect": err5[14],
	}
	js, _ := json.MarshalIndent(facts, "", "  ")
	check(os.WriteFile(filepath.Join(*out, "facts.json"), append(js, '\n'), 0o644))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}
