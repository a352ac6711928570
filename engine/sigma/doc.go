// Package sigma runs Sigma rules on sealed events.
//
// In come the documents of rules, correlations and filters (SigmaHQ specification
// 2.1) and, batch by batch, events; out go the rows that rules match, and the
// groups of them that correlations do. A rule is compiled once: of a batch's
// columns each distinct value is looked at once, whatever the number of rows, and
// a rule is looked at only where its log source occurs.
//
// What a document asks for that is not supported is a [Problem] with its place in
// the document; it never stops the others, and no part of a rule is left out
// silently: a rule that cannot be compiled whole does not run.
//
// Values are those of the sealed event: a credential is its fingerprint, so that a
// rule cannot be written against one.
package sigma
