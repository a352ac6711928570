package format

import (
	"github.com/tokenwatch/tokenwatch"
)

// ocsf reads events of the Open Cybersecurity Schema Framework, versions 1.0 to
// 1.8, of any class. The action is the operation of the API, the request itself,
// or else the type of the event. In authentications the user is who logs in; in
// changes of accounts and groups it is whom they are about, and the resource.
// Observables repeat what the event says and are left out; of very large events
// so are the attrs behind the two hundred and fifty-sixth field.
type ocsf struct{ *jsonParser }

// Slots of ocsf: what is understood together with the class.
const (
	ocsfType slot = iota
	ocsfActivity
	ocsfClassUID
	ocsfUserName
	ocsfUserID
	ocsfUserMail
	ocsfStatusCode
	ocsfGroup
)

func newOCSF(c Config) (Parser, error) {
	p := &jsonParser{kind: "ocsf", walker: newWalker(ocsfRules)}
	p.mapping, p.enclosed, p.wide = c.Mapping, c.enclosed, true
	return ocsf{p}, nil
}

var ocsfRules = func() map[string]rule {
	own := map[string]rule{
		"class_uid": {op: toMany, many: []rule{{op: toOCSF}, {op: toSlot, slot: ocsfClassUID}}}, "type_name": {op: toSlot, slot: ocsfType}, "activity_name": {op: toSlot, slot: ocsfActivity},
		"user.name": {op: toSlot, slot: ocsfUserName}, "user.uid": {op: toSlot, slot: ocsfUserID}, "user.email_addr": {op: toSlot, slot: ocsfUserMail},
		"status_code": {op: toSlot, slot: ocsfStatusCode}, "group.name": {op: toSlot, slot: ocsfGroup},
		"time_dt": {op: toWeak, col: tokenwatch.ColTime, quiet: true}, "metadata.logged_time": {}, "metadata.logged_time_dt": {}, "metadata.original_time": {op: toWeak, col: tokenwatch.ColTime, rank: 1},
		"start_time": {}, "start_time_dt": {}, "end_time": {}, "end_time_dt": {}, "message": {}, "raw_data": {}, "user": {}, "app_name": {op: toWeak, col: tokenwatch.ColService},
		"actor.user.name": {op: toWeak, col: tokenwatch.ColActor, rank: 1}, "actor.user.uid": toCol(tokenwatch.ColActor), "actor.user.email_addr": {op: toWeak, col: tokenwatch.ColActor, rank: 2},
		"actor.user.uid_alt": {op: toName, name: tokenwatch.NameProviderID}, "actor.user.type": toCol(tokenwatch.ColActorKind), "actor.invoked_by": {}, "actor.app_name": {op: toWeak, col: tokenwatch.ColActor, rank: 3},
		"actor.session.uid": toCol(tokenwatch.ColSession), "session.uid": toCol(tokenwatch.ColSession), "actor.session.issuer": toCol(tokenwatch.ColIssuer),
		"src_endpoint.ip": toCol(tokenwatch.ColSrcIP), "src_endpoint.port": toCol(tokenwatch.ColSrcPort), "src_endpoint.hostname": {}, "src_endpoint.name": {}, "dst_endpoint.ip": {}, "dst_endpoint.port": {},
		"dst_endpoint.hostname": {op: toWeak, col: tokenwatch.ColHost}, "dst_endpoint.svc_name": {op: toWeak, col: tokenwatch.ColService, rank: 1},
		"http_request.http_method": toCol(tokenwatch.ColMethod), "http_request.args": {op: toQuery}, "http_request.uid": {op: toWeak, col: tokenwatch.ColRequestID, rank: 1},
		"http_request.length": toCol(tokenwatch.ColBytesIn), "http_request.body_length": {op: toWeak, col: tokenwatch.ColBytesIn}, "http_request.version": {}, "http_request.x_forwarded_for": {},
		"http_request.url.scheme": toCol(tokenwatch.ColScheme), "http_request.url.hostname": toCol(tokenwatch.ColHost), "http_request.url.port": {}, "http_request.url.resource_type": {},
		"http_response.code": toCol(tokenwatch.ColStatus), "http_response.length": toCol(tokenwatch.ColBytesOut), "http_response.latency": toDur(1e6), "http_status": {op: toWeak, col: tokenwatch.ColStatus},
		"api.operation": toCol(tokenwatch.ColAction), "api.service.name": toCol(tokenwatch.ColService), "api.request.uid": {op: toWeak, col: tokenwatch.ColRequestID}, "api.response.error": toCol(tokenwatch.ColError),
		"api.response.code": {op: toWeak, col: tokenwatch.ColStatus, rank: 1}, "api.response.message": {}, "api.version": {}, "metadata.uid": toCol(tokenwatch.ColRequestID), "resources.uid": toCol(tokenwatch.ColResource),
		"resources.name": {op: toWeak, col: tokenwatch.ColResource}, "resource.uid": toCol(tokenwatch.ColResource), "resource.name": {op: toWeak, col: tokenwatch.ColResource}, "web_resources.url_string": {op: toURL},
		"web_resources.name": {op: toWeak, col: tokenwatch.ColResource, rank: 1}, "cloud.region": toCol(tokenwatch.ColRegion), "service.name": {op: toWeak, col: tokenwatch.ColService, rank: 2}, "traffic.bytes_in": toCol(tokenwatch.ColBytesIn),
		"traffic.bytes_out": toCol(tokenwatch.ColBytesOut), "status_detail": {}, "observables.name": {op: toNothing}, "observables.type": {op: toNothing}, "observables.type_id": {op: toNothing}, "observables.value": {op: toNothing},
		"type_uid": {op: toNothing}, "category_uid": {op: toNothing}, "activity_id": {}, "severity_id": {op: toNothing}, "category_name": {op: toNothing}, "class_name": {}, "metadata.version": {}, "metadata.profiles": {op: toNothing},
	}
	return objectRules(own)
}()

var sniffOCSF = sniffNames("class_uid", "category_uid|activity_id|type_uid", "metadata|time")

// Parse fills row from an event.
func (p ocsf) Parse(record []byte, row *tokenwatch.Row) error {
	if err := p.jsonParser.Parse(record, row); err != nil {
		return err
	}
	s := &p.slots
	user := s[ocsfUserName]
	for _, other := range []slot{ocsfUserMail, ocsfUserID} {
		if user == nil {
			user = s[other]
		}
	}
	switch string(s[ocsfClassUID]) {
	case "3001", "3004", "3005", "3006": // account change, entity management, user access, group management
		if user == nil {
			user = s[ocsfGroup]
		}
		setOnce(row, tokenwatch.ColResource, user)
	default:
		if !row.Has(tokenwatch.ColActor) {
			row.SetText(tokenwatch.ColActor, user)
		} else if user != nil {
			row.AddAttr(row.Keep("user.name"), user)
		}
	}
	if !row.Has(tokenwatch.ColAction) && !row.Has(tokenwatch.ColMethod) {
		setOnce(row, tokenwatch.ColAction, s[ocsfType])
		setOnce(row, tokenwatch.ColAction, s[ocsfActivity])
	}
	if class := ocsfActionClass(string(s[ocsfClassUID]), string(s[ocsfActivity])); class != "" {
		row.SetString(tokenwatch.ColActionClass, class)
	}
	if code := s[ocsfStatusCode]; code != nil {
		if !row.Has(tokenwatch.ColError) && string(row.Text(tokenwatch.ColOutcome)) != "success" && string(row.Text(tokenwatch.ColOutcome)) != "Success" {
			row.SetText(tokenwatch.ColError, code)
		} else {
			row.AddAttr(row.Keep("status_code"), code)
		}
	}
	return nil
}

// ocsfActionClass returns the class of an activity, "" where its name says too little.
func ocsfActionClass(class, activity string) string {
	switch class {
	case "3002", "3003": // authentication, authorize session
		return "auth"
	case "3001":
		if activity == "Password Change" || activity == "Password Reset" || activity == "MFA Factor Enable" || activity == "MFA Factor Disable" {
			return "credential"
		}
		return "admin"
	case "3004", "3005", "3006":
		if activity == "Read" {
			return "read"
		}
		return "admin"
	case "6001": // web resources activity
		switch activity {
		case "Read":
			return "read"
		case "Search":
			return "list"
		case "Create", "Update", "Import":
			return "write"
		case "Delete":
			return "delete"
		case "Export":
			return "export"
		case "Share":
			return "admin"
		}
	}
	return ""
}
