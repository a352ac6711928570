package sigma

import (
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// logs is what is known of the logs a rule may be about: which formats they are
// read as, and what their fields are called here.
type logs struct {
	source  Logsource // "*" in a part: any
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
	return nil, fieldMap{}, false
}

func fits(ours, theirs string) bool { return ours == theirs || ours == "*" }

// logSources lists the logs that are read, the more exact first. A rule that names
// only a category of HTTP logs is about all of them.
var logSources = []logs{
	{Logsource{"*", "aws", "cloudtrail"}, []string{"cloudtrail"}, cloudTrailFields},
	{Logsource{"*", "azure", "*"}, []string{"azure"}, azureFields},
	{Logsource{"*", "m365", "*"}, []string{"microsoft365", "azure"}, m365Fields},
	{Logsource{"*", "gcp", "gcp.audit"}, []string{"gcp_audit"}, gcpFields},
	{Logsource{"*", "gcp", "google_workspace.admin"}, []string{"google_workspace", "gcp_audit"}, workspaceFields},
	{Logsource{"*", "gcp", "google_workspace.login"}, []string{"google_workspace", "gcp_audit"}, workspaceFields},
	{Logsource{"*", "google_workspace", "*"}, []string{"google_workspace"}, workspaceFields},
	{Logsource{"*", "okta", "*"}, []string{"okta"}, oktaFields},
	{Logsource{"*", "github", "*"}, []string{"github"}, githubFields},
	{Logsource{"*", "bitbucket", "*"}, []string{"atlassian"}, atlassianFields},
	{Logsource{"*", "kubernetes", "*"}, []string{"kubernetes"}, kubernetesFields},
	{Logsource{"*", "hashicorp_vault", "*"}, []string{"vault"}, vaultFields},
	{Logsource{"webserver", "*", "*"}, nil, httpFields},
	{Logsource{"proxy", "*", "*"}, nil, httpFields},
}

// cloudTrailFields are CloudTrail's own names.
var cloudTrailFields = fieldMap{named: map[string]field{
	"eventname":                {col(tokenwatch.ColAction).with(afterColon)},
	"eventsource":              {col(tokenwatch.ColService).with(func(s string) string { return s + ".amazonaws.com" })},
	"awsregion":                {col(tokenwatch.ColRegion)},
	"sourceipaddress":          {col(tokenwatch.ColSrcIP), attr("sourceIPAddress")},
	"src_ip":                   {col(tokenwatch.ColSrcIP)},
	"useragent":                {col(tokenwatch.ColUserAgent)},
	"errorcode":                {col(tokenwatch.ColError)},
	"errormessage":             {attr("errorMessage"), attr("error_message")},
	"useridentity.type":        {col(tokenwatch.ColActorKind).with(identityType), attr("userIdentity.type")},
	"useridentity.arn":         {col(tokenwatch.ColActor)},
	"useridentity.username":    {attr("user_name"), attr("userIdentity.userName")},
	"useridentity.principalid": {attr("principal_id"), attr("userIdentity.principalId")},
	"useridentity.accountid":   {col(tokenwatch.ColIssuer)},
	"useridentity.invokedby":   {attr("invoked_by"), attr("userIdentity.invokedBy")},
	"requestid":                {attr("aws_request_id")},
	"eventid":                  {col(tokenwatch.ColRequestID)},
	"readonly":                 {attr("read_only")},
	"eventtime":                {col(tokenwatch.ColTime)},
}}

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

// azureFields are those of Azure's activity, audit and sign-in logs.
var azureFields = fieldMap{under: []string{"properties."}, named: map[string]field{
	"operationname":          {col(tokenwatch.ColAction), attr("properties.operationName")},
	"operationnamevalue":     {col(tokenwatch.ColAction)},
	"activitydisplayname":    {col(tokenwatch.ColAction), attr("properties.activityDisplayName")},
	"activitytype":           {col(tokenwatch.ColAction), attr("properties.activityDisplayName")},
	"properties.message":     {col(tokenwatch.ColAction), attr("properties.message"), attr("properties.activityDisplayName")},
	"resourceid":             {col(tokenwatch.ColResource)},
	"categoryvalue":          {attr("category")},
	"calleripaddress":        {col(tokenwatch.ColSrcIP)},
	"ipaddress":              {col(tokenwatch.ColSrcIP)},
	"useragent":              {col(tokenwatch.ColUserAgent)},
	"resulttype":             {attr("result_type"), col(tokenwatch.ColError)},
	"resultdescription":      {attr("error.message")},
	"result":                 {col(tokenwatch.ColOutcome)},
	"properties.result":      {col(tokenwatch.ColOutcome)},
	"status":                 {col(tokenwatch.ColOutcome)},
	"targetusername":         {col(tokenwatch.ColActor)},
	"location":               {col(tokenwatch.ColRegion), attr("location"), attr("properties.location.countryOrRegion")},
	"riskeventtype":          {attr("riskEventType"), attr("properties.riskEventType"), col(tokenwatch.ColAction)},
	"initiatied.by":          {col(tokenwatch.ColActor), attr("initiatedBy.app.displayName"), attr("properties.initiatedBy.app.displayName")},
	"properties.initiatedby": {col(tokenwatch.ColActor)},
	"resourceprovidervalue":  {attr("resourceProvider"), attr("resourceProviderName"), col(tokenwatch.ColService)},
}}

// m365Fields are those of Microsoft 365's unified audit log.
var m365Fields = fieldMap{named: map[string]field{
	"operation":     {col(tokenwatch.ColAction)},
	"eventname":     {col(tokenwatch.ColAction), attr("Name"), attr("AlertType")},
	"eventsource":   {col(tokenwatch.ColService)},
	"workload":      {col(tokenwatch.ColService), attr("event.provider")},
	"status":        {col(tokenwatch.ColOutcome)},
	"resultstatus":  {attr("result_status"), col(tokenwatch.ColOutcome)},
	"applicationid": {attr("app_id")},
	"requesttype":   {attr("request_type")},
	"objectid":      {col(tokenwatch.ColResource)},
	"clientip":      {col(tokenwatch.ColSrcIP)},
	"userid":        {col(tokenwatch.ColActor)},
}}

// gcpFields are those of Google Cloud's audit logs.
var gcpFields = fieldMap{under: []string{"protopayload."}, named: map[string]field{
	"gcp.audit.method_name":                          {col(tokenwatch.ColAction)},
	"data.protopayload.methodname":                   {col(tokenwatch.ColAction)},
	"protopayload.methodname":                        {col(tokenwatch.ColAction)},
	"data.protopayload.servicename":                  {col(tokenwatch.ColService)},
	"protopayload.servicename":                       {col(tokenwatch.ColService)},
	"data.protopayload.authorizationinfo.permission": {col(tokenwatch.ColScope), attr("protoPayload.authorizationInfo.permission")},
	"data.protopayload.authorizationinfo.granted":    {attr("protoPayload.authorizationInfo.granted"), col(tokenwatch.ColOutcome).with(granted)},
}}

// granted is what an outcome says of a permission.
func granted(outcome string) string {
	if outcome == "denied" {
		return "false"
	}
	return "true"
}

// workspaceFields are those of Google Workspace's activity reports.
var workspaceFields = fieldMap{under: []string{"parameters.", "events.parameters."}, named: map[string]field{
	"eventname":                             {col(tokenwatch.ColAction)},
	"eventservice":                          {col(tokenwatch.ColService).with(func(s string) string { return s + ".googleapis.com" }), col(tokenwatch.ColService)},
	"protopayload.servicename":              {col(tokenwatch.ColService).with(func(s string) string { return strings.TrimSuffix(s, ".googleapis.com") + ".googleapis.com" })},
	"protopayload.metadata.event.eventname": {col(tokenwatch.ColAction), attr("protoPayload.metadata.event.eventName")},
	"setting_name":                          {attr("setting"), attr("parameters.SETTING_NAME"), attr("events.parameters.SETTING_NAME")},
}}

// oktaFields are those of Okta's System Log.
var oktaFields = fieldMap{named: map[string]field{
	"eventtype":                         {col(tokenwatch.ColAction)},
	"displaymessage":                    {attr("message")},
	"actor.alternateid":                 {col(tokenwatch.ColActor), attr("user.email")},
	"actor.displayname":                 {attr("user.full_name")},
	"outcome.result":                    {col(tokenwatch.ColOutcome)},
	"outcome.reason":                    {attr("event.reason")},
	"client.ipaddress":                  {col(tokenwatch.ColSrcIP)},
	"debugcontext.debugdata.requesturi": {col(tokenwatch.ColPath)},
	"client.useragent.rawuseragent":     {col(tokenwatch.ColUserAgent)},
	"target.displayname":                {attr("target.displayName"), attr("user.target.full_name"), col(tokenwatch.ColResource)},
	"securitycontext.isproxy":           {attr("securityContext.isProxy"), attr("is_proxy")},
}}

// githubFields are those of GitHub's audit log.
var githubFields = fieldMap{named: map[string]field{
	"action":     {col(tokenwatch.ColAction)},
	"actor":      {col(tokenwatch.ColActor)},
	"actor_ip":   {col(tokenwatch.ColSrcIP)},
	"user_agent": {col(tokenwatch.ColUserAgent)},
	"org":        {attr("organization.name")},
	"repo":       {col(tokenwatch.ColResource)},
}}

// atlassianFields are those of the audit logs of Bitbucket, Jira and Confluence.
var atlassianFields = fieldMap{named: map[string]field{
	"audittype.action":   {attr("summary"), col(tokenwatch.ColAction)},
	"audittype.category": {attr("category")},
	"author.name":        {col(tokenwatch.ColActor)},
}}

// kubernetesFields are those of the API server's audit events; our action is the
// verb and the resource, with the subresource behind a slash.
var kubernetesFields = fieldMap{under: []string{"requestobject.", "requestobject.spec."}, named: map[string]field{
	"verb":                  {col(tokenwatch.ColAction).with(func(s string) string { verb, _, _ := strings.Cut(s, " "); return verb })},
	"objectref.resource":    {col(tokenwatch.ColAction).with(kubernetesResource)},
	"objectref.subresource": {col(tokenwatch.ColAction).with(kubernetesSub)},
	"objectref.namespace":   {attr("namespace")},
	"objectref.apigroup":    {attr("api_group")},
	"apigroup":              {attr("api_group")},
	"responsestatus.code":   {col(tokenwatch.ColStatus)},
	"user.username":         {col(tokenwatch.ColActor)},
	"sourceips":             {col(tokenwatch.ColSrcIP)},
	"useragent":             {col(tokenwatch.ColUserAgent)},
	"hostpath":              {attr("requestObject.spec.volumes.hostPath.path"), attr("hostPath")},
	"capabilities":          {attr("requestObject.spec.containers.securityContext.capabilities.add"), attr("capabilities")},
}}

func kubernetesResource(action string) string {
	_, object, _ := strings.Cut(action, " ")
	resource, _, _ := strings.Cut(object, "/")
	return resource
}

func kubernetesSub(action string) string {
	_, object, _ := strings.Cut(action, " ")
	_, sub, _ := strings.Cut(object, "/")
	return sub
}

// vaultFields are those of Vault's audit log; our action is the operation and the
// path.
var vaultFields = fieldMap{named: map[string]field{
	"request.operation": {col(tokenwatch.ColAction).with(func(s string) string { verb, _, _ := strings.Cut(s, " "); return verb })},
	"request.path":      {col(tokenwatch.ColResource)},
	"auth.policies":     {attr("policies")},
	"auth.display_name": {col(tokenwatch.ColActor)},
}}
