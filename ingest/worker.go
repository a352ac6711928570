package ingest

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/enrich"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
)

// worker turns records of one tenant in one format into sealed rows. It is used
// by one goroutine at a time, and reused.
type worker struct {
	key    workerKey
	format format.Format // zero but for Frame: none was found
	config format.Config
	parser format.Parser // nil: no format was found
	normal *normalize.Normalizer
	tables *enrich.Live
	sealer *seal.Sealer
	row    tokenwatch.Row
	name   *tokenwatch.Word // of the format
	framer frame.Framer
	framed frame.Kind // of framer

	source  *tokenwatch.Word
	builder tokenwatch.Builder
	rejects []tokenwatch.Reject
	records int
	auto    bool          // records of other formats are read too
	mixed   *format.Mixed // for those; made when first needed
	strange int           // records in a row that no format reads
	looked  int           // records that were looked at to find a format after all
	faults  int           // panics: the worker is not used again
	log     *slog.Logger
	now     func() time.Time
}

// begin makes the worker ready for a request. Auto says that its format was found,
// not named.
func (w *worker) begin(source string, auto bool) {
	w.auto = auto
	if w.source == nil || w.source.String() != source {
		w.source = tokenwatch.NewWord(source)
	}
	w.rejects, w.records, w.looked, w.strange = nil, 0, 0, 0
}

// header returns the header that the parser has read, nil without one.
func (w *worker) header() []byte {
	if p, ok := w.parser.(format.Headed); ok {
		return p.Header()
	}
	return nil
}

// setHeader tells the parser which header its records have.
func (w *worker) setHeader(header []byte) {
	if p, ok := w.parser.(format.Headed); ok {
		p.SetHeader(header)
	}
}

// frames returns a framer of r, in the memory of the last one.
func (w *worker) frames(kind frame.Kind, r io.Reader, limit int) frame.Framer {
	if w.framer == nil || w.framed != kind {
		w.framer, w.framed = frame.New(kind, r, limit), kind
		return w.framer
	}
	w.framer.Reset(r)
	return w.framer
}

// add takes one record: as a row, or as a reject.
func (w *worker) add(record frame.Record) {
	w.records++
	switch rejection := w.parse(record); rejection {
	case nil:
	case noRecord:
		return
	default:
		w.reject(record, rejection)
		return
	}
	if rejection := w.seal(&w.builder); rejection != nil {
		w.reject(record, rejection)
	}
}

// noRecord answers a header, which is neither stored nor refused.
var noRecord = &tokenwatch.Rejection{}

// parse points the row at the parts of a record. That a parser panics is a bug
// of ours that must not take anything else down: the record is refused.
func (w *worker) parse(record frame.Record) (rejection *tokenwatch.Rejection) {
	switch {
	case record.TooLong:
		return &tokenwatch.Rejection{Reason: tokenwatch.ReasonLineTooLong}
	case record.TooDeep:
		return &tokenwatch.Rejection{Reason: tokenwatch.ReasonTooDeep}
	case w.parser == nil && !w.choose(record.Bytes):
		return &tokenwatch.Rejection{Reason: tokenwatch.ReasonUnknown, Detail: "no format fits: name one"}
	}
	defer w.fault(&rejection)
	w.row.Reset()
	if err := w.parser.Parse(record.Bytes, &w.row); err != nil {
		if rejection := rejectionOf(err); rejection == noRecord || !w.other(record.Bytes, rejection) {
			return rejection
		}
	}
	if len(w.source.Text()) > 0 {
		w.row.SetWord(tokenwatch.ColSource, w.source)
	}
	if !w.row.Has(tokenwatch.ColFormat) { // a record within another has the names of both
		w.row.SetWord(tokenwatch.ColFormat, w.name)
	}
	w.tables.Route(&w.row)
	w.declare(tokenwatch.ColHost)
	w.declare(tokenwatch.ColScheme)
	w.normal.Normalize(&w.row)
	w.tables.Origin(&w.row)
	if !w.row.Has(tokenwatch.ColTime) && w.format.Arrival {
		w.row.SetInt(tokenwatch.ColTime, w.now().UnixNano())
		w.row.AddAttr(w.row.Keep("time_from"), w.row.Keep("arrival"))
	}
	if !w.row.Has(tokenwatch.ColTime) {
		return &tokenwatch.Rejection{Reason: tokenwatch.ReasonNoTime}
	}
	return nil
}

// declare makes a credential of a text that holds one by its form, before it is
// written in lower case: it could not be told by its form any more.
func (w *worker) declare(c tokenwatch.Col) {
	t := w.row.Text(c)
	if len(t) < shortestForm {
		return
	}
	for _, b := range t {
		if b >= 'A' && b <= 'Z' {
			if w.sealer.Holds(t) {
				w.row.AddIncidental(c.String(), t)
			}
			return
		}
	}
}

// shortestForm is shorter than any credential that is known by its form.
const shortestForm = 16

// maxOther is how many records in a row are looked at for another format when
// none is found: what is not understood shall not cost more than what is.
const maxOther = 64

// other reads a record that the format found for its source does not understand:
// it may be of another.
func (w *worker) other(record []byte, rejection *tokenwatch.Rejection) bool {
	if !w.auto || rejection.Reason != tokenwatch.ReasonMalformed || w.strange >= maxOther {
		return false
	}
	if w.mixed == nil {
		w.mixed = format.NewMixed(w.config)
	}
	w.row.Reset()
	if w.mixed.Parse(record, &w.row) != nil {
		w.strange++
		return false
	}
	w.strange = 0
	return true
}

// rejectionOf returns the rejection that a parser returned. The text of another
// error is not kept: it may be the record's.
func rejectionOf(err error) *tokenwatch.Rejection {
	if err == format.ErrNoRecord {
		return noRecord
	}
	var rejection *tokenwatch.Rejection
	if errors.As(err, &rejection) {
		return rejection
	}
	return &tokenwatch.Rejection{Reason: tokenwatch.ReasonMalformed}
}

// choose finds a format by a single record, for a body whose first records gave
// none: they may have been too long to look at.
func (w *worker) choose(record []byte) bool {
	if w.looked == sampleRecords {
		return false
	}
	w.looked++
	f, ok := detect(w.config, [][]byte{record})
	return ok && f.Frame == w.format.Frame && w.use(f) == nil
}

// use makes the worker's parser.
func (w *worker) use(f format.Format) error {
	w.format, w.name = f, tokenwatch.NewWord(f.Name)
	if f.New == nil {
		return nil
	}
	parser, err := f.New(w.config)
	if err != nil {
		return &tokenwatch.Refusal{
			Reason: tokenwatch.RefusedInternal, Detail: "the format's parser cannot be made", Err: err,
		}
	}
	w.parser = parser
	return nil
}

// seal appends the row that parse left to a builder.
func (w *worker) seal(b *tokenwatch.Builder) (rejection *tokenwatch.Rejection) {
	defer w.fault(&rejection)
	w.sealer.Seal(&w.row, b)
	return nil
}

// fault makes a rejection of a panic. The value of the panic is not logged: it
// may hold content.
func (w *worker) fault(rejection **tokenwatch.Rejection) {
	if recover() == nil {
		return
	}
	w.faults++
	w.row = tokenwatch.Row{}
	*rejection = &tokenwatch.Rejection{Reason: tokenwatch.ReasonFault, Detail: "a fault of the parser"}
	if w.faults == 1 {
		w.log.Error("parser panicked", "format", w.format.Name, "record", w.records-1, "stack", string(debug.Stack()))
	}
}

// reject notes what may be kept of a record. One that was too long has no digest:
// nothing of it was held.
func (w *worker) reject(record frame.Record, r *tokenwatch.Rejection) {
	reject := tokenwatch.Reject{
		Index:  w.records - 1,
		Offset: record.Offset,
		Length: record.Length,
		Reason: r.Reason,
		Detail: r.Detail,
	}
	if !record.TooLong {
		reject.Digest = w.sealer.Digest(record.Bytes)
	}
	w.rejects = append(w.rejects, reject)
}

// batch returns the rows since the last batch.
func (w *worker) batch() (*tokenwatch.Batch, error) { return takeBatch(&w.builder, w.faults) }

// takeBatch returns what a builder holds. It fails only if one of faults panics
// tore the columns apart.
func takeBatch(from *tokenwatch.Builder, faults int) (b *tokenwatch.Batch, err error) {
	if faults > 0 {
		defer func() {
			if recover() != nil {
				*from = tokenwatch.Builder{}
				b, err = nil, &tokenwatch.Refusal{
					Reason: tokenwatch.RefusedInternal,
					Detail: "the request failed",
					Err:    fmt.Errorf("%d panics left the columns torn", faults),
				}
			}
		}()
	}
	return from.Batch(), nil
}
