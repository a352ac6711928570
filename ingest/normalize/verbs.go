package normalize

import "bytes"

// The action classes.
const (
	classRead       = "read"
	classList       = "list"
	classWrite      = "write"
	classDelete     = "delete"
	classAdmin      = "admin"
	classCredential = "credential"
	classExport     = "export"
	classAuth       = "auth"
)

// classWord maps the words ECS and OCSF have for a class to ours, "" for others.
func classWord(b []byte) string {
	var buf [16]byte
	switch string(appendLower(buf[:0], b[:min(len(b), len(buf))])) {
	case "read", "get", "access":
		return classRead
	case "list", "enumerate", "search":
		return classList
	case "write", "create", "creation", "update", "change", "post", "put", "patch":
		return classWrite
	case "delete", "deletion":
		return classDelete
	case "admin":
		return classAdmin
	case "credential":
		return classCredential
	case "export":
		return classExport
	case "auth", "logon", "logoff":
		return classAuth
	}
	return ""
}

// operations are provider operations whose class their verb does not tell.
var operations = map[string]string{
	// Credentials handed out or made.
	"CreateAccessKey": classCredential, "UpdateAccessKey": classCredential, "CreateLoginProfile": classCredential,
	"UpdateLoginProfile": classCredential, "CreateServiceSpecificCredential": classCredential,
	"ResetServiceSpecificCredential": classCredential, "UploadSSHPublicKey": classCredential,
	"UploadSigningCertificate": classCredential, "CreateVirtualMFADevice": classCredential,
	"GetSecretValue": classCredential, "BatchGetSecretValue": classCredential, "GetPasswordData": classCredential,
	"GetParameter": classCredential, "GetParameters": classCredential, "GetParametersByPath": classCredential,
	"AssumeRole": classCredential, "AssumeRoleWithSAML": classCredential, "AssumeRoleWithWebIdentity": classCredential,
	"AssumeRoot": classCredential, "GetSessionToken": classCredential, "GetFederationToken": classCredential,
	"GetSigninToken": classCredential, "GetRoleCredentials": classCredential, "GetAuthorizationToken": classCredential,
	"CreateToken": classCredential, "CreateKeyPair": classCredential, "ImportKeyPair": classCredential,
	"SendSSHPublicKey": classCredential, "CreateApiKey": classCredential, "GetApiKey": classCredential,
	"GenerateDataKey": classCredential, "Decrypt": classCredential, "GetClusterCredentials": classCredential,
	"GetCredentialsForIdentity": classCredential, "GetOpenIdToken": classCredential, "PutSecretValue": classCredential,
	"CreateSecret": classCredential, "UpdateSecret": classCredential, "ChangePassword": classCredential,

	// Logins.
	"ConsoleLogin": classAuth, "SwitchRole": classAuth, "ExitRole": classAuth, "RenewRole": classAuth,
	"CredentialVerification": classAuth, "CredentialChallenge": classAuth, "UserAuthentication": classAuth,
	"CheckMfa": classAuth, "Authenticate": classAuth, "Federate": classAuth, "InitiateAuth": classAuth,

	// Data leaving.
	"ModifySnapshotAttribute": classExport, "ModifyDBSnapshotAttribute": classExport, "ModifyImageAttribute": classExport,
	"ModifyDBClusterSnapshotAttribute": classExport, "StartExportTask": classExport, "CreateExportTask": classExport,
	"ExportTableToPointInTime": classExport, "CreateInstanceExportTask": classExport, "CreateStoreImageTask": classExport,
	"GetEbsSnapshotBlock": classExport, "GetSnapshotBlock": classExport, "SharedSnapshotCopyInitiated": classExport,
	"DownloadDBLogFilePortion": classExport, "CopySnapshot": classExport, "CopyDBSnapshot": classExport,

	// Who may do what, and what is recorded of it.
	"StopLogging": classAdmin, "StartLogging": classAdmin, "DeleteTrail": classAdmin, "UpdateTrail": classAdmin,
	"CreateTrail": classAdmin, "PutEventSelectors": classAdmin, "PutInsightSelectors": classAdmin,
	"DeleteFlowLogs": classAdmin, "DeleteDetector": classAdmin, "UpdateDetector": classAdmin,
	"StopConfigurationRecorder": classAdmin, "DeleteConfigurationRecorder": classAdmin,
	"DeleteResolverQueryLogConfig": classAdmin, "DisassociateResolverQueryLogConfig": classAdmin,
	"PutBucketAcl": classAdmin, "PutBucketPublicAccessBlock": classAdmin, "PutBucketLogging": classAdmin,
	"DeleteBucketPolicy": classAdmin, "LeaveOrganization": classAdmin, "InviteAccountToOrganization": classAdmin,
	"AuthorizeSecurityGroupIngress": classAdmin, "AuthorizeSecurityGroupEgress": classAdmin,
	"RevokeSecurityGroupIngress": classAdmin, "PassRole": classAdmin, "AddUserToGroup": classAdmin,
	"RemoveUserFromGroup": classAdmin, "AddRoleToInstanceProfile": classAdmin, "DeactivateMFADevice": classAdmin,
	"ScheduleKeyDeletion": classAdmin, "DisableKey": classAdmin, "CreateGrant": classAdmin,
	"PutKeyPolicy": classAdmin, "UpdateAssumeRolePolicy": classAdmin, "DeleteAccessKey": classAdmin,
	"CreateUser": classAdmin, "DeleteUser": classAdmin, "CreateRole": classAdmin, "DeleteRole": classAdmin,
	"AddPermission": classAdmin, "AddPermission20150331v2": classAdmin, "DeleteLogGroup": classAdmin, "DeleteLogStream": classAdmin,
}

// adminWords turn a writing or deleting operation into an administrative one.
var adminWords = []string{
	"policy", "role", "permission", "organization", "trail", "logging", "loggroup", "mfa", "accesscontrol", "grant",
	"iam", "samlprovider", "openidconnectprovider", "accountalias", "loginprofile", "securitygroup", "flowlog", "guardduty",
}

// operationVerbs classify an operation by how its name begins. First fit wins.
var operationVerbs = []struct{ verb, class string }{
	{"list", classList},
	{"search", classList}, {"scan", classList}, {"query", classList},
	{"describe", classRead}, {"get", classRead}, {"head", classRead}, {"lookup", classRead}, {"read", classRead},
	{"view", classRead}, {"select", classRead}, {"batchget", classRead}, {"check", classRead}, {"test", classRead},
	{"validate", classRead}, {"simulate", classRead}, {"preview", classRead}, {"estimate", classRead}, {"watch", classRead},
	{"export", classExport}, {"download", classExport}, {"backup", classExport}, {"dump", classExport}, {"share", classExport},
	{"delete", classDelete}, {"terminate", classDelete}, {"remove", classDelete}, {"purge", classDelete},
	{"destroy", classDelete}, {"drop", classDelete}, {"deregister", classDelete}, {"batchdelete", classDelete},
	{"attach", classWrite}, {"detach", classWrite}, {"associate", classWrite}, {"disassociate", classWrite},
	{"login", classAuth}, {"logout", classAuth}, {"signin", classAuth}, {"authenticate", classAuth}, {"authorize", classAuth},
	{"create", classWrite}, {"put", classWrite}, {"update", classWrite}, {"run", classWrite}, {"start", classWrite},
	{"stop", classWrite}, {"modify", classWrite}, {"set", classWrite}, {"add", classWrite}, {"tag", classWrite},
	{"untag", classWrite}, {"register", classWrite}, {"enable", classWrite}, {"disable", classWrite},
	{"import", classWrite}, {"upload", classWrite}, {"send", classWrite}, {"invoke", classWrite}, {"copy", classWrite},
	{"restore", classWrite}, {"patch", classWrite}, {"replace", classWrite}, {"reset", classWrite}, {"publish", classWrite},
	{"write", classWrite}, {"post", classWrite}, {"allocate", classWrite}, {"release", classWrite}, {"cancel", classWrite},
	{"grant", classAdmin}, {"revoke", classAdmin}, {"invite", classAdmin},
}

// operationClass classifies a provider's operation: s3:GetObject, ListBuckets.
// "" if its verb is unknown.
func (n *Normalizer) operationClass(action []byte) string {
	name := action
	if i := bytes.LastIndexAny(name, ":."); i >= 0 {
		name = name[i+1:]
	}
	if class, ok := operations[string(name)]; ok {
		return class
	}
	n.lower = appendLower(n.lower[:0], name)
	for _, v := range operationVerbs {
		if !bytes.HasPrefix(n.lower, []byte(v.verb)) {
			continue
		}
		if v.class == classWrite || v.class == classDelete {
			for _, w := range adminWords {
				if contains(n.lower, w) {
					return classAdmin
				}
			}
		}
		return v.class
	}
	return ""
}

// routeWords classify a request by a segment of its route, up to a dot or
// colon in it (login in /login.php). The first line that fits wins;
// changing ones only hold for methods other than GET, HEAD and OPTIONS.
var routeWords = []struct {
	class    string
	changing bool
	words    []string
}{
	{classAuth, false, []string{"login", "logout", "signin", "signout", "oauth", "oauth2", "sso", "saml", "oidc", "authorize", "authenticate", "mfa", "wp-login", "auth"}},
	{classCredential, false, []string{"secret", "secrets", "credential", "credentials", "password", "passwords", "private_key"}},
	{classCredential, true, []string{"token", "tokens", "keys", "api-keys", "api_keys", "apikeys", "access-keys", "access_keys", "access_tokens", "personal_access_tokens"}},
	{classExport, false, []string{"export", "exports", "download", "downloads", "dump", "backup", "backups", "archive"}},
	{classAdmin, false, []string{"admin", "administrator", "wp-admin", "phpmyadmin", "sudo"}},
	{classAdmin, true, []string{"roles", "role", "permissions", "permission", "policies", "policy", "members", "memberships", "collaborators", "settings", "config", "grants", "hooks", "webhooks", "iam"}},
}

// wordPlace maps each of routeWords to its place in the table plus one.
var wordPlace = func() map[string][2]int {
	m := make(map[string][2]int) // for methods that read, and for the others
	for i, r := range routeWords {
		for _, w := range r.words {
			p := m[w]
			if !r.changing && p[0] == 0 {
				p[0] = i + 1
			}
			if p[1] == 0 {
				p[1] = i + 1
			}
			m[w] = p
		}
	}
	return m
}()

// requestClass classifies an HTTP request by method and lower-case route.
func requestClass(method, route []byte) string {
	changing := 1
	if string(method) == "GET" || string(method) == "HEAD" || string(method) == "OPTIONS" {
		changing = 0
	}
	first, searching := 0, false
	for rest := route; len(rest) > 0; {
		seg := rest[1:]
		if i := bytes.IndexByte(seg, '/'); i >= 0 {
			seg, rest = seg[:i], seg[i:]
		} else {
			rest = nil
		}
		seg = before(seg, '.', ':')
		if p := wordPlace[string(seg)][changing]; p != 0 && (first == 0 || p < first) {
			first = p
		}
		searching = searching || string(seg) == "search" || string(seg) == "query" || string(seg) == "list"
	}
	if first > 0 {
		class := routeWords[first-1].class
		if string(method) == "DELETE" && class != classAdmin {
			return classDelete
		}
		return class
	}
	switch string(method) {
	case "GET", "OPTIONS", "HEAD", "PROPFIND":
		if searching || endsInCollection(route) {
			return classList
		}
		return classRead
	case "DELETE":
		return classDelete
	case "POST":
		if searching {
			return classList
		}
		return classWrite
	case "PUT", "PATCH", "MKCOL", "COPY", "MOVE", "PROPPATCH":
		return classWrite
	}
	return ""
}

// before returns b up to the first x or y. For a few bytes a plain loop beats
// bytes.IndexAny.
func before(b []byte, x, y byte) []byte {
	for i, c := range b {
		if c == x || c == y {
			return b[:i]
		}
	}
	return b
}

// endsInCollection tells whether the last segment is a plural word below a
// version or api segment: /v1/orders.
func endsInCollection(route []byte) bool {
	i := bytes.LastIndexByte(route, '/')
	last := route[i+1:]
	if len(last) < 4 || last[len(last)-1] != 's' || last[len(last)-2] == 's' || bytes.ContainsAny(last, ".{") {
		return false
	}
	return bytes.HasPrefix(route, []byte("/v")) && i >= 3 && isVersion(route[1:1+bytes.IndexByte(route[1:], '/')]) ||
		bytes.HasPrefix(route, []byte("/api/"))
}
