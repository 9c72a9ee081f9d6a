package cph

import (
	"errors"
	"net/http"
	"strings"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Reasons that only this edge has.
const (
	reasonNoRoute        phone.Reason = "cph_no_route"
	reasonBodyTooLarge   phone.Reason = "cph_body_too_large"
	reasonBodyLate       phone.Reason = "cph_body_late"
	reasonNoRequestID    phone.Reason = "cph_no_request_id"
	reasonRequestIDs     phone.Reason = "cph_request_ids"
	reasonStatus         phone.Reason = "cph_status"
	reasonType           phone.Reason = "cph_type"
	reasonTime           phone.Reason = "cph_time"
	reasonPhoneName      phone.Reason = "cph_phone_name"
	reasonServerName     phone.Reason = "cph_server_name"
	reasonPhoneModel     phone.Reason = "cph_phone_model"
	reasonNetworkVersion phone.Reason = "cph_network_version"

	reasonBody            phone.Reason = "cph_body"
	reasonServerNameTaken phone.Reason = "cph_server_name_taken"
	reasonProductType     phone.Reason = "cph_product_type"
	reasonImageName       phone.Reason = "cph_image_name"
	reasonPhoneIDs        phone.Reason = "cph_phone_ids"
	reasonNoPhoneIDs      phone.Reason = "cph_no_phone_ids"
	reasonServerIDs       phone.Reason = "cph_server_ids"
	reasonNoServerIDs     phone.Reason = "cph_no_server_ids"
	reasonTooManyServers  phone.Reason = "cph_too_many_servers"
	reasonNoServer        phone.Reason = "cph_no_server"
	reasonNoRestart       phone.Reason = "cph_no_restart"
	reasonServers         phone.Reason = "cph_servers"
	reasonNoServers       phone.Reason = "cph_no_servers"
	reasonKeypairServer   phone.Reason = "cph_keypair_server"
	reasonNoImage         phone.Reason = "cph_no_image"
	reasonAction          phone.Reason = "cph_action"
	reasonCount           phone.Reason = "cph_count"
	reasonServerModel     phone.Reason = "cph_server_model"
	reasonNoServerModel   phone.Reason = "cph_no_server_model"
	reasonNoPhoneModel    phone.Reason = "cph_no_phone_model"
	reasonPorts           phone.Reason = "cph_ports"
	reasonPortName        phone.Reason = "cph_port_name"
	reasonListenPort      phone.Reason = "cph_listen_port"
	reasonAccessible      phone.Reason = "cph_internet_accessible"
	reasonBandwidthSize   phone.Reason = "cph_band_width_size"
	reasonNoBandwidth     phone.Reason = "cph_no_band_width"
	reasonEncoders        phone.Reason = "cph_encode_servers"
	reasonEncoder         phone.Reason = "cph_encode_server"
	reasonNoEncoder       phone.Reason = "cph_no_encode_server"
	reasonOrder           phone.Reason = "cph_order"
	reasonNoEvent         phone.Reason = "cph_no_event"
	reasonNotHere         phone.Reason = "cph_not_here"
	reasonNoShare         phone.Reason = "cph_no_share"
	reasonPath            phone.Reason = "cph_path"
	reasonStorageInfos    phone.Reason = "cph_storage_infos"
	reasonTooManyStorages phone.Reason = "cph_too_many_storage_infos"
	reasonRestoreInfos    phone.Reason = "cph_restore_infos"
	reasonShareServer     phone.Reason = "cph_share_server"
)

// line is what the wire says of one kind of error. In text {0} stands for the property key, as in the CPH API reference, and {1}
// for the domain's sentence about what is wrong and where.
type line struct {
	status int
	code   string
	text   string
}

// The HTTP status is the newer CPH error page's where it has one, else 400 (the older page's for every code). Codes that begin
// with APIGW are those of the gateway in front of the CPH.
var byReason = map[phone.Reason]line{
	// The table of codes says "Invalid phone id." for CPS.0004, the reset page's own example this: clients have seen the example.
	phone.ReasonPhoneInvalid:        {400, "CPS.0004", "Parameter: phone_id is invalid."},
	phone.ReasonPhoneNotFound:       {404, "CPS.0005", "Phone is not found."},
	phone.ReasonPhoneBusy:           {400, "CPS.0042", "System busy."},
	phone.ReasonPhoneFrozen:         {400, "CPS.0053", "No permission to request resources. Phone is freezed."},
	phone.ReasonPhoneDuplicate:      {400, "CPS.0023", "Duplicate apply the phone."},
	phone.ReasonPhoneNotRunning:     {400, "CPS.0141", "Phone is not in running status."},
	phone.ReasonPhoneNotRestartable: {400, "CPS.0165", "The phone must be in stopped or running status."},
	phone.ReasonPhonesInvalid:       {400, "CPS.0077", "Parameter: phones list is invalid. {1}"},
	phone.ReasonPhonesTooMany:       {400, "CPS.0190", "The number of phones exceeds the limit."},
	phone.ReasonServerInvalid:       {400, "CPS.0097", "Parameter: server_id is invalid."},
	phone.ReasonServerNotFound:      {404, "CPS.0015", "server_id not found."},
	phone.ReasonServerNotReady:      {400, "CPS.0099", "Parameter: server is not ready."},
	phone.ReasonNoHost:              {400, "CPS.0136", "Available server not found. {1}"},
	phone.ReasonNoKeypair:           {400, "CPS.0067", "Keypair could not found. {1}"},
	phone.ReasonKeypairMissing:      {400, "CPS.0068", "Parameter: keypair_name is empty."},
	phone.ReasonNoADBKeys:           {400, "CPS.0098", "Parameter: no available keypair_name or server not ready. {1}"},
	phone.ReasonHostsTaken:          {400, "CPS.0066", "Capacity exceeded for server. {1}"},
	phone.ReasonServerBusy:          {400, "CPS.0099", "Parameter: server is not ready. {1}"},
	phone.ReasonImageInvalid:        {400, "CPS.0030", "Parameter: image_id is invalid."},
	phone.ReasonImageNotFound:       {400, "CPS.0166", "Phone image not found."},
	phone.ReasonImageLabel:          {400, "CPS.0142", "Parameter: image_label is invalid."},
	phone.ReasonImageSystem:         {400, "CPS.0030", "Parameter: image_id is invalid. {1}"}, // the reference has no code for it
	phone.ReasonPropertyInvalid:     {400, "CPS.0078", "Parameter: Property is invalid."},
	phone.ReasonPropertyUnsupported: {400, "CPS.0163", "Parameter: property {0} not supported."},
	phone.ReasonPropertyValue:       {400, "CPS.0164", "Parameter: Invalid property {0}."},
	phone.ReasonJobNotFound:         {404, "CPS.0011", "Job not found."},
	phone.ReasonRequestNotFound:     {400, "CPS.0050", "Jobs related to this requestId is not found."},
	phone.ReasonPageInvalid:         {400, "CPS.0002", "Parameter: offset or limit is invalid."},
	phone.ReasonNameTaken:           {400, "CPS.0026", "Parameter: phone_name is conflicted."},
	phone.ReasonNameInvalid:         {400, "CPS.0025", "Parameter: phone_name is invalid."},
	phone.ReasonPortsTaken:          {400, "CPS.0041", "Parameter: listen_port is conflicted."},
	phone.ReasonKeyInvalid:          {400, "APIGW.0201", "API request error. {1}"},
	phone.ReasonKeyReused:           {400, "APIGW.0201", "API request error. {1}"},
	phone.ReasonNothingToRetry:      {400, "CPS.0050", "Jobs related to this requestId is not found."},
	phone.ReasonPaceInvalid:         {400, "APIGW.0201", "API request error. {1}"},
	phone.ReasonRateExceeded:        {429, "APIGW.0308", "The throttling threshold has been reached."},
	phone.ReasonTokenExpired:        {401, "APIGW.0307", "The token must be updated."},
	// The reference has no code for an image in use, for members or for tags: these are the nearest, with the sentence.
	phone.ReasonImageInUse:       {400, "CPS.0030", "Parameter: image_id is invalid. {1}"},
	phone.ReasonMemberInvalid:    {400, "CPS.0046", "Parameter: project_id is invalid. {1}"},
	phone.ReasonMemberNotFound:   {404, "CPS.0046", "Parameter: project_id is invalid. {1}"},
	phone.ReasonMembersTooMany:   {400, "CPS.0196", "Quota is insufficient. {1}"},
	phone.ReasonMemberStatus:     {400, "CPS.0010", "Parameter: status is invalid."},
	phone.ReasonTagInvalid:       {400, "APIGW.0201", "API request error. {1}"},
	phone.ReasonTagsTooMany:      {400, "CPS.0196", "Quota is insufficient. {1}"},
	phone.ReasonPhoneUnreachable: {400, "CPS.0022", "Not available phone."},
	phone.ReasonTicketInvalid:    {404, "CPS.0019", "Ticket not found."},
	phone.ReasonModelInvalid:     {400, "CPS.0157", "The phone model is invalid."},
	phone.ReasonCommandInvalid:   {400, "CPS.0117", "Parameter: command is invalid."},
	phone.ReasonContentInvalid:   {400, "CPS.0118", "Parameter: content is invalid."},

	phone.ReasonNoShare:           {400, "CPS.0137", "Server does not support push share files. {1}"},
	phone.ReasonBucketInvalid:     {400, "CPS.0134", "Parameter: bucket_name is invalid. {1}"},
	phone.ReasonObjectPathInvalid: {400, "CPS.0135", "Parameter: object_path is invalid. {1}"},
	phone.ReasonPackageInvalid:    {400, "CPS.0173", "Parameter: package_name is invalid. {1}"},
	phone.ReasonFilePathsInvalid:  {400, "CPS.0155", "The file_paths is invalid. {1}"},
	phone.ReasonPathInvalid:       {400, "CPS.0199", "The path is invalid. {1}"},

	// Why jobs fail; in a job no HTTP status applies.
	phone.ReasonBootTimeout:    {500, "CPS.0054", "Handle job timeout."},
	phone.ReasonHostGone:       {500, "CPS.0099", "Parameter: server is not ready."},
	phone.ReasonCancelled:      {500, "CPS.0042", "System busy."},
	phone.ReasonRequestStopped: {500, "CPS.0042", "System busy."},
	phone.ReasonNotAPK:         {400, "CPS.0119", "Parameter: filename doesn't end .apk."},
	phone.ReasonObjectNotFound: {400, "CPS.0104", "File doesn't exists in OBS."},
	phone.ReasonObjectsGone:    {500, "CPS.0104", "File doesn't exists in OBS."},
	phone.ReasonFileInvalid:    {500, "CPS.0118", "Parameter: content is invalid."},
	// The reference has no code for what is wrong with a bucket or a checksum: these are the nearest.
	phone.ReasonBucketNotFound: {400, "CPS.0103", "Failed to upload objects to OBS. {1}"},
	phone.ReasonBucketReadOnly: {400, "CPS.0103", "Failed to upload objects to OBS. {1}"},
	phone.ReasonStoreFull:      {500, "CPS.0103", "Failed to upload objects to OBS. {1}"},
	phone.ReasonObjectTooLarge: {400, "CPS.0103", "Failed to upload objects to OBS. {1}"},
	phone.ReasonObjectInvalid:  {400, "CPS.0107", "Parameters for upload files to obs is invalid. {1}"},
	phone.ReasonBucketNotEmpty: {400, "CPS.0102", "Failed to create OBS bucket. {1}"}, // only the native API deletes and makes buckets
	phone.ReasonNoObjectFolder: {501, "CPS.0102", "Failed to create OBS bucket. {1}"},
	phone.ReasonIncludeInvalid: {400, "CPS.0168", "Parameter: include_files is invalid. {1}"},
	phone.ReasonExcludeInvalid: {400, "CPS.0169", "Parameter: exclude_files is invalid. {1}"},
	phone.ReasonChecksum:       {500, "CPS.0118", "Parameter: content is invalid."},
	phone.ReasonTaskEnded:      {500, "CPS.0141", "Phone is not in running status."},
	phone.ReasonTaskExpired:    {500, "CPS.0054", "Handle job timeout."},
	phone.ReasonTaskUnknown:    internal,
	// The table has CPS.0191 for a subnet; the page of sync-commands has this.
	phone.ReasonCommandFailed:    {500, "CPS.0191", "Run command failed."},
	phone.ReasonBootExited:       internal,
	phone.ReasonHostFailed:       internal,
	phone.ReasonEraseFailed:      internal,
	phone.ReasonInstanceGone:     internal,
	phone.ReasonVolumeGone:       internal,
	phone.ReasonServerNotEmpty:   internal,
	phone.ReasonVerifyFailed:     internal,
	phone.ReasonNoSpace:          internal,
	phone.ReasonFenced:           internal,
	phone.ReasonHigherGeneration: internal,
	phone.ReasonForeignObject:    internal,
	phone.ReasonKeyForeign:       internal, // only at the start

	reasonNoRoute:        {404, "APIGW.0101", "The API does not exist or has not been published in the environment."},
	reasonBodyTooLarge:   {413, "APIGW.0201", "Request entity too large."},
	reasonBodyLate:       {400, "APIGW.0201", "API request error. {1}"},
	reasonNoRequestID:    {400, "CPS.0049", "Parameter: request_id is empty."},
	reasonRequestIDs:     {400, "CPS.0161", "Parameter: the number of request IDs has exceeded the limit."},
	reasonStatus:         {400, "CPS.0010", "Parameter: status is invalid."},
	reasonType:           {400, "CPS.0116", "Parameter: type is invalid."},
	reasonTime:           {400, "CPS.0174", "Parameter: time is invalid."},
	reasonPhoneName:      {400, "CPS.0025", "Parameter: phone_name is invalid."},
	reasonServerName:     {400, "CPS.0087", "Parameter: server_name is invalid."},
	reasonPhoneModel:     {400, "CPS.0028", "Parameter: phone_model_name is invalid."},
	reasonNetworkVersion: {400, "CPS.0240", "Parameter: network_version is invalid."},

	reasonBody:            {400, "APIGW.0201", "API request error. {1}"},
	reasonServerNameTaken: {400, "CPS.0087", "Parameter: server_name is invalid. {1}"},
	reasonProductType:     {400, "CPS.0144", "Parameter: product_type is invalid."},
	reasonImageName:       {400, "CPS.0162", "Parameter: image_name is invalid."},
	reasonPhoneIDs:        {400, "CPS.0080", "Parameter: phone_ids is invalid."},
	reasonNoPhoneIDs:      {400, "CPS.0009", "Parameter: phone_id list is empty."},
	reasonServerIDs:       {400, "CPS.0094", "Parameter: server_ids is invalid."},
	reasonNoServerIDs:     {400, "CPS.0095", "Parameter: server_ids is empty."},
	reasonTooManyServers:  {400, "CPS.0096", "The number of servers exceeds the limit."},
	reasonNoServer:        {400, "CPS.0159", "Server not found."},
	reasonNoRestart:       {400, "CPS.0158", "The server is not available for being restarted."},
	reasonServers:         {400, "CPS.0094", "Parameter: servers is invalid. {1}"},
	reasonNoServers:       {400, "CPS.0095", "Parameter: servers is empty."},
	reasonKeypairServer:   {400, "CPS.0098", "Parameter: no available keypair_name or server not ready. {1}"},
	reasonNoImage:         {400, "CPS.0029", "Parameter: image_id is empty."},
	reasonAction:          {400, "CPS.0047", "Parameter: action is invalid."},
	reasonCount:           {400, "CPS.0024", "Parameter: count is invalid."},
	reasonServerModel:     {400, "CPS.0089", "Parameter: server_model_name is invalid."},
	reasonNoServerModel:   {400, "CPS.0088", "Parameter: server_model_name is empty."},
	reasonNoPhoneModel:    {400, "CPS.0027", "Parameter: phone_model_name is empty."},
	reasonPorts:           {400, "CPS.0037", "Parameter: ports is invalid."},
	reasonPortName:        {400, "CPS.0038", "Parameter: port name is invalid."},
	reasonListenPort:      {400, "CPS.0040", "Parameter: listen_port is invalid."},
	reasonAccessible:      {400, "CPS.0093", "Parameter: internet_accessible is empty."},
	reasonBandwidthSize:   {400, "CPS.0036", "Parameter: band_width_size is invalid."},
	reasonNoBandwidth:     {400, "CPS.0115", "Band width not found. {1}"},
	reasonEncoders:        {400, "CPS.0122", "Parameter: Encode server id list is invalid."},
	reasonEncoder:         {400, "CPS.0121", "Parameter: Encode server id is invalid."},
	reasonNoEncoder:       {400, "CPS.0123", "Encode server not found. {1}"},
	reasonOrder:           {400, "CPS.0062", "Create order failed. {1}"},
	reasonNoShare:         {400, "CPS.0137", "Server does not support push share files. {1}"},
	reasonPath:            {400, "CPS.0199", "The path is invalid."},
	reasonStorageInfos:    {400, "CPS.0167", "Parameter: storage_infos is invalid. {1}"},
	reasonTooManyStorages: {400, "CPS.0170", "Parameter: storage_infos exceeds the limit."},
	reasonRestoreInfos:    {400, "CPS.0171", "Parameter: restore_infos is invalid. {1}"},
	reasonShareServer:     {400, "CPS.0156", "The server_id is not found."},
	// The reference has no code for these two.
	reasonNoEvent: {404, "APIGW.0201", "API request error. {1}"},
	reasonNotHere: {501, "CPS.0003", "Service internal error. {1}"},
}

// byCode is for errors whose reason says nothing to this edge.
var byCode = map[phone.Code]line{
	phone.Invalid:         {400, "APIGW.0201", "API request error. {1}"},
	phone.Unauthenticated: {401, "APIGW.0301", "Incorrect IAM authentication information: {1}"},
	phone.Forbidden:       {403, "CPS.0001", "No permission to request resources."},
	phone.NotFound:        {404, "APIGW.0101", "The API does not exist or has not been published in the environment."},
	phone.Conflict:        {400, "CPS.0042", "System busy."},
	phone.Precondition:    {400, "CPS.0042", "System busy."},
	phone.Exhausted:       {429, "APIGW.0308", "The throttling threshold has been reached."},
	// The reference has no code for what a host cannot do; 501 is one of its statuses.
	phone.Unsupported: {501, "CPS.0003", "Service internal error."},
	// A database that does not answer passes: 503 makes clients try again, and the documented advice for CPS.0042 is to retry later.
	phone.Unavailable: {503, "CPS.0042", "System busy."},
	phone.Internal:    internal,
}

var internal = line{http.StatusInternalServerError, "CPS.0003", "Service internal error."}

// lineOf finds what the wire says of an error: by its reason, else by its code. A failure of ours (Internal, Unavailable) is never
// dressed as the caller's, whatever its reason.
func lineOf(err error) line {
	code := phone.CodeOf(err)
	if code == phone.Internal || code == phone.Unavailable {
		return byCode[code]
	}
	if l, ok := byReason[phone.ReasonOf(err)]; ok {
		return l
	}
	if l, ok := byCode[code]; ok {
		return l
	}
	return internal
}

// lineOfFailure finds what the wire says of a failed job.
func lineOfFailure(reason phone.Reason) line {
	if l, ok := byReason[reason]; ok {
		return l
	}
	return internal
}

// maxKey bounds how much of a property key that a caller wrote is repeated to it.
const maxKey = 128

// sentence fills the text in. Only what the domain marked as safe to show can reach it.
func (l line) sentence(err error) string {
	var e *phone.Error
	if !errors.As(err, &e) {
		e = &phone.Error{}
	}
	said := strings.NewReplacer("{0}", cut(e.Field, maxKey), "{1}", e.Msg).Replace(l.text)
	return strings.TrimRight(said, ": ") // when there was nothing to say
}

// cut shortens a text to at most max bytes, between two characters.
func cut(text string, max int) string {
	if len(text) <= max {
		return text
	}
	return strings.ToValidUTF8(text[:max], "")
}
