// Package query answers SELECT statements over what a store holds: the tables
// events, tokens, findings and history.
//
// In come the text of a statement and the tenant who asks; out go chunks of
// columns to an [Output], and [Statistics]. A statement is parsed (query/sql),
// bound to columns and types, planned and run: segments are pruned by time, by
// token and by what their heads tell; each of the others is filtered and
// aggregated in parts on all cores, by loops over slices of 8192 rows; the parts
// are merged once. Columns are decoded when they are needed, and what sorting
// with a limit throws away is never decoded whole.
//
// It promises that
//
//   - the answer is the same whatever the number of cores, as far as SQL says
//     what it is;
//   - events flagged duplicate are left out unless the statement names the
//     column duplicate;
//   - time, memory, rows read, rows and bytes answered have limits, and passing
//     one is a [LimitError] that says which;
//   - it changes nothing, reads only what is the tenant's, keeps no results, and
//     no error repeats what the statement says;
//   - answers are exact but for the functions whose name begins with approx_.
package query
