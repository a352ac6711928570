package v1

import (
	"context"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Update changes how a finding is handled. The history has what was changed to
// what, but for the note, of which it has that it was.
func (s *findings) Update(ctx context.Context, req *pb.UpdateFindingRequest) (*pb.Finding, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	verdict, err := verdictOf(req)
	if err != nil {
		return nil, err
	}
	if verdict.Note != nil && s.holds(who.Tenant, *verdict.Note) {
		return nil, holdsCredential("the note")
	}
	verdict.By = who.ID
	f, err := s.triage.Judge(ctx, who.Tenant, verdict, storage.Action{
		Tenant: who.Tenant, Actor: who.ID, Verb: "findings.update", Object: verdict.Finding, Detail: changes(&verdict),
	})
	if err != nil {
		return nil, err
	}
	if err := s.suppressor.Mark(ctx, &f); err != nil {
		return nil, err
	}
	return FromFinding(&f), nil
}

// verdictOf reads what a request changes.
func verdictOf(req *pb.UpdateFindingRequest) (tokenwatch.Verdict, error) {
	v := tokenwatch.Verdict{Finding: req.GetId()}
	if v.Finding == "" {
		return v, NotFound()
	}
	triage := req.GetTriage()
	status, verdict, note := triage.GetStatus(), triage.GetVerdict(), triage.GetNote()
	for _, path := range masked(req.GetUpdateMask(), "status", "verdict", "note") {
		switch path {
		case "status":
			v.Status = &status
		case "verdict":
			v.Verdict = &verdict
		case "note":
			v.Note = &note
		default:
			return v, Fail(tokenwatch.RefusedArgument, "of a finding only status, verdict and note can be changed", 0)
		}
	}
	if err := v.Check(); err != nil {
		return v, Fail(tokenwatch.RefusedArgument, err.Error(), 0)
	}
	return v, nil
}

// masked returns the paths of a mask; * is all.
func masked(mask *fieldmaskpb.FieldMask, all ...string) []string {
	if paths := mask.GetPaths(); len(paths) != 1 || paths[0] != "*" {
		return paths
	}
	return all
}

func changes(v *tokenwatch.Verdict) string {
	var parts []string
	if v.Status != nil {
		parts = append(parts, "status "+*v.Status)
	}
	if v.Verdict != nil {
		parts = append(parts, strings.TrimSpace("verdict "+*v.Verdict))
	}
	if v.Note != nil {
		parts = append(parts, "note")
	}
	return strings.Join(parts, ", ")
}

func holdsCredential(what string) error {
	return Fail(tokenwatch.RefusedArgument, what+" holds what looks like a credential: name a token by its id instead", 0)
}
