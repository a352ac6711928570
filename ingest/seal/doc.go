// Package seal is the only way from a Row into a Batch. In comes a parsed
// [tokenwatch.Row], which may hold raw credentials anywhere; out goes the same
// row in a [tokenwatch.Builder], where every credential has become a keyed
// fingerprint.
//
// # What is masked, and in what order
//
//  1. Carriers: what the parser declared as a credential becomes a fingerprint,
//     the token of the row.
//  2. Occurrences: any run of twelve bytes or more that another field shares
//     with a credential of the record is masked there, whole or in part, whatever
//     its letter case, as it stands or below percent, backslash, HTML, base64
//     or hex encoding. A credential of 8 to 11 bytes is masked as a substring; one of
//     4 to 7 bytes where no letter or digit adjoins it; a shorter one where it is
//     a whole value. This is searched only in records with a credential.
//  3. Known formats (tables formats and hooks) and values named as secrets (table
//     secretNames; named.go says where a name and its value may stand), in every column, below the same encodings; they become the
//     fingerprint of what was found, and join with it.
//  4. Runs that look like secrets (rules in random.go) in the columns of free
//     text, in paths and in attrs become digests "dg_…": equal strings have equal
//     digests. Columns of declared vocabulary and ids, UUIDs, ARNs, e-mail
//     addresses, provider resource ids and attrs named as ids or hashes are exempt.
//
// Steps 1 to 3 are promises for credentials of four bytes and more; ingest's
// TestCanary holds them against credentials of fourteen forms, words among them,
// in more than four hundred places that declare one: headers, fields, jars, URLs
// and forms inside other text, connection strings, XML, options of commands.
// A place that is none of these tells nothing, and step 4 is a heuristic. Of
// random secrets without a form of their own this package's TestRecall finds
// masked there, in percent, in
//
//	                           path    query     attr    agent
//	letters and digits, 20+    99.8     99.8     99.8     99.8
//	lower case and digits      99.5     99.5     99.5     99.5
//	base64url                  98.7     98.7     98.7     98.7
//	base64                     92.1     96.6     94.5     94.5
//	hex, 32+                  100.0    100.0    100.0    100.0
//	punctuation among it       69.1     74.7      0.5      0.5
//	sixteen characters          0.0      0.0      0.0      0.0
//	four words                  0.0      0.0      0.0      0.0
//
// and TestFalseMasks of real lines in which no credential is known: of 60,000
// lines of a shop's access log 0.3 % have a mask, mostly click ids in referers; of
// lines of two web scanners 1 %; of 1,910 CloudTrail records 4 %, mostly encoded
// authorization messages.
//
// # What it costs
//
// Most texts hold nothing, and one pass over them (survey.go) says so. What comes
// again and again is remembered as clean. Runs that could be base64 or hex are
// decoded only where their bytes, heard in passing, could say something
// (listen.go) or share a part with a credential (mayShare). No short cut changes
// what is stored: TestShortCuts and FuzzShortCuts compare with the long way.
//
// # What becomes of odd bytes
//
// Stored text is valid UTF-8 without control characters: what is not UTF-8
// becomes U+FFFD; C0 and C1 controls, DEL, line and paragraph separators and
// marks that change the direction of text are kept as the six characters \uXXXX.
// A backslash that was there before stays as it is.
package seal
