// Package history keeps facts so that changing them later is noticed: which
// segments were stored, what was found, who did what.
//
// In go leaves ([Leaf], canonical CBOR of at most 64 KiB); out come the bytes
// and the tree hashes to store beside what the leaves are about ([Log]), signed
// heads of the tree ([Signer], C2SP tlog-checkpoint), a directory for auditors
// ([Export], C2SP tlog-tiles) and a verdict on such a directory ([Verify]). The
// tree is that of RFC 6962 with SHA-256; nothing of its shape is our own.
//
// The package stores nothing itself but the signer's state: the caller puts
// what [Log.Stage] returns in the same atomic, synced write as the thing the
// leaves describe, and only then calls [Log.Commit].
//
// Invariants, relied on in several places:
//
//	I1  Leaf n says that it is leaf n.
//	I2  A leaf points to the one before it of the same tenant and kind (prev).
//	I3  A tick restates, for its tenant, the newest leaf of each kind and how
//	    many there are.
//	I4  Within one clock epoch, time does not go back, and ticks about all
//	    tenants come at least once a minute. Every start of the program and
//	    every step of the clock begins a new epoch.
//	I5  Segment and control leaves carry the offsets of the log without gaps,
//	    from 1 on, except where a loss report or a restore says otherwise.
//	I6  A finding's revisions are numbered from 1 without gaps, except after a
//	    restore.
//	I7  A checkpoint is signed only after the leaves it adds were read back and
//	    hashed anew, and only if it continues the one signed before it.
//
// What it does not show: events never sent to us, the truth of what a source
// wrote, changes after the newest checkpoint that somebody else holds, and
// anything at all if the one who holds the signing key also holds every
// checkpoint.
//
// Room is left for: witness cosignatures (a checkpoint is a signed note and may
// carry more signatures; ours are looked up by name and key and the others are
// passed over); a proof with each answer (the chains of I2 and the ticks of I3
// make an answer about a tenant and kind complete, tlog.ProveRecord proves each
// leaf); pruning of old leaves (tiles and entry bundles are separate files, and
// hash tiles outlive bundles); commitments to single events (numbers are
// reserved in [Segment]).
package history
