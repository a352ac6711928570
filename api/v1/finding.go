package v1

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// FromFinding returns a finding as its message. Bytes that are not UTF-8, which
// a message cannot hold, become U+FFFD.
func FromFinding(f *tokenwatch.Finding) *pb.Finding {
	m := &pb.Finding{
		Id:           f.ID,
		Revision:     int32(f.Revision),
		Settled:      f.Settled,
		Withdrawn:    f.Withdrawn,
		Learning:     f.Learning,
		Tenant:       f.Tenant,
		EntityKind:   f.EntityKind.String(),
		Entity:       text(f.Entity),
		Token:        text(string(f.Token)),
		Actor:        text(f.Actor),
		Time:         stamp(f.Time),
		Detectors:    texts(f.Detectors),
		Kind:         text(f.Kind),
		Class:        text(string(f.Class)),
		Score:        int32(f.Score),
		Severity:     text(string(f.Severity)),
		Summary:      text(f.Summary),
		RequestIds:   texts(f.RequestIDs),
		SrcIp:        text(f.SrcIP),
		Status:       text(f.Status),
		Attack:       texts(f.Attack),
		Continues:    f.Continues,
		MergedInto:   f.MergedInto,
		Raised:       stamp(f.Raised),
		Update:       f.Update,
		HistoryIndex: f.HistoryIndex,
		Verdict:      text(f.Verdict),
		Note:         text(f.Note),
		JudgedBy:     f.JudgedBy,
		Judged:       stamp(f.Judged),
		SuppressedBy: f.SuppressedBy,
		Controls:     texts(f.Controls),
		Window:       &pb.Window{Start: stamp(f.Window.Start), End: stamp(f.Window.End)},
		MemberCount:  int32(f.MemberCount),
	}
	for _, who := range f.Members {
		m.Members = append(m.Members, &pb.Member{EntityKind: who.EntityKind.String(), Entity: text(who.Entity), Score: int32(who.Score)})
	}
	for _, a := range f.Aliases {
		m.TokenAliases = append(m.TokenAliases, &pb.Alias{Kind: text(string(a.Kind)), Value: text(a.Value)})
	}
	for i := range f.Reasons {
		r := &f.Reasons[i]
		m.Reasons = append(m.Reasons, &pb.Reason{
			Detector: text(r.Detector), Axis: text(r.Axis),
			Surprise: r.Surprise, Observed: r.Observed, Expected: r.Expected,
			Values: texts(r.Values), Text: text(r.Text), Attack: texts(r.Attack),
		})
	}
	for i := range f.Evidence {
		m.Evidence = append(m.Evidence, fromEvent(&f.Evidence[i]))
	}
	if s := f.Series; s != nil {
		m.Series = &pb.Series{
			Start: stamp(s.Start), Step: uint32(s.Step), AsOf: stamp(s.AsOf),
			Low: s.Low, Median: s.Median, High: s.High, Observed: s.Observed, Failed: s.Failed, Peers: s.Peers, PeerMean: s.PeerMean,
		}
	}
	return m
}

func fromEvent(e *tokenwatch.Event) *pb.Event {
	return &pb.Event{
		Time: stamp(e.Time), Source: text(e.Source), RequestId: text(e.RequestID),
		Token: text(string(e.Token)), Actor: text(e.Actor), SrcIp: text(e.SrcIP),
		Action: text(e.Action), Resource: text(e.Resource),
		Status: int32(e.Status), Outcome: text(e.Outcome), Error: text(e.Error),
	}
}

// ToFinding is the inverse of FromFinding, for clients. It fails on an entity
// kind that this version does not know.
func ToFinding(m *pb.Finding) (tokenwatch.Finding, error) {
	f := tokenwatch.Finding{
		ID:           m.GetId(),
		Revision:     int(m.GetRevision()),
		Settled:      m.GetSettled(),
		Withdrawn:    m.GetWithdrawn(),
		Learning:     m.GetLearning(),
		Tenant:       m.GetTenant(),
		Entity:       m.GetEntity(),
		Token:        tokenwatch.TokenID(m.GetToken()),
		Actor:        m.GetActor(),
		Time:         moment(m.GetTime()),
		Window:       tokenwatch.Window{Start: moment(m.GetWindow().GetStart()), End: moment(m.GetWindow().GetEnd())},
		Detectors:    m.GetDetectors(),
		Kind:         m.GetKind(),
		Class:        tokenwatch.Class(m.GetClass()),
		Score:        int(m.GetScore()),
		Severity:     tokenwatch.Severity(m.GetSeverity()),
		Summary:      m.GetSummary(),
		RequestIDs:   m.GetRequestIds(),
		SrcIP:        m.GetSrcIp(),
		Status:       m.GetStatus(),
		Attack:       m.GetAttack(),
		Continues:    m.GetContinues(),
		MergedInto:   m.GetMergedInto(),
		Raised:       moment(m.GetRaised()),
		Update:       m.GetUpdate(),
		HistoryIndex: m.GetHistoryIndex(),
		Verdict:      m.GetVerdict(),
		Note:         m.GetNote(),
		JudgedBy:     m.GetJudgedBy(),
		Judged:       moment(m.GetJudged()),
		SuppressedBy: m.GetSuppressedBy(),
		Controls:     m.GetControls(),
		MemberCount:  int(m.GetMemberCount()),
	}
	for _, who := range m.GetMembers() {
		member := tokenwatch.Member{Entity: who.GetEntity(), Score: int(who.GetScore())}
		if err := member.EntityKind.UnmarshalText([]byte(who.GetEntityKind())); err != nil {
			return f, err
		}
		f.Members = append(f.Members, member)
	}
	for _, a := range m.GetTokenAliases() {
		f.Aliases = append(f.Aliases, tokenwatch.Alias{Kind: tokenwatch.NameKind(a.GetKind()), Value: a.GetValue()})
	}
	for _, r := range m.GetReasons() {
		f.Reasons = append(f.Reasons, tokenwatch.Reason{
			Detector: r.GetDetector(), Axis: r.GetAxis(),
			Surprise: r.GetSurprise(), Observed: r.GetObserved(), Expected: r.GetExpected(),
			Values: r.GetValues(), Text: r.GetText(), Attack: r.GetAttack(),
		})
	}
	for _, e := range m.GetEvidence() {
		f.Evidence = append(f.Evidence, ToEvent(e))
	}
	if s := m.GetSeries(); s != nil {
		f.Series = &tokenwatch.Series{
			Start: moment(s.GetStart()), Step: max(1, int(s.GetStep())), AsOf: moment(s.GetAsOf()),
			Low: s.GetLow(), Median: s.GetMedian(), High: s.GetHigh(), Observed: s.GetObserved(), Failed: s.GetFailed(), Peers: s.GetPeers(), PeerMean: s.GetPeerMean(),
		}
	}
	return f, f.EntityKind.UnmarshalText([]byte(m.GetEntityKind()))
}

// ToEvent reads an event, for clients.
func ToEvent(e *pb.Event) tokenwatch.Event {
	return tokenwatch.Event{
		Time: moment(e.GetTime()), Source: e.GetSource(), RequestID: e.GetRequestId(),
		Token: tokenwatch.TokenID(e.GetToken()), Actor: e.GetActor(), SrcIP: e.GetSrcIp(),
		Action: e.GetAction(), Resource: e.GetResource(),
		Status: int(e.GetStatus()), Outcome: e.GetOutcome(), Error: e.GetError(),
	}
}

func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func texts(in []string) []string {
	if in == nil {
		return nil
	}
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = text(s)
	}
	return out
}

// stamp leaves a time that is not set out of the message.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func moment(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
