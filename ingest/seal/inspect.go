package seal

// search does steps 3 and 4 for field i, and tells whether every field of the
// same text comes out as this one, with nothing masked.
func (s *Sealer) search(i int) (clean bool) {
	f := &s.fields[i]
	whole := f.named != nil && f.named.admits(f.text, false)
	if !whole && !s.plain && isLowUUID(f.text) {
		f.has = 0
		return true
	}
	remember := !s.plain && s.clean.remembers(f)
	var hash uint64
	if remember {
		hash = s.clean.hash(f.text, f.looks)
		if has, ok := s.clean.get(f.text, hash); ok && !whole {
			f.has = has
			return true
		}
	}
	f.has = s.survey(f.text)
	s.views[0].b = f.text
	if whole {
		if s.found(i, &s.views[0], 0, len(f.text)) {
			return false
		}
	}
	if f.has&isHexID != 0 && f.has&hasDeep == 0 && !f.looks {
		return true // known finds nothing in it
	}
	if f.has&suspicious != 0 {
		n := len(s.spans)
		s.inspect(i, 0, f.has, f.looks, true)
		if len(s.spans) > n {
			return false
		}
	}
	if remember {
		s.clean.put(f.text, hash, f.has)
	}
	return true
}

// survey is look, and decodable where there is something to decode.
func (s *Sealer) survey(t []byte) survey {
	if has := hexID(t); has != 0 && !s.plain {
		return has
	}
	has := look(t)
	switch {
	case has&(hasBase64|suspicious) == 0:
		return has
	case s.plain:
		return has | hasCoded | hasDeep | hasPercent
	}
	return has | decodable(t)
}

// inspect looks closely at a view of field i, which has been surveyed, and at
// the views below it.
func (s *Sealer) inspect(i, depth int, has survey, looks, coded bool) {
	v := &s.views[depth]
	s.known(i, v)
	if looks {
		s.looking(i, v)
	}
	if has&hasPercent != 0 && depth < maxEscapes && s.views[depth+1].unescape(v) {
		if below := s.survey(s.views[depth+1].b); below&suspicious != 0 {
			s.inspect(i, depth+1, below, looks, coded)
		}
	}
	if coded && has&hasDeep != 0 {
		s.inspectCoded(i, depth)
	}
}

// inspectCoded looks at what the runs of s.views[depth] decode to.
func (s *Sealer) inspectCoded(i, depth int) {
	var at scan
	for {
		r, ok := nextRun(s.views[depth].b, &at)
		if !ok {
			return
		}
		for k := range r.shifts() {
			t := s.decode(depth, r, k).b
			if !s.spend(i, len(t)) {
				continue
			}
			if !s.plain && !heard(t) {
				continue
			}
			if has := look(t); has&suspicious != 0 {
				s.inspect(i, depth+1, has, false, false)
			}
		}
	}
}

// spend counts work done on the record. When there is too much of it, which
// only a text made for that brings about, field i is masked as a whole.
func (s *Sealer) spend(i, n int) bool {
	s.work -= n
	if s.work >= 0 {
		return true
	}
	if !s.fields[i].masked {
		s.fields[i].masked = true
		s.spans = append(s.spans, span{i, 0, len(s.fields[i].text), rankWhole, ""})
	}
	return false
}

// mark notes that [lo, hi) of a view of field i is to be replaced.
func (s *Sealer) mark(i int, v *view, lo, hi int, r rank, id string) {
	if hi > lo {
		lo, hi = v.origin(lo, hi)
		s.spans = append(s.spans, span{i, lo, hi, r, id})
	}
}

// found takes [lo, hi) of a view of field i for a credential, and tells
// whether it is one.
func (s *Sealer) found(i int, v *view, lo, hi int) bool {
	raw := v.b[lo:hi]
	if v.from != nil {
		raw = s.keep(raw)
	}
	c := s.open(raw, "")
	if len(c.secret) == 0 {
		return false
	}
	e := s.ids.credential(s, c.secret).e
	s.mark(i, v, lo, hi, rankKnown, e.word.String())
	s.needle(c.given, e, "")
	s.needle(c.secret, e, "")
	return true
}
