package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// auth0 is the tenant log of Auth0: records of the Management API, of log
// streams and of EventBridge. The action is the type's code; the caller of the
// Management API is known by its token's jti.
var auth0 = product{
	name: "auth0",
	marks: []string{
		`"type"`,
		`"log_id"|"strategy_type"|"$event_schema"|"isMobile"`,
		`"client_id"|"client_name"|"details"|"user_id"|"tenant_name"`,
		`"date"`,
	},
	under: []string{"data.", "json.", "json.data.", "detail.", "detail.data."},
	fields: `
date                                     = time
log_id                                   = request_id
_id                                      = request_id?
type                                     = @type
description                              = @description
ip                                       = src_ip
client_ip                                = src_ip?
user_agent                               = user_agent
hostname                                 = host
user_id                                  = actor?? attrs.user.id
user_name                                = actor attrs.user.name
client_id                                = actor??? attrs.client_id @client
client_name                              = actor????? attrs.client_name
connection                               = attrs.connection
strategy                                 = attrs.strategy
audience                                 = attrs.audience
scope                                    = scope
session_id                               = session
tenant_name                              = attrs.tenant @tenant
details.session_id                       = session?
details.request.method                   = attrs.http.request.method @method
details.request.path                     = attrs.url.path @path
details.request.ip                       = src_ip?
details.request.userAgent                = user_agent?
details.request.auth.user.email          = actor?
details.request.auth.user.name           = actor??
details.request.auth.user.user_id        = actor??
details.request.auth.credentials.jti     = name:jti@auth0
details.request.auth.credentials.scopes  = scope?
details.request.auth.strategy            = token_kind
details.request.body.name                = attrs.target.name fact.label
details.request.body.client_secret       = secret:client_secret
details.response.statusCode              = status
details.response.body.client_id          = attrs.response.client_id fact.lineage
details.response.body.client_secret      = fact.secret
details.response.body.id                 = attrs.response.id
details.error.message                    = attrs.error.message
details.error.type                       = error?
details.error                            = attrs.error.message
details.accessedSecrets                  = attrs.accessed_secrets
details.prompts.user_id                  = attrs.prompt_user
details.prompts.user_name                = actor????
isMobile                                 = attrs.is_mobile
`,
	actions: `
Create a client                 = credential +created type:client
Delete a client                 = credential +revoked type:client
Rotate a client secret          = credential +rotated type:client
Create client grant             = credential +scope_changed
Delete client grant             = credential +scope_changed
Update client grant             = credential +scope_changed
Rotate the application signing key = credential
Revoke an application signing key by its key id = credential
*client secret*                 = credential
*signing key*                   = credential
Delete a user                   = admin
*rule*                          = admin
*role*                          = admin
*log stream*                    = admin
*log-stream*                    = admin
*tenant settings*               = admin
*guardian*                      = admin
*Guardian*                      = admin
*MFA*                           = admin
*multi-factor*                  = admin
*member*                        = admin
*invitation*                    = admin
Get *                           = read
List *                          = list
Search *                        = list
Delete *                        = delete
Create *                        = write
Update *                        = write
Set *                           = write
`,
	derive: func(p *auditParser) {
		row := p.row
		kind, action := p.text("type"), auth0Types[string(p.text("type"))]
		p.attr("event.code", kind)
		p.attr("message", p.text("description"))
		p.or(tokenwatch.ColIssuer, []byte("auth0"))
		switch {
		case action.name == "":
			row.SetText(tokenwatch.ColAction, kind)
			if action.outcome = "success"; len(kind) > 0 && (kind[0] == 'f' || bytes.HasPrefix(kind, []byte("limit"))) {
				action.outcome = "failure"
			}
		case string(kind) == "sapi" || string(kind) == "fapi" || string(kind) == "mgmt_api_read":
			// What was done through the Management API only its description says.
			row.SetText(tokenwatch.ColAction, p.text("description"))
			p.attr("event.action", []byte(action.name))
		default:
			p.set(tokenwatch.ColAction, action.name)
		}
		p.or(tokenwatch.ColAction, kind)
		if action.outcome != "" && !row.Has(tokenwatch.ColOutcome) {
			p.set(tokenwatch.ColOutcome, action.outcome)
		}
		if action.class != "" {
			p.set(tokenwatch.ColActionClass, action.class)
		}
		if action.outcome != "success" && action.class == "auth" {
			p.or(tokenwatch.ColError, []byte("authn"))
		}
		if !row.Has(tokenwatch.ColActor) {
			p.or(tokenwatch.ColActor, p.text("tenant"))
			p.or(tokenwatch.ColActor, row.Text(tokenwatch.ColHost))
			p.set(tokenwatch.ColActorKind, "service")
		}
		if path := p.text("path"); path != nil {
			p.or(tokenwatch.ColResource, path)
		}
	},
}

type auth0Type struct{ name, class, outcome string }

// auth0Types are the types of log events by their codes, as Auth0 lists them.
var auth0Types = map[string]auth0Type{
	"s": {"successful-login", "auth", "success"}, "ss": {"success-signup", "admin", "success"}, "slo": {"user-logout-successful", "auth", "success"},
	"ssa": {"successful-silent-auth", "auth", "success"}, "sce": {"successful-change-email", "write", "success"}, "scp": {"successful-change-password", "credential", "success"},
	"scpn": {"successful-change-phone-number", "write", "success"}, "scpr": {"successful-change-password-request", "credential", "success"},
	"scu": {"successful-change-username", "write", "success"}, "scv": {"successful-credential-validation", "auth", "success"}, "sv": {"successful-verification-email", "write", "success"},
	"svr": {"successful-verification-email-request", "write", "success"}, "sd": {"successful-delegation", "auth", "success"}, "sdu": {"successful-user-deletion", "admin", "success"},
	"si": {"successfully-accepted-user-invitation", "admin", "success"}, "sui": {"successful-user-import", "write", "success"}, "sens": {"success-exchange-native-social-login", "auth", "success"},
	"seacft": {"success-exchange-auth-code-for-access-token", "credential", "success"}, "seccft": {"success-exchange-client-credentials-for-access-token", "credential", "success"}, "sede": {"success-exchange", "credential", "success"},
	"seoobft": {"success-exchange", "credential", "success"}, "seotpft": {"success-exchange", "credential", "success"}, "sepft": {"success-exchange-password-for-access-token", "credential", "success"},
	"sercft": {"success-exchange", "credential", "success"}, "sertft": {"success-exchange-refresh-token-for-access-token", "credential", "success"},
	"sapi": {"success-mgmt-api-op", "", "success"}, "fapi": {"failed-mgmt-api-op", "", "failure"}, "mgmt_api_read": {"success-mgmt-api-op-secrets-returned", "read", "success"},
	"api_limit": {"rate-limit-on-management-api", "read", "denied"}, "api_limit_warning": {"rate-limit-warning-on-management-api", "read", "success"},
	"admin_update_launch": {"auth0-update-launched", "admin", "success"}, "cls": {"code-link-sent", "auth", "success"}, "cs": {"code-sent", "auth", "success"}, "cms": {"magic-link-sent", "auth", "success"},
	"depnote": {"deprecation-notice", "", "success"}, "du": {"deleted-user", "delete", "success"}, "pla": {"pre-login-assessment", "auth", "success"}, "pwd_leak": {"breached-password-on-login", "auth", "denied"},
	"reset_pwd_leak": {"breached-password-on-reset", "auth", "denied"}, "signup_pwd_leak": {"breached-password-on-signup", "auth", "denied"}, "resource_cleanup": {"resource-cleanup", "delete", "success"},
	"ublkdu": {"user-login-block-released", "auth", "success"}, "w": {"warnings-during-login", "auth", "success"}, "limit_mu": {"blocked-ip-address", "auth", "denied"},
	"limit_wc": {"blocked-account", "auth", "denied"}, "limit_sul": {"blocked-account", "auth", "denied"}, "limit_delegation": {"rate-limit-exceeded-to-delegation", "auth", "denied"},
	"appi": {"rate-limit-on-api", "read", "denied"}, "sys_os_update_start": {"auth0-os-update-started", "", "success"}, "sys_os_update_end": {"auth0-os-update-ended", "", "success"},
	"sys_update_start": {"auth0-update-started", "", "success"}, "sys_update_end": {"auth0-update-ended", "", "success"},
	"f": {"failed-login", "auth", "failure"}, "fp": {"incorrect-password", "auth", "failure"}, "fu": {"invalid-username-or-email", "auth", "failure"},
	"fs": {"user-signup-failed", "auth", "failure"}, "flo": {"failed-logout", "auth", "failure"}, "fsa": {"failed-silent-auth", "auth", "failure"}, "fc": {"failed-by-connector", "auth", "failure"},
	"fce": {"failed-to-change-email", "write", "failure"}, "fcp": {"failed-change-password", "credential", "failure"}, "fcpn": {"failed-change-phone-number", "write", "failure"},
	"fcpr": {"failed-change-password-request", "credential", "failure"}, "fcpro": {"failed-to-provision-ad-ldap-connector", "write", "failure"}, "fcu": {"failed-to-change-username", "write", "failure"},
	"fco": {"origin-not-allowed", "auth", "failure"}, "fd": {"failed-to-generate-delegation-token", "credential", "failure"}, "fdeaz": {"failed-device-authorization-request", "auth", "failure"},
	"fdeac": {"failed-device-activation", "auth", "failure"}, "fdecc": {"user-canceled-device-confirmation", "auth", "failure"}, "fdu": {"failed-user-deletion", "admin", "failure"},
	"feacft": {"failed-exchange-auth-code-for-access-token", "credential", "failure"}, "feccft": {"failed-exchange-client-credentials-for-access-token", "credential", "failure"}, "fede": {"failed-exchange", "credential", "failure"},
	"feoobft": {"failed-exchange", "credential", "failure"}, "feotpft": {"failed-exchange", "credential", "failure"}, "fepft": {"failed-exchange-password-for-access-token", "credential", "failure"},
	"fercft": {"failed-exchange", "credential", "failure"}, "fertft": {"failed-exchange-refresh-token-for-access-token", "credential", "failure"}, "fens": {"failed-exchange-native-social-login", "auth", "failure"},
	"ferrt": {"failed-exchange-rotating-refresh-token", "credential", "failure"}, "fi": {"failed-to-accept-user-invitation", "auth", "failure"}, "fn": {"failed-to-send-email-notification", "write", "failure"},
	"fui": {"failed-to-import-users", "write", "failure"}, "fv": {"failed-to-send-verification-email", "write", "failure"}, "fvr": {"failed-to-process-verification-email-request", "write", "failure"},
	"gd_auth_failed": {"mfa-auth-failed", "auth", "failure"}, "gd_auth_rejected": {"user-rejected-mfa", "auth", "failure"}, "gd_auth_succeed": {"mfa-auth-succeeded", "auth", "success"},
	"gd_enrollment_complete": {"mfa-enrollment-complete", "credential", "success"}, "gd_otp_rate_limit_exceed": {"mfa-otp-rate-limit-exceeded", "auth", "denied"},
	"gd_recovery_failed": {"mfa-recovery-failed", "auth", "failure"}, "gd_recovery_rate_limit_exceed": {"mfa-recovery-rate-limit-exceeded", "auth", "denied"},
	"gd_recovery_succeed": {"mfa-recovery-succeeded", "auth", "success"}, "gd_send_email": {"email-sent", "auth", "success"}, "gd_send_pn": {"push-notification-sent", "auth", "success"},
	"gd_send_sms": {"sms-sent", "auth", "success"}, "gd_send_voice": {"voice-call-made", "auth", "success"}, "gd_start_auth": {"second-factor-started", "auth", "success"},
	"gd_start_enroll": {"mfa-enroll-started", "credential", "success"}, "gd_start_enroll_failed": {"mfa-enrollment-failed", "credential", "failure"},
	"gd_tenant_update": {"guardian-tenant-update", "admin", "success"}, "gd_unenroll": {"unenroll-device-account", "credential", "success"}, "gd_update_device_account": {"update-device-account", "credential", "success"},
	"gd_user_delete": {"deleted-mfa-user", "admin", "success"}, "gd_webauthn_challenge_failed": {"browser-failure", "auth", "failure"},
}
