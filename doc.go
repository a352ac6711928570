// Package tokenwatch holds the words that everyone in tokenwatch shares, and
// imports nothing of ours.
//
// tokenwatch watches API tokens through the logs that exist already. A log
// record takes this way, and no other:
//
//		bytes → Row → Batch → Entry → Signal → Finding
//
//	  - A [Row] is one record being parsed. It may hold a raw credential, as a
//	    [Secret], and lives until the next record.
//	  - A [Batch] is many sealed rows as columns, in Arrow's memory layout. It has
//	    no column that could hold a credential, and never changes.
//	  - An [Entry] is what the log keeps: a batch with the requests it came from,
//	    or a control record. Its [Offset] is its place in the log.
//	  - A [Signal] is one detector's number for one entity and window, with reasons.
//	  - A [Finding] is the judgement an analyst reads, with its evidence.
//
// Rows are about entities ([EntityKind]): the token used, the actor behind it
// and the source address. A token is known by a [TokenID], a keyed fingerprint
// of its secret or a digest of another name of it, never by the secret.
//
// [Schema] is the event schema: one table from which the Arrow schema, the
// documentation and all look-ups by name derive.
package tokenwatch
