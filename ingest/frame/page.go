package frame

import "bytes"

// Some services hand out their records in pages: objects that hold little but an
// array of them. Such an array is opened as "Records" is. What makes an object a
// page is that nothing stands before the array but what pages say of
// themselves; an event that has an array of the same name has members of its
// own before it.

// pageWindow is how much of an object is looked at.
const pageWindow = 1 << 10

// pageArrays are the arrays that hold the records of a page; true for names so
// common that a page must have said something of itself before.
var pageArrays = map[string]bool{
	"records": false, "items": false, "entries": false, "entities": false, "logs": false, "audit_events": false, "auditEvents": false,
	"value": true, "result": true, "results": true, "data": true,
}

// pageNotes are what pages say of themselves.
var pageNotes = map[string]bool{
	"kind": true, "etag": true, "apiVersion": true, "metadata": true, "cursor": true, "has_more": true, "hasMore": true, "nextPageToken": true, "next_page_token": true,
	"offset": true, "limit": true, "total": true, "count": true, "size": true, "start": true, "success": true, "ok": true, "errors": true, "messages": true,
	"response_metadata": true, "@odata.context": true, "@odata.nextLink": true, "@odata.count": true, "version": true, "tailnetId": true, "pagingInfo": true,
}

// page opens the page that begins at the first unread byte, if one does. It
// reads on only while what there is may be the beginning of one.
func (v *values) page() bool {
	for {
		w := v.unread()
		if len(v.first) > 0 && bytes.HasPrefix(w, v.first) {
			return false
		}
		n, known := pageEnd(w[:min(len(w), pageWindow)])
		if n > 0 {
			v.outer = scanner{}
			v.outer.step(w[:n])
			v.outer.resume()
			v.skip(n)
			v.in = records
			return true
		}
		if known {
			v.first = append(v.first[:0], beginning(w)...)
		}
		if known || len(w) >= pageWindow || v.fill() != nil {
			return false
		}
	}
}

// maxBeginning is how much of an object is remembered as the beginning of no page.
const maxBeginning = 64

// beginning returns an object up to the end of the name of its first member, if
// that alone tells that it is no page: nil otherwise.
func beginning(w []byte) []byte {
	i := Space(w, 1)
	if i == len(w) || w[i] != '"' {
		return nil
	}
	end, verbatim := StringEnd(w, i+1)
	if end < 0 || end > maxBeginning || !verbatim {
		return nil
	}
	name := w[i+1 : end-1]
	if _, array := pageArrays[string(name)]; array || pageNotes[string(name)] {
		return nil
	}
	return w[:end]
}

// pageEnd returns the place behind the bracket that opens the records of a page,
// 0 if w begins with none. It reports whether more bytes could not change that.
func pageEnd(w []byte) (n int, known bool) {
	noted := false
	for i := Space(w, 1); ; i = Space(w, i+1) {
		if i == len(w) || w[i] != '"' {
			return 0, i < len(w)
		}
		end, verbatim := StringEnd(w, i+1)
		if end < 0 || !verbatim {
			return 0, end >= 0
		}
		name := w[i+1 : end-1]
		common, array := pageArrays[string(name)]
		note := pageNotes[string(name)]
		if !array && !note {
			return 0, true
		}
		if i = Space(w, end); i == len(w) || w[i] != ':' {
			return 0, i < len(w)
		}
		if i = Space(w, i+1); i == len(w) {
			return 0, false
		}
		if array && w[i] == '[' {
			first := Space(w, i+1)
			if first == len(w) {
				return 0, false
			}
			if w[first] != '{' && w[first] != ']' || common && !noted {
				return 0, true
			}
			return i + 1, true
		}
		if !note {
			return 0, true
		}
		noted = true
		if i = valueEnd(w, i, 1); i < 0 || i == len(w) {
			return 0, false
		}
		if i = Space(w, i); i == len(w) || w[i] != ',' {
			return 0, i < len(w)
		}
	}
}
