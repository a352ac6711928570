package detect

// All lists the detectors in the order of their names.
var All = []Entry{
	{"concurrent_origins", "one credential in use from two networks at once, and the second is not one of its own", newConcurrentOrigins},
	{"drift", "days that bring more and more of the usual", newDrift},
	{"enumeration", "objects counted through by their numbers", newEnumeration},
	{"faults", "more refusals of a kind than the entity usually meets, in the hour or the day", newFaults},
	{"novelty", "networks, programs, actions and classes of action that the entity never used before, by number and kind", newNovelty},
	{"odd_hours", "activity at hours or minutes at which the entity is never active", newOddHours},
	{"probing", "actions never tried before, and refused", newProbing},
	{"spraying", "an address that presents one invalid credential after the other", newSpraying},
	{"volume", "many more requests, objects or bytes than at that time of the week", newVolume},
}
