package api

import (
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/plot"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// pictures answers with what is drawn of findings and tokens. What it draws it asks
// the gRPC server for as the caller, so that the same handlers and grants hold; over
// gRPC the numbers are had, and no pictures.
type pictures struct {
	findings pb.FindingsClient
	tokens   pb.TokensClient
}

// pictures are the paths that answer with pictures; conn may be nil where nothing is asked.
func (s *Server) pictures(conn *grpc.ClientConn) []route {
	p := &pictures{pb.NewFindingsClient(conn), pb.NewTokensClient(conn)}
	return []route{
		{method: "GET", path: "/v1/findings/{id}/plot.svg", grant: "GET /v1/findings/{id}/plot.svg", handler: http.HandlerFunc(p.finding),
			summary: "A finding's series over the band of what was expected, as a picture.", produces: "image/svg+xml"},
		{method: "GET", path: "/v1/tokens/{id}/plot.svg", grant: "GET /v1/tokens/{id}/plot.svg", handler: http.HandlerFunc(p.token), query: []string{"from", "to"},
			summary: "The use of a token over the band of what is expected, as a picture; from and to as for its timeline.", produces: "image/svg+xml"},
	}
}

func (p *pictures) finding(w http.ResponseWriter, r *http.Request) {
	ctx := outgoing(r.Context(), r.Header.Get("Authorization"), remote(r).String())
	m, err := p.findings.Get(ctx, &pb.GetFindingRequest{Id: r.PathValue("id")})
	if err != nil {
		writeError(w, err)
		return
	}
	f, err := v1.ToFinding(m)
	if err != nil {
		writeError(w, err)
		return
	}
	picture(w, plot.Finding(&f))
}

func (p *pictures) token(w http.ResponseWriter, r *http.Request) {
	ctx := outgoing(r.Context(), r.Header.Get("Authorization"), remote(r).String())
	req := &pb.GetTimelineRequest{Id: r.PathValue("id"), PageSize: 1}
	for name, at := range map[string]**timestamppb.Timestamp{"from": &req.From, "to": &req.To} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			writeError(w, v1.Fail(tokenwatch.RefusedArgument, name+" is no time like 2026-03-02T12:00:00Z", 0))
			return
		}
		*at = timestamppb.New(t)
	}
	line, err := p.tokens.GetTimeline(ctx, req)
	if err != nil {
		writeError(w, err)
		return
	}
	s := tokenwatch.Series{Start: line.GetFrom().AsTime(), Step: 1}
	for _, u := range line.GetWindows() {
		s.Step = max(s.Step, int(u.GetEnd().AsTime().Sub(u.GetStart().AsTime())/time.Hour))
		s.Observed, s.Failed = append(s.Observed, uint32(u.GetEvents())), append(s.Failed, uint32(u.GetFailed()))
		if u.Usual != nil {
			s.Low, s.Median, s.High = append(s.Low, u.GetLow()), append(s.Median, u.GetUsual()), append(s.High, u.GetHigh())
			s.AsOf = line.GetTo().AsTime()
		}
	}
	var findings []tokenwatch.Finding
	for _, m := range line.GetFindings() {
		f, err := v1.ToFinding(m)
		if err != nil {
			writeError(w, err)
			return
		}
		findings = append(findings, f)
	}
	name := line.GetToken().GetId()
	for _, a := range line.GetToken().GetNames() {
		if a.GetKind() == string(tokenwatch.NameAccessKeyID) || a.GetKind() == string(tokenwatch.NamePrefix) {
			name = a.GetValue()
		}
	}
	picture(w, plot.Token(name, s, findings))
}

// picture answers with an SVG. The policy of all answers lets a document style
// itself and nothing else; sandbox takes away what is left.
func picture(w http.ResponseWriter, svg []byte) {
	w.Header().Set("Content-Type", plot.ContentType)
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	w.Write(svg) // that the caller has gone is no news
}
