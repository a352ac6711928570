// Package proto holds the one description of the API from which gRPC, REST and
// the OpenAPI document are made; what is generated stands beside it. In come
// the .proto files, out go package tokenwatchv1 and [OpenAPI].
//
// To change the API, edit the protos and run go generate: it needs nothing but
// the tools pinned in tools/go.mod.
package proto

import _ "embed"

//go:generate sh generate.sh

// OpenAPI is the description of the REST paths that come from the protos, as an
// OpenAPI 2 document in JSON.
//
//go:embed tokenwatch/v1/tokenwatch.swagger.json
var OpenAPI []byte
