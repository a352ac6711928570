package detect

// All lists the detectors in the order of their names.
var All = []Entry{
	{"concurrent_origins", "one credential in use from two networks at once, and the second is not one of its own", newConcurrentOrigins},
	{"novelty", "networks, programs, routes, actions and classes of action that the entity never used before, by number and kind", newNovelty},
}
