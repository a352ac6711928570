package format

import (
	"bytes"
	"sync"

	"github.com/tokenwatch/tokenwatch"
)

// apiGatewayRules are the variables that access logs of AWS API Gateway are
// usually made of, by the names that the console proposes: REST, HTTP and
// WebSocket APIs. An API key is known by its id.
var apiGatewayRules = map[string]rule{
	"requestTime": toCol(tokenwatch.ColTime), "requestTimeEpoch": {op: toWeak, col: tokenwatch.ColTime, quiet: true}, "requestId": toCol(tokenwatch.ColRequestID), "extendedRequestId": {},
	"ip": toCol(tokenwatch.ColSrcIP), "sourceIp": toCol(tokenwatch.ColSrcIP), "httpMethod": toCol(tokenwatch.ColMethod), "path": {op: toURL}, "resourcePath": toCol(tokenwatch.ColRoute),
	"routeKey": {op: toSlot, slot: 0}, "status": toCol(tokenwatch.ColStatus), "responseLength": toCol(tokenwatch.ColBytesOut), "responseLatency": toDur(1e6), "integrationLatency": {}, "integrationStatus": {}, "protocol": {},
	"domainName": toCol(tokenwatch.ColHost), "stage": toCol(tokenwatch.ColEnv), "apiId": toCol(tokenwatch.ColService), "user": toCol(tokenwatch.ColActor), "userArn": toCol(tokenwatch.ColActor),
	"caller": {op: toWeak, col: tokenwatch.ColActor}, "principalId": {op: toWeak, col: tokenwatch.ColActor, rank: 1}, "apiKeyId": {op: toName, name: tokenwatch.NameProviderID, issuer: "aws"},
	"accessKey": {op: toName, name: tokenwatch.NameAccessKeyID, issuer: "aws"}, "userAgent": toCol(tokenwatch.ColUserAgent), "error.message": {}, "errorMessage": {}, "eventType": {}, "connectionId": toCol(tokenwatch.ColSession),
	"accountId": {}, "authorizer.principalId": {op: toWeak, col: tokenwatch.ColActor, rank: 2}, "authorizer.claims.sub": {op: toWeak, col: tokenwatch.ColActor, rank: 2},
}

var sniffAPIGateway = sniffNames("requestId", "requestTime|requestTimeEpoch", "routeKey|resourcePath|httpMethod", "status|responseLength")

// apiGateway reads objects of API Gateway. An HTTP API says the route with the
// method before it: GET /pets/{petId}.
type apiGateway struct{ *jsonParser }

func newAPIGateway(c Config) (Parser, error) {
	p := &jsonParser{kind: "apigateway", walker: newWalker(apiGatewayTable())}
	p.mapping, p.enclosed = c.Mapping, c.enclosed
	return apiGateway{p}, nil
}

var apiGatewayTable = sync.OnceValue(func() map[string]rule { return objectRules(apiGatewayRules) })

// Parse fills row from an object.
func (p apiGateway) Parse(record []byte, row *tokenwatch.Row) error {
	if err := p.jsonParser.Parse(record, row); err != nil {
		return err
	}
	key := p.slots[0]
	if method, route, ok := bytes.Cut(key, []byte(" ")); ok && isMethod(method) {
		setOnce(row, tokenwatch.ColMethod, method)
		setOnce(row, tokenwatch.ColRoute, route)
	} else if len(key) > 0 {
		setOnce(row, tokenwatch.ColAction, key) // $connect, $default, a route of a WebSocket API
	}
	return nil
}
