package sigma

import "github.com/tokenwatch/tokenwatch"

// logs is what is known of the logs a rule may be about: which formats they are
// read as, and what their fields are called here.
type logs struct {
	source  Logsource // "" in a part: any
	formats []string
	fields  fieldMap
}

// sourceOf finds the logs that a rule is about: the first line of logSources that
// fits all the rule says.
func sourceOf(l Logsource) (formats []string, fields fieldMap, ok bool) {
	for _, s := range logSources {
		if fits(s.source.Product, l.Product) && fits(s.source.Service, l.Service) && fits(s.source.Category, l.Category) {
			return s.formats, s.fields, true
		}
	}
	return nil, nil, false
}

func fits(ours, theirs string) bool { return ours == theirs || ours == "*" }

// webFormats are the formats of access logs.
var webFormats = []string{"combined", "nginx", "apache", "iis", "haproxy", "traefik", "caddy", "envoy", "kong", "tomcat", "elb", "alb", "cloudfront", "s3access", "apigateway", "json", "clf", "error"}

// cloudTrailFields are CloudTrail's own names.
var cloudTrailFields = fieldMap{
	"eventname":                {col(tokenwatch.ColAction).with(afterColon)},
	"eventsource":              {col(tokenwatch.ColService).with(func(s string) string { return s + ".amazonaws.com" })},
	"awsregion":                {col(tokenwatch.ColRegion)},
	"sourceipaddress":          {col(tokenwatch.ColSrcIP), attr("sourceIPAddress")},
	"useragent":                {col(tokenwatch.ColUserAgent)},
	"errorcode":                {col(tokenwatch.ColError)},
	"errormessage":             {attr("errorMessage"), attr("error_message")},
	"useridentity.type":        {col(tokenwatch.ColActorKind).with(identityType), attr("userIdentity.type")},
	"useridentity.arn":         {col(tokenwatch.ColActor)},
	"useridentity.username":    {attr("user_name"), attr("userIdentity.userName")},
	"useridentity.principalid": {attr("principal_id"), attr("userIdentity.principalId")},
	"useridentity.accountid":   {col(tokenwatch.ColIssuer)},
	"requestid":                {attr("aws_request_id")},
	"eventid":                  {col(tokenwatch.ColRequestID)},
	"readonly":                 {attr("read_only")},
	"eventtime":                {col(tokenwatch.ColTime)},
}

// identityType is what CloudTrail calls our kinds of actors.
func identityType(kind string) string {
	if name, ok := map[string]string{
		"user": "IAMUser", "role_session": "AssumedRole", "root": "Root", "federated": "FederatedUser",
		"service": "AWSService", "account": "AWSAccount", "identity_center": "IdentityCenterUser",
	}[kind]; ok {
		return name
	}
	return kind
}

// logSources lists the logs that are read, the more exact first.
var logSources = []logs{
	{Logsource{"", "aws", "cloudtrail"}, []string{"cloudtrail"}, cloudTrailFields},
	{Logsource{"webserver", "*", "*"}, webFormats, httpFields},
	{Logsource{"proxy", "*", "*"}, append([]string{"squid", "zscaler"}, webFormats...), httpFields},
}
