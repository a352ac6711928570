package format

import "github.com/tokenwatch/tokenwatch"

// snyk is the audit log of Snyk groups and organisations.
var snyk = product{
	name: "snyk",
	marks: []string{
		`"event"`,
		`"groupId"|"group_id"|"orgId"|"org_id"`,
		`"org.|"group.|"user.|"api.access"`,
		`"created"|"userId"|"user_id"|"content"`,
	},
	fields: `
created                    = time
event                      = action
userId                     = actor? attrs.user.id
user_id                    = actor? attrs.user.id
groupId                    = @group attrs.group.id
group_id                   = @group attrs.group.id
orgId                      = @org attrs.organization.id
org_id                     = @org attrs.organization.id
projectId                  = resource
project_id                 = resource
content.url                = url
content.email              = attrs.user.target.email fact.owner
content.username           = attrs.user.target.name
content.userPublicId       = attrs.user.target.id fact.owner
content.publicId           = attrs.public_id
content.name               = attrs.target.name fact.label
content.role               = attrs.role fact.scope
content.serviceAccountPublicId = attrs.service_account fact.subject:provider_id@snyk
content.service_account_public_id = attrs.service_account fact.subject:provider_id@snyk
content.authType           = attrs.auth_type
content.clientId           = attrs.client_id fact.subject:provider_id@snyk
content.appInstallPublicId = attrs.app_install fact.subject:provider_id@snyk
content.tokenExpiresAt     = attrs.token_expires fact.expires
content.tokenId            = attrs.token_id fact.subject:provider_id@snyk
`,
	actions: `
*.service_account.create   = credential +created type:service_account
*.service_account.edit     = credential +scope_changed type:service_account
*.service_account.delete   = credential +revoked type:service_account
*.app_bot.create           = credential +created type:app
*.app.create               = credential +created type:app
*.app.delete               = credential +revoked type:app
*.app.edit                 = credential +scope_changed type:app
user.api_token.*           = credential
*token*.create             = credential +created
*token*.revoke             = credential +revoked
*.app*                     = credential
api.access                 = read
*.user.remove              = admin +owner_left
*.user.leave               = admin +owner_left
*.user.*                   = admin
*.sso.*                    = admin
*.role.*                   = admin
*.policy.*                 = admin
*.settings.*               = admin
*.feature_flags.*          = admin
*.cloud_config.*           = admin
*.ignore.*                 = write
*export*                   = export
*.create                   = write
*.add                      = write
*.edit                     = write
*.delete                   = delete
*.remove                   = delete
*.stop                     = write
`,
	derive: func(p *auditParser) {
		row := p.row
		p.or(tokenwatch.ColIssuer, []byte("snyk"))
		kind := "user"
		if !row.Has(tokenwatch.ColActor) { // somebody of the organisation
			kind = "account"
			row.SetText(tokenwatch.ColActor, p.text("org"))
			p.or(tokenwatch.ColActor, p.text("group"))
		}
		p.set(tokenwatch.ColActorKind, kind)
		p.or(tokenwatch.ColResource, p.text("org"))
		p.or(tokenwatch.ColResource, p.text("group"))
	},
}
