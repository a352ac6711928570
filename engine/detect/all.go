package detect

// All lists the detectors in the order of their names.
var All = []Entry{
	{"after_end", "a credential presented after it was revoked, had expired or was replaced", newAfterEnd},
	{"allow_list", "a token used from outside the networks that its inventory allows", newAllowList},
	{"concurrent_origins", "one credential in use from two networks at once, and the second is not one of its own", newConcurrentOrigins},
	{"dormant", "a token that comes to life after weeks of silence", newDormant},
	{"drift", "days that bring more and more of the usual", newDrift},
	{"enumeration", "objects counted through by their numbers", newEnumeration},
	{"faults", "more refusals of a kind than the entity usually meets, in the hour or the day", newFaults},
	{"leak_use", "a token used from somewhere new after its secret was found in the open", newLeakUse},
	{"novelty", "networks, programs, actions and classes of action that the entity never used before, by number and kind", newNovelty},
	{"odd_hours", "activity at hours or minutes at which the entity is never active", newOddHours},
	{"probing", "actions never tried before, and refused", newProbing},
	{"scope", "actions that need a scope which the token does not hold", newScope},
	{"spraying", "an address that presents one invalid credential after the other", newSpraying},
	{"travel", "a new network sooner after a usual one than anybody could get there", newTravel},
	{"volume", "many more requests, objects or bytes than at that time of the week", newVolume},
}
