// Package demo holds the recorded attack that ships with tokenwatch; README.md
// says where it comes from and LICENSE under which terms.
package demo

import _ "embed"

// Name is the file of the trail: CloudTrail events, one a line, gzip.
const Name = "aws-stratus-timeline.jsonl.gz"

// Trail is its content.
//
//go:embed aws-stratus-timeline.jsonl.gz
var Trail []byte
