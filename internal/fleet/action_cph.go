package fleet

// The actions of the CPH API beyond those of phones, servers, jobs and images as such. The reference names
// cph:servers:updateName, cph:servers:changeType and cph:system:listServerTypes; the others follow its pattern.
const (
	ActionPhonesUpdateName   Action = "cph:phones:updateName"
	ActionPhonesConnect      Action = "cph:phones:connect"
	ActionPhonesTraffic      Action = "cph:phones:importTraffic"
	ActionPhonesExpand       Action = "cph:phones:expandVolume"
	ActionServersUpdateName  Action = "cph:servers:updateName"
	ActionServersChangeType  Action = "cph:servers:changeType"
	ActionServersAccess      Action = "cph:servers:updateAccess"
	ActionPhoneModelsList    Action = "cph:system:listPhoneTypes"
	ActionServerModelsList   Action = "cph:system:listServerTypes"
	ActionImagesDelete       Action = "cph:images:delete"
	ActionImagesShare        Action = "cph:images:share"
	ActionImagesListMembers  Action = "cph:images:listMembers"
	ActionImagesAcceptShared Action = "cph:images:updateMember"
	ActionTagsList           Action = "cph:tags:list"
	ActionTagsUpdate         Action = "cph:tags:update"
	ActionBandwidthsList     Action = "cph:bandwidths:list"
	ActionBandwidthsUpdate   Action = "cph:bandwidths:update"
	ActionEncodersList       Action = "cph:encodeServers:list"
	ActionEncodersRestart    Action = "cph:encodeServers:restart"
	ActionEventsList         Action = "cph:scheduledEvents:list"
	ActionEventsUpdate       Action = "cph:scheduledEvents:update"
)

// cphActions are these actions, for Actions.
func cphActions() []Action {
	return []Action{
		ActionPhonesUpdateName, ActionPhonesConnect, ActionPhonesTraffic, ActionPhonesExpand, ActionServersUpdateName, ActionServersChangeType,
		ActionServersAccess, ActionPhoneModelsList, ActionServerModelsList, ActionImagesDelete, ActionImagesShare, ActionImagesListMembers,
		ActionImagesAcceptShared, ActionTagsList, ActionTagsUpdate, ActionBandwidthsList, ActionBandwidthsUpdate, ActionEncodersList,
		ActionEncodersRestart, ActionEventsList, ActionEventsUpdate,
	}
}
