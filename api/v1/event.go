package v1

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/filter"
)

// Event is a row of a batch, as filters see it.
type Event struct {
	Batch *tokenwatch.Batch
	Row   int
}

// EventFields are what filters of events may name: the columns of the schema, but
// for attrs.
var EventFields = func() filter.Fields[Event] {
	fields := filter.Fields[Event]{}
	for i, col := range tokenwatch.Schema {
		c := tokenwatch.Col(i)
		switch c.Kind() {
		case tokenwatch.KindText, tokenwatch.KindString:
			fields[col.Name] = filter.Text(func(e *Event) string { return e.Batch.Text(c, e.Row) })
		case tokenwatch.KindInt:
			fields[col.Name] = filter.Number(func(e *Event) float64 {
				if !e.Batch.Has(c, e.Row) {
					return math.NaN()
				}
				return float64(e.Batch.Int(c, e.Row))
			})
		case tokenwatch.KindTime:
			fields[col.Name] = filter.Time(func(e *Event) time.Time {
				if !e.Batch.Has(c, e.Row) {
					return time.Time{}
				}
				return time.Unix(0, e.Batch.Int(c, e.Row)).UTC()
			})
		case tokenwatch.KindAddr:
			fields[col.Name] = filter.Address(func(e *Event) string { return named(e.Batch, c, e.Row) })
		case tokenwatch.KindBool:
			fields[col.Name] = filter.Bool(func(e *Event) bool { return e.Batch.Bool(c, e.Row) })
		}
	}
	fields["token"] = filter.Names(func(e *Event) []string { return []string{e.Batch.Text(tokenwatch.ColToken, e.Row)} })
	return fields
}()

// searchedEvents are the texts of an event that a word by itself is looked for in.
func searchedEvents(e *Event) []string {
	texts := []string{named(e.Batch, tokenwatch.ColSrcIP, e.Row)}
	for _, c := range []tokenwatch.Col{
		tokenwatch.ColToken, tokenwatch.ColActor, tokenwatch.ColAction, tokenwatch.ColPath, tokenwatch.ColResource, tokenwatch.ColUserAgent, tokenwatch.ColRequestID,
	} {
		texts = append(texts, e.Batch.Text(c, e.Row))
	}
	return texts
}

// EventFilter reads a filter over events. name turns what stands for a token into
// its ids; nil leaves it.
func EventFilter(text string, name func(string) []string) (filter.Filter[Event], error) {
	f, err := filter.Parse(text, filter.Config[Event]{Fields: EventFields, Search: searchedEvents, Name: name})
	return f, badFilter(err)
}

// eventStruct is a row with the columns that have a value.
func eventStruct(b *tokenwatch.Batch, i int) *structpb.Struct {
	out := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for n, col := range tokenwatch.Schema {
		c := tokenwatch.Col(n)
		if c.Kind() == tokenwatch.KindMap {
			attrs := &structpb.Struct{Fields: map[string]*structpb.Value{}}
			b.EachAttr(i, func(key, value string) {
				if _, ok := attrs.Fields[text(key)]; !ok { // the first, as in queries
					attrs.Fields[text(key)] = structpb.NewStringValue(text(value))
				}
			})
			if len(attrs.Fields) > 0 {
				out.Fields[col.Name] = structpb.NewStructValue(attrs)
			}
			continue
		}
		if !b.Has(c, i) {
			continue
		}
		switch c.Kind() {
		case tokenwatch.KindTime:
			out.Fields[col.Name] = structpb.NewStringValue(time.Unix(0, b.Int(c, i)).UTC().Format(time.RFC3339Nano))
		case tokenwatch.KindInt:
			out.Fields[col.Name] = structpb.NewNumberValue(float64(b.Int(c, i)))
		case tokenwatch.KindAddr:
			out.Fields[col.Name] = structpb.NewStringValue(named(b, c, i))
		case tokenwatch.KindBool:
			if b.Bool(c, i) {
				out.Fields[col.Name] = structpb.NewBoolValue(true)
			}
		default:
			out.Fields[col.Name] = structpb.NewStringValue(text(b.Text(c, i)))
		}
	}
	return out
}
