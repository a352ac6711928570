package detect

// All lists the detectors in the order of their names.
var All = []Entry{
	{"action_class", "a class of action that the entity never took before, such as a first deletion", newActionClass},
	{"after_end", "a credential presented after it was revoked, had expired or was switched off", newAfterEnd},
	{"after_rotation", "a secret presented after its overlap with the one that follows it", newAfterRotation},
	{"allow_list", "a token used from outside the networks that its inventory allows", newAllowList},
	{"bulk_read", "many objects that the entity never touched before, through its usual routes", newBulkRead},
	{"concurrent_origins", "one credential in use from two networks at once, and the second is not one of its own", newConcurrentOrigins},
	{"dormant", "a token that comes to life after weeks of silence", newDormant},
	{"drift", "days that bring more and more of the usual", newDrift},
	{"enumeration", "objects counted through by their numbers", newEnumeration},
	{"faults", "more refusals of a kind than the entity usually meets, in the hour or the day", newFaults},
	{"leak_use", "a token used from somewhere new after its secret was found in the open", newLeakUse},
	{"novelty", "networks, programs and actions that the entity never used before, by number and kind", newNovelty},
	{"odd_hours", "activity at hours or minutes at which the entity is never active", newOddHours},
	{"probing", "actions never tried before, and refused", newProbing},
	{"rhythm", "the pace of a machine on a person's token, or of a person on a machine's", newRhythm},
	{"route_mix", "the usual actions in other proportions", newRouteMix},
	{"scanning", "an address that asks for one thing after the other that is not there or not for it", newScanning},
	{"scope", "actions that need a scope which the token does not hold", newScope},
	{"shared_source", "an address that uses more valid credentials than ever came from it", newSharedSource},
	{"spraying", "an address that presents one invalid credential after the other", newSpraying},
	{"travel", "a new network sooner after a usual one than anybody could get there", newTravel},
	{"unused_scope", "the first use of a scope that a token has held all along", newUnusedScope},
	{"volume", "many more requests, objects or bytes than at that time of the week", newVolume},
}
