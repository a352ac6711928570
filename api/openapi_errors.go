package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/tokenwatch/tokenwatch/api/v1"
)

// describeErrors says of every operation with which errors it can end, in place
// of the "default" of the generator: the statuses, and of each the reason codes.
func describeErrors(paths map[string]any) {
	reasons := v1.ReasonsByStatus()
	for path, item := range paths {
		methods, _ := item.(map[string]any)
		for method, op := range methods {
			operation, _ := op.(map[string]any)
			responses, _ := operation["responses"].(map[string]any)
			if responses == nil {
				continue
			}
			delete(responses, "default")
			for _, code := range errorsOf(path, method, operation) {
				if strings.HasPrefix(path, "/api/v1/") && code != http.StatusUnauthorized && code != http.StatusForbidden {
					responses[strconv.Itoa(code)] = map[string]any{"description": "As Prometheus has it: status is error, errorType its kind, error the reason."}
					continue
				}
				responses[strconv.Itoa(code)] = map[string]any{
					"description": "Reasons: " + strings.Join(reasons[code], ", ") + ".",
					"schema":      map[string]any{"$ref": "#/definitions/rpcStatus"},
				}
			}
		}
	}
}

// errorsOf are the statuses of errors that an operation may have.
func errorsOf(path, method string, operation map[string]any) []int {
	codes := []int{
		http.StatusBadRequest, http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}
	if _, public := operation["security"]; !public {
		codes = append(codes, http.StatusUnauthorized, http.StatusForbidden)
	}
	if strings.Contains(path, "{") || path == "/v1/tokens:link" { // its body names objects
		codes = append(codes, http.StatusNotFound)
	}
	if method != "get" {
		codes = append(codes, http.StatusRequestEntityTooLarge)
	}
	if path == "/v1/ingest" {
		codes = append(codes, http.StatusConflict, http.StatusUnsupportedMediaType)
	}
	if path == "/v1/query" {
		codes = append(codes, http.StatusNotImplemented, http.StatusNotAcceptable, http.StatusUnsupportedMediaType)
	}
	if strings.HasPrefix(path, "/api/v1/") { // those of Prometheus
		codes = append(codes, http.StatusUnprocessableEntity)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}
