package api

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/plain"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

//go:embed console.html
var consoleText string

// consoleTemplate shows text that comes from logs escaped twice over: for HTML, and
// what is invisible or turns text around.
var consoleTemplate = template.Must(template.New("console").Funcs(template.FuncMap{
	"shown": plain.Text, "when": when, "since": since, "name": nameOfFinding, "tokenName": nameOfToken,
	"percent": func(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) },
}).Parse(consoleText))

const (
	consoleFindings = 25
	consoleTokens   = 10
	consoleSources  = 100
	consoleFilter   = "withdrawn = false AND status != resolved"
)

// console is the page for who looks rather than asks: findings, the tokens they are
// about, and the sources. It asks the gRPC server as the caller, changes nothing,
// and takes nothing from elsewhere but the pictures of findings.
type console struct {
	version  string
	findings pb.FindingsClient
	tokens   pb.TokensClient
	sources  pb.SourcesClient
}

// console is the path of the page; conn may be nil where nothing is asked.
func (s *Server) console(conn *grpc.ClientConn) route {
	c := &console{s.config.Version, pb.NewFindingsClient(conn), pb.NewTokensClient(conn), pb.NewSourcesClient(conn)}
	return route{
		method: "GET", path: "/console", grant: "GET /console", handler: c, query: []string{"filter"},
		summary: "Findings, tokens at risk and sources as a page; a browser asks for the API key as a password.", produces: "text/html",
	}
}

// consoleData is what the page shows.
type consoleData struct {
	Version, Filter string
	Findings        []*pb.Finding
	More            bool
	Tokens          []riskyToken
	Sources         []*pb.Source
}

type riskyToken struct {
	Token *pb.Token
	Risk  *pb.Risk
}

// ServeHTTP answers with the page.
func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := outgoing(r.Context(), r.Header.Get("Authorization"), remote(r).String())
	data, err := c.gather(ctx, cmp.Or(r.URL.Query().Get("filter"), consoleFilter))
	var page bytes.Buffer
	if err == nil {
		err = consoleTemplate.Execute(&page, data)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.Write(page.Bytes()) // that the caller has gone is no news
}

func (c *console) gather(ctx context.Context, filter string) (*consoleData, error) {
	out := &consoleData{Version: c.version, Filter: filter}
	found, err := c.findings.List(ctx, &pb.ListFindingsRequest{Filter: filter, OrderBy: "score desc, time desc", PageSize: consoleFindings})
	if err != nil {
		return nil, err
	}
	out.Findings, out.More = found.GetFindings(), found.GetNextPageToken() != ""
	sources, err := c.sources.List(ctx, &pb.ListSourcesRequest{PageSize: consoleSources})
	if err != nil {
		return nil, err
	}
	out.Sources = sources.GetSources()
	out.Tokens, err = c.risky(ctx, out.Findings)
	return out, err
}

// risky returns the tokens at the highest risk of those that findings are about and
// those in use after their end.
func (c *console) risky(ctx context.Context, findings []*pb.Finding) ([]riskyToken, error) {
	zombies, err := c.tokens.List(ctx, &pb.ListTokensRequest{Filter: "state = " + string(tokenwatch.TokenZombie), PageSize: consoleTokens})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, f := range findings {
		if f.GetToken() != "" && !slices.Contains(ids, f.GetToken()) {
			ids = append(ids, f.GetToken())
		}
	}
	for _, t := range zombies.GetTokens() {
		if !slices.Contains(ids, t.GetId()) {
			ids = append(ids, t.GetId())
		}
	}
	var out []riskyToken
	for _, id := range ids {
		token, err := c.tokens.Get(ctx, &pb.GetTokenRequest{Id: id})
		if v1.HTTPStatus(err) == http.StatusNotFound {
			continue // nothing is kept of it any more
		}
		if err != nil {
			return nil, err
		}
		risk, err := c.tokens.GetRisk(ctx, &pb.GetRiskRequest{Id: id})
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(o riskyToken) bool { return o.Token.GetId() == token.GetId() }) {
			out = append(out, riskyToken{token, risk})
		}
	}
	slices.SortStableFunc(out, func(a, b riskyToken) int { return cmp.Compare(b.Risk.GetScore(), a.Risk.GetScore()) })
	return out[:min(len(out), consoleTokens)], nil
}

// when is a time as the page shows it, "" if there is none.
func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.DateTime + "Z")
}

// since is when what a finding tells of began, as far as its events show.
func since(f *pb.Finding) *timestamppb.Timestamp {
	if events := f.GetEvidence(); len(events) > 0 {
		return events[0].GetTime()
	}
	return f.GetTime()
}

// nameOfFinding is what logs call the entity of a finding.
func nameOfFinding(f *pb.Finding) string {
	name := f.GetEntity()
	if f.GetEntityKind() == tokenwatch.EntityToken.String() && len(f.GetTokenAliases()) > 0 {
		name = f.GetTokenAliases()[0].GetValue()
	}
	return f.GetEntityKind() + " " + plain.Text(name)
}

// nameOfToken is what people or logs call a token.
func nameOfToken(t *pb.Token) string {
	if t.GetLabel() != "" {
		return plain.Text(t.GetLabel())
	}
	if names := t.GetNames(); len(names) > 0 {
		return plain.Text(names[0].GetValue())
	}
	return t.GetId()
}
