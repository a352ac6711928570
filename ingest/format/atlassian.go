package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// atlassian is the audit log of Jira, Confluence and Bitbucket: the advanced audit
// log of Data Center, from its API and its files, and the audit records of
// Jira Cloud and Confluence Cloud.
var atlassian = product{
	name: "atlassian",
	marks: []string{
		`"auditType"|"actionI18nKey"|"summary"`,
		`"author"|"authorKey"|"remoteAddress"|"eventSource"|"objectItem"`,
		`"changedValues"|"affectedObjects"|"affectedObject"|"objectItem"|"associatedItems"`,
	},
	fields: `
timestamp                        = time
timestamp.epochSecond            = @second
timestamp.nano                   = @nano
created                          = time?
creationDate                     = time? @creationdate
id                               = request_id
author.name                      = actor @name
author.displayName               = actor? attrs.user.full_name
author.username                  = attrs.user.name
author.publicName                = drop
author.id                        = actor?? attrs.user.id
author.accountId                 = actor?? attrs.user.id
author.type                      = @authortype
author.uri                       = @uri
author.avatarUri                 = drop
author.operations                = drop
authorAccountId                  = actor??? attrs.user.id
authorKey                        = actor???? attrs.author_key
remoteAddress                    = @source
source                           = @source
system                           = attrs.service.address
method                           = attrs.interface
node                             = attrs.node
version                          = drop
type.action                      = attrs.summary
type.actionI18nKey               = action
type.category                    = attrs.category
type.categoryI18nKey             = drop
auditType.action                 = attrs.summary @summary
auditType.actionI18nKey          = action
auditType.category               = attrs.category
auditType.area                   = attrs.area
auditType.level                  = drop
auditType.categoryI18nKey        = drop
summary                          = action?
category                         = attrs.category
description                      = attrs.message
objectItem.id                    = @object
objectItem.name                  = @objectname attrs.object.name
objectItem.typeName              = @objecttype attrs.object.type
affectedObject.name              = @objectname attrs.object.name
affectedObject.objectType        = @objecttype attrs.object.type
affectedObjects.type             = key @objecttype
affectedObjects.name             = value:name @objectname
affectedObjects.id               = value:id @object
affectedObjects.uri              = value:uri
affectedObjects[user]:name       = @username attrs.affected.user.name
affectedObjects[user]:id         = @userid attrs.affected.user.id
affectedObjects[user]:uri        = @useruri
affectedObjects[group]:name      = @groupname attrs.affected.group.name
affectedObjects[group]:id        = @groupid
affectedObjects[group]:uri       = drop
associatedItems.typeName         = key
associatedItems.name             = value:name
associatedItems.id               = value:id
associatedItems[user]:name       = @username attrs.affected.user.name
associatedItems[user]:id         = @userid attrs.affected.user.id
associatedObjects.objectType     = key
associatedObjects.name           = value:name
associatedObjects[user]:name     = @username attrs.affected.user.name
changedValues[Email]             = @email attrs.changed.email
changedValues[Full name]         = @fullname attrs.changed.full_name
changedValues[Display name]      = @fullname attrs.changed.full_name
changedValues[Username]          = @login attrs.changed.user_name
changedValues.from               = value:from
changedValues.changedFrom        = value:from
changedValues.oldValue           = value:from
changedValues[Username]:from     = @oldlogin attrs.changed.old_user_name
changedValues.i18nKey            = drop
changedValues.key                = key
changedValues.to                 = value
changedValues.fieldName          = key
changedValues.changedTo          = value
changedValues.name               = key
changedValues.newValue           = value
extraAttributes.nameI18nKey      = drop
extraAttributes.name             = key
extraAttributes.value            = value
extraAttributes[Token name]      = attrs.token.name fact.label
extraAttributes[Token ID]        = attrs.token.id fact.subject:provider_id@atlassian
extraAttributes[ID]              = attrs.extra.id fact.subject:provider_id@atlassian
`,
	actions: `
*.personal.access.token.created     = credential +created type:personal_access_token own
*.personal.access.token.deleted     = credential +revoked type:personal_access_token own
*.personal.access.token.revoked     = credential +revoked type:personal_access_token own
*accesstoken*created                = credential +created type:personal_access_token own
*accesstoken*deleted                = credential +revoked type:personal_access_token own
*accesstoken*                       = credential
*access.token*                      = credential
*token*created*                     = credential +created
*token*deleted*                     = credential +revoked
*token*                             = credential
*sshkey*                            = credential
*ssh.key*                           = credential
*oauth*                             = credential
*applink*                           = credential
*password*                          = credential
*user.logged.in                     = auth success
*user.login.failed                  = auth failure error:authn
*login.failed*                      = auth failure error:authn
*login.fail*                        = auth failure error:authn
*logged.out*                        = auth success
*logged.in*                         = auth success
*login*                             = auth
*logout*                            = auth
User login*                         = auth
*authenticat*                       = auth
*audit.search                       = read
*audit.export*                      = export
*export*                            = export
*backup*                            = export
*permission*                        = admin
*Permission*                        = admin
*group*                             = admin
*Group*                             = admin
*user.*                             = admin
User *                              = admin
*role*                              = admin
*config*                            = admin
*setting*                           = admin
*plugin*                            = admin
*scheme*                            = admin
*webhook*                           = admin
*deleted                            = delete
*removed                            = delete
*created                            = write
*updated                            = write
*added                              = write
*edited                             = write
`,
	derive: func(p *auditParser) {
		row := p.row
		if s, ok := digits(p.text("second")); ok && !row.Has(tokenwatch.ColTime) {
			n, _ := digits(p.text("nano"))
			row.SetInt(tokenwatch.ColTime, normalize.UnixTime(s)+n)
		}
		action := row.Text(tokenwatch.ColAction)
		if v := p.text("source"); v != nil {
			if first, _, _ := bytes.Cut(v, []byte(",")); first != nil {
				if a, _, ok := address(bytes.TrimSpace(first)); ok {
					row.SetAddr(a)
				}
			}
		}
		name := p.text("name")
		switch {
		case name == nil:
		case bytes.HasPrefix(action, []byte("audit.logging.")), bytes.Contains(p.text("uri"), []byte("viewuser.action")), bytes.Contains(action, []byte("confluence")), string(p.text("authortype")) == "system":
			p.attr("user.full_name", name) // Confluence: the login name stands in the address of the profile
			if login := between(p.text("uri"), "username=", "&"); login != nil {
				p.attr("user.name", login)
			}
		default:
			p.attr("user.name", name)
		}
		p.affected(action)
		kind := "user"
		if t := p.text("authortype"); string(t) == "system" || string(name) == "System" {
			kind = "service"
		} else if string(name) == "Anonymous" {
			kind = "anonymous"
		}
		if row.Has(tokenwatch.ColActor) {
			p.set(tokenwatch.ColActorKind, kind)
		}
		if v := p.text("object"); v != nil {
			row.SetText(tokenwatch.ColResource, v)
		}
		p.or(tokenwatch.ColResource, p.text("objectname"))
	},
}

// affected fills whom an action about users and groups was about.
func (p *auditParser) affected(action []byte) {
	lower := bytes.ToLower(action)
	group := bytes.Contains(lower, []byte("group.membership")) || bytes.Contains(lower, []byte("to.group")) || bytes.Contains(lower, []byte("from.group")) ||
		bytes.Contains(lower, []byte("to group")) || bytes.Contains(lower, []byte("from group"))
	user := bytes.Contains(lower, []byte(".user.")) || bytes.HasPrefix(lower, []byte("user "))
	if !group && !user {
		return
	}
	single := p.text("objectname") // of the records that name one object
	name, id := p.text("username"), p.text("userid")
	if name == nil && bytes.EqualFold(p.text("objecttype"), []byte("user")) {
		name, id = single, p.text("object")
	}
	confluence := bytes.HasPrefix(action, []byte("audit.logging.")) || p.text("creationdate") != nil
	login := between(p.text("useruri"), "username=", "&")
	switch {
	case group:
		p.attr("user.target.name", name)
		p.attr("user.target.id", id)
		groupname, groupid := p.text("groupname"), p.text("groupid")
		if groupname == nil && bytes.EqualFold(p.text("objecttype"), []byte("group")) {
			groupname = single
		}
		if i := len(groupname) - 37; i > 0 && groupname[i] == ':' && isUUID(groupname[i+1:]) {
			groupname, groupid = groupname[:i], groupname[i+1:]
		}
		p.attr("user.target.group.name", groupname)
		p.attr("user.target.group.id", groupid)
	case p.text("oldlogin") != nil && confluence:
		p.attr("user.target.name", p.text("oldlogin"))
	case confluence:
		p.attr("user.target.name", login)
		p.attr("user.target.full_name", name)
		p.attr("user.target.id", id)
	default:
		p.attr("user.target.name", name)
		p.attr("user.target.id", id)
	}
	p.attr("user.changes.email", p.text("email"))
	p.attr("user.changes.full_name", p.text("fullname"))
	p.attr("user.changes.name", p.text("login"))
}
