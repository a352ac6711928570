package sql

// Statement is what a text asks for.
type Statement struct {
	Explain bool // show the plan
	Analyze bool // and run it
	Query   *Select
}

// Select is one SELECT.
type Select struct {
	With     []CTE
	Distinct bool
	Items    []Item
	From     *From // nil: one row without columns
	Where    Expr
	GroupBy  []Expr
	Having   Expr
	OrderBy  []Order
	Limit    *int64
	Offset   int64
	At       int
}

// CTE is one named query of WITH.
type CTE struct {
	Name  string
	Query *Select
}

// Item is one thing selected.
type Item struct {
	Expr Expr // a *Star for *
	As   string
	Text string // as written, the name of what has no other
}

// From is a table, or a query in brackets, and what is joined to it.
type From struct {
	Table string
	Query *Select
	As    string
	At    int
	Joins []Join
}

// Join is one table joined to those before it.
type Join struct {
	Left bool // LEFT JOIN: rows without a match stay
	From From
	On   Expr
}

// Order is one key of ORDER BY.
type Order struct {
	Expr       Expr
	Descending bool
	NullsFirst *bool // as written; nil: nulls are greatest
}

// Expr is a node of an expression. At is its place in the text, in bytes from 0.
type Expr interface{ Place() int }

// At is where in the text a node begins.
type At int

// Place returns it.
func (a At) Place() int { return int(a) }

// The nodes of expressions.
type (
	// Null is NULL.
	Null struct{ At }
	// Bool is TRUE or FALSE.
	Bool struct {
		At
		Value bool
	}
	// Int is a whole number.
	Int struct {
		At
		Value int64
	}
	// Float is a number with a point or an exponent.
	Float struct {
		At
		Value float64
	}
	// Text is a string.
	Text struct {
		At
		Value string
	}
	// Time is TIMESTAMP '…' in nanoseconds since 1970, UTC.
	Time struct {
		At
		Nanos int64
	}
	// Interval is INTERVAL '…'; months are apart, for they have no fixed length.
	Interval struct {
		At
		Nanos  int64
		Months int64
	}
	// Name is a column, of a table if Table is given.
	Name struct {
		At
		Table, Column string
	}
	// Star is *, of a table if Table is given.
	Star struct {
		At
		Table string
	}
	// Unary is NOT or -.
	Unary struct {
		At
		Op string
		X  Expr
	}
	// Binary is an operator between two operands: OR AND = <> < <= > >= + - * / //
	// % || ~ ~* !~ !~* << <<= >> >>=.
	Binary struct {
		At
		Op   string
		L, R Expr
	}
	// Is is IS [NOT] NULL, TRUE or FALSE.
	Is struct {
		At
		X    Expr
		What string // NULL, TRUE, FALSE
		Not  bool
	}
	// Like is [NOT] LIKE or ILIKE.
	Like struct {
		At
		X, Pattern Expr
		Not, Fold  bool
		Escape     rune // 0: none
	}
	// Between is [NOT] BETWEEN.
	Between struct {
		At
		X, Low, High Expr
		Not          bool
	}
	// In is [NOT] IN, of a list or of a query.
	In struct {
		At
		X     Expr
		List  []Expr
		Query *Select
		Not   bool
	}
	// Exists is EXISTS (query).
	Exists struct {
		At
		Query *Select
	}
	// Sub is a query that gives one value.
	Sub struct {
		At
		Query *Select
	}
	// Case is CASE; Of is nil in the form without an operand.
	Case struct {
		At
		Of    Expr
		Whens []When
		Else  Expr
	}
	// Cast is CAST(x AS type) or x::type.
	Cast struct {
		At
		X    Expr
		Type string
	}
	// Index is x['key'].
	Index struct {
		At
		X   Expr
		Key string
	}
	// Call is a function or aggregate.
	Call struct {
		At
		Name     string // lower case
		Args     []Expr
		Star     bool // count(*)
		Distinct bool
		Filter   Expr
	}
)

// When is one branch of CASE.
type When struct{ If, Then Expr }
