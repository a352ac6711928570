package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// s3Table is the server access log of S3. The action is the operation
// (REST.GET.OBJECT), the actor the requester: an ARN or a canonical id.
var s3Table = spacedTable{
	shapes: []string{"bucket_owner bucket time remote_ip requester request_id operation key request status error_code bytes_sent object_size total_time " +
		"turn_around_time referrer user_agent version_id host_id signature_version cipher_suite authentication_type host_header tls_version access_point_arn acl_required"},
	rules: map[string]rule{
		"time": toCol(tokenwatch.ColTime), "remote_ip": toCol(tokenwatch.ColSrcIP), "requester": toCol(tokenwatch.ColActor), "request_id": toCol(tokenwatch.ColRequestID),
		"operation": toCol(tokenwatch.ColAction), "request": {op: toRequest}, "status": toCol(tokenwatch.ColStatus), "error_code": toCol(tokenwatch.ColError),
		"bytes_sent": toCol(tokenwatch.ColBytesOut), "total_time": toDur(1e6), "referrer": {op: toReferer}, "user_agent": toCol(tokenwatch.ColUserAgent),
		"key": {op: toNothing}, "host_header": toCol(tokenwatch.ColHost),
	},
	choose: func(fields [][]byte) int {
		if len(fields) < 18 || len(fields[2]) < 20 {
			return -1
		}
		return 0
	},
	finish: func(p *spaced) error {
		row := p.row
		row.SetString(tokenwatch.ColService, "s3")
		if bucket := p.field("bucket"); bucket != nil {
			key := p.field("key")
			row.SetText(tokenwatch.ColResource, row.Build(func(b []byte) []byte {
				b = append(append(b, "arn:aws:s3:::"...), bucket...)
				if key != nil {
					b = append(append(b, '/'), key...)
				}
				return b
			}))
		}
		return nil
	},
}

// sniffS3Access looks for the operation behind the bracketed time.
func sniffS3Access(record []byte) int {
	head := record[:min(len(record), 700)]
	i := bytes.Index(head, []byte(" ["))
	if i < 65 || len(head) < i+80 || bytes.IndexByte(head, ' ') != 64 || !isHex(head[:64]) {
		return 0 // the owner has 64 digits
	}
	for _, op := range []string{" REST.", " SOAP.", " WEBSITE.", " BATCH.", " S3."} {
		if bytes.Contains(head[i:], []byte(op)) {
			return 97
		}
	}
	return 0
}
