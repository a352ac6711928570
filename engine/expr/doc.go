// Package expr evaluates typed expressions over columns.
//
// In come a [Frame], which shows the columns of some rows without copying them,
// and an [Expr], built and checked by the constructors; out go a vector of
// values ([Frame.Eval]) or the rows for which a predicate is true
// ([Frame.Filter]). SQL, list filters, rules and policies compile to it.
//
// It promises the null semantics of SQL: an operator of an unknown value is
// unknown, AND, OR and NOT follow Kleene's tables, and a filter keeps what is
// true, neither false nor unknown. Kernels are loops over slices, one per type;
// what depends on one dictionary-encoded column alone is evaluated once per
// value of the dictionary, not once per row. Equal frames give equal results.
package expr
