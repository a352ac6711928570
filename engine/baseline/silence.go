package baseline

// longestSilence is for how many days on the silence of a token is told.
const longestSilence = 4

// Silence tells whether an entity whose last active hour was the given one has not been
// active for two days or more before a day, and not for so long that it was told.
func Silence(last, day int32) bool {
	silent := day - last/24 - 1
	return silent >= 2 && silent <= longestSilence
}

// Silence tells whether the entity, which is one for every day, has not been active for
// two days or more before a day.
func (u *Usual) Silence(day int32) bool { return Silence(u.Last, day) && u.Daily() }

// Daily tells whether the entity was active on nearly every day up to its last one.
func (u *Usual) Daily() bool {
	if u.Hours == 0 {
		return false
	}
	days, active := 0, 0
	for d := u.firstFull(); d < u.Last/24; d++ {
		days++
		if u.Volume.total(d) > 0 {
			active++
		}
	}
	return days >= 7 && 4*active >= 3*days
}

// firstFull is the first day of which a total is kept and that is known as a whole.
func (u *Usual) firstFull() int32 {
	return max(u.First/24+1, u.Volume.Newest-lagDays+1)
}

// Silent is how many days before the day of an hour the entity was not active, and how
// probable that is: of each day, by how many days of its kind (working days, weekends)
// were not active before,
//
//	p = Π (idle + 1/2) / (days + 1)
//
// (Jeffreys' rule). days is 0 unless the silence is worth judging.
func (v *View) Silent(hour int32) (days int, p float64) {
	u, day := v.Usual, hour/24
	if !u.Silence(day) {
		return 0, 1
	}
	var known, idle [2]float64
	for d := u.firstFull(); d < u.Last/24; d++ {
		k := dayKind(d)
		known[k]++
		if u.Volume.total(d) == 0 {
			idle[k]++
		}
	}
	p = 1
	for d := u.Last/24 + 1; d < day; d++ {
		k := dayKind(d)
		p = float64(p * (idle[k] + 0.5) / (known[k] + 1))
		days++
	}
	return days, p
}
