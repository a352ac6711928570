package format

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// cloudTrail reads AWS CloudTrail records, bare or as the detail of an
// EventBridge event. The actor is the caller's ARN, that of an assumed role
// with its session, so that all keys of one session meet; the token is known by
// its access key id. Declared secrets in parameters and answers are
// credentials; access key ids in answers stay attrs, since they are not the
// caller's. request_id is the unique eventID; requestID, which services of one
// call share, is the attr aws_request_id.
type cloudTrail struct{ walker }

func newCloudTrail(Config) (Parser, error) {
	p := &cloudTrail{newWalker(cloudTrailRules)}
	p.lenient = true
	return p, nil
}

// sniffCloudTrail looks for the names every record has.
func sniffCloudTrail(record []byte) int {
	if firstByte(record) != '{' {
		return 0
	}
	names := []string{`"eventSource"`, `"eventName"`, `"eventTime"`, `"userIdentity"`, `"awsRegion"`, `"eventVersion"`}
	n := 0
	for _, name := range names {
		if bytes.Contains(record, []byte(name)) {
			n++
		}
	}
	if n == 0 { // some pipelines fold names
		lower := bytes.ToLower(record)
		for _, name := range names {
			if bytes.Contains(lower, bytes.ToLower([]byte(name))) {
				n++
			}
		}
	}
	if n < 4 {
		return 0
	}
	return 40 + 10*n
}

// slot is a field that is only understood together with others.
type slot uint8

const (
	ctSource slot = iota
	ctName
	ctAddress
	ctErrorCode
	ctEventID
	ctReadOnly
	ctKind
	ctARN
	ctAccount
	ctPrincipal
	ctUser
	ctInvokedBy
	ctKey
	ctIssuerARN
	ctLoginResult
	ctProvider
	ctRecipient
	ctResource                                          // the first of the resources after it, by how well they name the thing
	ctFact     = ctResource + slot(len(resourceFields)) // the first of the fields of a fact
	numSlots   = ctFact + slot(len(factFields))
)

// resourceFields are the fields that name what was acted on, best first.
var resourceFields = [...]string{
	"resources.arn", "requestparameters.bucketname", "requestparameters.secretid", "requestparameters.rolearn", "requestparameters.functionname",
	"requestparameters.keyid", "requestparameters.instanceid", "requestparameters.instancesset.items.instanceid", "requestparameters.groupid",
	"requestparameters.snapshotid", "requestparameters.dbsnapshotidentifier", "requestparameters.dbinstanceidentifier", "requestparameters.imageid",
	"requestparameters.username", "requestparameters.rolename", "requestparameters.groupname", "requestparameters.policyarn", "requestparameters.tablename",
	"requestparameters.trailname", "requestparameters.loggroupname", "requestparameters.queueurl", "requestparameters.topicarn", "requestparameters.resourcearn",
	"requestparameters.instanceprofilename", "requestparameters.vpcid", "requestparameters.volumeid", "requestparameters.documentname", "requestparameters.name",
}

// factFields are the fields that say what became of a token, see facts, that there
// was an error, and whether somebody called at all.
var factFields = [...]string{
	"responseelements.accesskey.accesskeyid", "responseelements.accesskey.username", "requestparameters.accesskeyid", "requestparameters.status",
	"responseelements.credentials.accesskeyid", "responseelements.credentials.expiration", "responseelements.assumedroleuser.arn",
	"responseelements.servicespecificcredential.servicespecificcredentialid", "requestparameters.servicespecificcredentialid",
	"responseelements.servicespecificcredential.username",
	"responseelements.sshpublickey.sshpublickeyid", "requestparameters.sshpublickeyid", "responseelements.id", "requestparameters.apikey",
	"requestparameters.createapikeyinput.name", "errormessage", "eventtype",
}

// Places in factFields.
const (
	ctCreatedKey = ctFact + iota
	ctKeyUser
	ctGivenKey
	ctKeyStatus
	ctSessionKey
	ctSessionEnd
	ctSessionARN
	ctCreatedCredential
	ctGivenCredential
	ctCredentialUser
	ctCreatedSSH
	ctGivenSSH
	ctCreatedAPIKey
	ctGivenAPIKey
	ctAPIKeyName
	ctErrorMessage
	ctEventType
)

// ctUserName is the place of requestParameters.userName.
var ctUserName = ctResource + slot(slices.Index(resourceFields[:], "requestparameters.username"))

// cloudTrailRules are the fields by folded path. Those of resourceFields and
// factFields are attrs as well.
var cloudTrailRules = func() map[string]rule {
	m := map[string]rule{
		"eventtime": {op: toColumn, col: tokenwatch.ColTime}, "useragent": {op: toColumn, col: tokenwatch.ColUserAgent}, "awsregion": {op: toColumn, col: tokenwatch.ColRegion},
		"eventsource": {op: toSlot, slot: ctSource}, "eventname": {op: toSlot, slot: ctName}, "sourceipaddress": {op: toSlot, slot: ctAddress},
		"errorcode": {op: toSlot, slot: ctErrorCode}, "eventid": {op: toSlot, slot: ctEventID}, "readonly": {op: toSlot, slot: ctReadOnly},
		"useridentity.type": {op: toSlot, slot: ctKind}, "useridentity.arn": {op: toSlot, slot: ctARN}, "useridentity.accountid": {op: toSlot, slot: ctAccount},
		"useridentity.principalid": {op: toSlot, slot: ctPrincipal}, "useridentity.username": {op: toSlot, slot: ctUser},
		"useridentity.invokedby": {op: toSlot, slot: ctInvokedBy}, "useridentity.accesskeyid": {op: toSlot, slot: ctKey},
		"insightdetails.eventsource": {op: toSlot, slot: ctSource}, "insightdetails.eventname": {op: toSlot, slot: ctName}, // of Insights events
		"recipientaccountid":                            {op: toSlot, slot: ctRecipient},
		"useridentity.identityprovider":                 {op: toSlot, slot: ctProvider},
		"useridentity.sessioncontext.sessionissuer.arn": {op: toSlot, slot: ctIssuerARN},
		"responseelements.consolelogin":                 {op: toSlot, slot: ctLoginResult},
		"additionaleventdata.bytestransferredin":        {op: toColumn, col: tokenwatch.ColBytesIn},
		"additionaleventdata.bytestransferredout":       {op: toColumn, col: tokenwatch.ColBytesOut},
		"requestid":    {op: toAttr, carrier: "aws_request_id"},
		"eventversion": {op: toNothing},
	}
	for i, f := range resourceFields {
		m[f] = rule{op: toSlot, slot: ctResource + slot(i)}
	}
	for i, f := range factFields {
		m[f] = rule{op: toSlot, slot: ctFact + slot(i)}
	}
	all := make(map[string]rule, 2*len(m))
	for path, r := range m {
		all[path], all["detail."+path] = r, r // the latter of EventBridge
	}
	return all
}()

// Parse fills row from a record.
func (p *cloudTrail) Parse(record []byte, row *tokenwatch.Row) error {
	if err := p.read(record, row); err != nil {
		return err
	}
	return p.complete()
}

// complete fills what follows from several fields together.
func (p *cloudTrail) complete() error {
	row, s := p.row, &p.slots
	if s[ctSource] == nil || s[ctName] == nil {
		return malformed("no eventSource or no eventName")
	}
	service := bytes.TrimSuffix(s[ctSource], []byte(".amazonaws.com"))
	row.SetText(tokenwatch.ColService, service)
	row.SetText(tokenwatch.ColAction, row.Build(func(b []byte) []byte {
		return append(append(append(b, service...), ':'), s[ctName]...)
	}))
	row.SetText(tokenwatch.ColRequestID, s[ctEventID])
	p.identity()
	p.origin()
	p.result()
	if v := s[ctGivenAPIKey]; v != nil && string(service) != "apigateway" { // where it is an id
		row.AddIncidental("api_key", v)
	}
	if string(row.Text(tokenwatch.ColOutcome)) == "success" {
		p.lifecycle()
	}
	for _, v := range s[ctResource:ctFact] {
		setOnce(row, tokenwatch.ColResource, v)
	}
	if v := s[ctReadOnly]; v != nil {
		row.AddAttr(row.Keep("read_only"), v)
	}
	p.settle()
	if p.untimed && !row.Has(tokenwatch.ColTime) {
		return reject(tokenwatch.ReasonNoTime, "eventTime holds no time that can be read")
	}
	return nil
}

// anonymousAccount stands where an account would for requests without a credential, to
// a public bucket say.
const anonymousAccount = "ANONYMOUS_PRINCIPAL"

// identity fills who called: actor, token and session.
func (p *cloudTrail) identity() {
	row, s := p.row, &p.slots
	kind := "user"
	actor := s[ctARN]
	switch string(s[ctKind]) {
	case "Root":
		kind = "root"
	case "AssumedRole":
		kind = "role_session"
	case "Role":
		kind = "role"
	case "FederatedUser", "SAMLUser", "WebIdentityUser", "IdentityCenterUser":
		kind = "federated"
	case "AWSService":
		kind = "service"
	case "AWSAccount":
		kind = "account"
		if string(s[ctAccount]) == anonymousAccount { // anybody: all there is to know of them is the address
			kind, s[ctAccount] = "anonymous", nil
		}
	case "Directory", "Unknown":
		kind = "unknown"
	}
	for _, v := range [][]byte{s[ctInvokedBy], s[ctUser], s[ctPrincipal], s[ctAccount]} {
		if actor == nil && (kind == "service" || !bytes.Equal(v, s[ctInvokedBy])) {
			actor = v
		}
	}
	if actor == nil && kind != "anonymous" && s[ctRecipient] != nil { // somebody of the account, or AWS for it
		actor, kind = s[ctRecipient], "account"
	}
	if actor == nil && string(s[ctEventType]) == "AwsServiceEvent" { // the service by itself
		actor, kind = s[ctSource], "service"
	}
	if s[ctKind] != nil || kind == "account" || kind == "service" {
		row.SetString(tokenwatch.ColActorKind, kind)
	}
	row.SetText(tokenwatch.ColActor, actor)
	if s[ctAccount] != nil {
		row.SetText(tokenwatch.ColIssuer, s[ctAccount])
	}
	if key := s[ctKey]; key != nil {
		addAccessKey(row, key)
	}
	if kind == "role_session" {
		if i := bytes.LastIndexByte(actor, '/'); i >= 0 {
			row.SetText(tokenwatch.ColSession, actor[i+1:])
		}
	}
	for _, a := range []struct {
		key  string
		slot slot
	}{{"principal_id", ctPrincipal}, {"user_name", ctUser}, {"invoked_by", ctInvokedBy}, {"session_issuer", ctIssuerARN}, {"identity_provider", ctProvider}, {"recipientAccountId", ctRecipient}} {
		if v := s[a.slot]; v != nil {
			row.AddAttr(row.Keep(a.key), v)
		}
	}
}

// lifecycle makes a fact of a call that made, changed or ended a token.
func (p *cloudTrail) lifecycle() {
	row, s := p.row, &p.slots
	fact := func(kind tokenwatch.FactKind, name tokenwatch.NameKind, id []byte, typ string) *tokenwatch.RowFact {
		f := row.AddFact(kind)
		f.AddName(name, "aws", id)
		f.TokenType = row.Keep(typ)
		return f
	}
	switch string(row.Text(tokenwatch.ColAction)) {
	case "iam:CreateAccessKey":
		if s[ctCreatedKey] != nil {
			f := fact(tokenwatch.FactCreated, tokenwatch.NameAccessKeyID, s[ctCreatedKey], "aws_access_key")
			f.Owner, f.Expires = s[ctKeyUser], tokenwatch.Never
		}
	case "iam:UpdateAccessKey":
		kind, ok := map[string]tokenwatch.FactKind{"Inactive": tokenwatch.FactDisabled, "Active": tokenwatch.FactEnabled}[string(s[ctKeyStatus])]
		if ok && s[ctGivenKey] != nil {
			fact(kind, tokenwatch.NameAccessKeyID, s[ctGivenKey], "aws_access_key")
		}
	case "iam:DeleteAccessKey":
		if s[ctGivenKey] != nil {
			fact(tokenwatch.FactRevoked, tokenwatch.NameAccessKeyID, s[ctGivenKey], "aws_access_key")
		}
	case "sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoot", "sts:GetSessionToken", "sts:GetFederationToken":
		if s[ctSessionKey] != nil {
			f := fact(tokenwatch.FactCreated, tokenwatch.NameAccessKeyID, s[ctSessionKey], "aws_session")
			f.Owner = s[ctSessionARN]
			if ns, ok := awsTime(s[ctSessionEnd]); ok {
				f.Expires = ns
			}
		}
	case "iam:CreateServiceSpecificCredential":
		if s[ctCreatedCredential] != nil {
			f := fact(tokenwatch.FactCreated, tokenwatch.NameProviderID, s[ctCreatedCredential], "aws_service_credential")
			f.Owner, f.Expires = s[ctCredentialUser], tokenwatch.Never
		}
	case "iam:ResetServiceSpecificCredential", "iam:DeleteServiceSpecificCredential":
		kind := tokenwatch.FactRevoked
		if id := s[ctGivenCredential]; id != nil {
			if bytes.HasPrefix(s[ctName], []byte("Reset")) {
				kind = tokenwatch.FactRotated
			}
			fact(kind, tokenwatch.NameProviderID, id, "aws_service_credential")
		}
	case "iam:UploadSSHPublicKey":
		if s[ctCreatedSSH] != nil {
			f := fact(tokenwatch.FactCreated, tokenwatch.NameProviderID, s[ctCreatedSSH], "aws_ssh_key")
			f.Owner, f.Expires = s[ctUserName], tokenwatch.Never
		}
	case "iam:UpdateSSHPublicKey":
		kind, ok := map[string]tokenwatch.FactKind{"Inactive": tokenwatch.FactDisabled, "Active": tokenwatch.FactEnabled}[string(s[ctKeyStatus])]
		if ok && s[ctGivenSSH] != nil {
			fact(kind, tokenwatch.NameProviderID, s[ctGivenSSH], "aws_ssh_key")
		}
	case "iam:DeleteSSHPublicKey":
		if s[ctGivenSSH] != nil {
			fact(tokenwatch.FactRevoked, tokenwatch.NameProviderID, s[ctGivenSSH], "aws_ssh_key")
		}
	case "apigateway:CreateApiKey":
		if s[ctCreatedAPIKey] != nil {
			f := fact(tokenwatch.FactCreated, tokenwatch.NameProviderID, s[ctCreatedAPIKey], "aws_api_key")
			f.Label, f.Expires = s[ctAPIKeyName], tokenwatch.Never
		}
	case "apigateway:DeleteApiKey":
		if s[ctGivenAPIKey] != nil {
			fact(tokenwatch.FactRevoked, tokenwatch.NameProviderID, s[ctGivenAPIKey], "aws_api_key")
		}
	case "iam:DeleteUser":
		if s[ctUserName] != nil {
			row.AddFact(tokenwatch.FactOwnerLeft).Owner = s[ctUserName]
		}
	}
}

// awsTime reads a time in an answer: "Mar 1, 2026 9:00:00 AM", or as elsewhere.
func awsTime(v []byte) (int64, bool) {
	if t, err := time.Parse("Jan 2, 2006 3:04:05 PM", strings.ReplaceAll(string(v), "\u202f", " ")); err == nil {
		return t.UnixNano(), true
	}
	return normalize.ParseTime(v)
}

// origin fills where the call came from: an address, or a service of AWS.
func (p *cloudTrail) origin() {
	row, v := p.row, p.slots[ctAddress]
	if v == nil {
		return
	}
	if a, _, ok := address(v); ok {
		row.SetAddr(a)
		return
	}
	if string(v) == "AWS Internal" || bytes.HasSuffix(v, []byte(".amazonaws.com")) || bytes.HasSuffix(v, []byte(".aws.internal")) {
		row.SetString(tokenwatch.ColSrcCloud, "service")
		row.AddAttr(row.Keep("src_service"), v)
		return
	}
	row.AddAttr(row.Keep("sourceIPAddress"), v)
}

// deniedCodes are the error codes of calls that were refused, beside those
// that say so in their name.
var deniedCodes = []string{
	"AccessDenied", "UnauthorizedOperation", "UnauthorizedAccess", "Forbidden", "NotAuthorized", "InvalidClientTokenId", "SignatureDoesNotMatch",
	"ExpiredToken", "AuthFailure", "UnrecognizedClientException", "InvalidAccessKeyId", "OptInRequired",
}

// result fills error and outcome. A record without an error code and message
// succeeded, unless it is a failed login.
func (p *cloudTrail) result() {
	row, s := p.row, &p.slots
	if code := s[ctErrorCode]; code != nil {
		row.SetText(tokenwatch.ColError, code)
		outcome := "failure"
		for _, d := range deniedCodes {
			if bytes.Contains(code, []byte(d)) {
				outcome = "denied"
			}
		}
		row.SetString(tokenwatch.ColOutcome, outcome)
		return
	}
	if bytes.EqualFold(s[ctLoginResult], []byte("failure")) {
		row.SetString(tokenwatch.ColOutcome, "denied")
		row.SetString(tokenwatch.ColError, "authn")
		return
	}
	if s[ctErrorMessage] != nil {
		row.SetString(tokenwatch.ColOutcome, "failure")
		return
	}
	row.SetString(tokenwatch.ColOutcome, "success")
}
