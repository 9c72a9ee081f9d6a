// Package archtest holds the tests that keep the shape of the program: which package may import which, and which library
// belongs to whom. docs/architecture.md says why the shape is what it is.
package archtest

// module is the path before every package of ours.
const module = "github.com/lethe-cloud/lethe/"

// rule says which packages of ours one package may import, and why not the others.
type rule struct {
	may []string // paths below module; a trailing /... takes everything below too
	why string
}

// rules has one entry for every package that is part of the program. Tests are free: they may import what they need.
var rules = map[string]rule{
	"internal/phone":   {nil, "the domain is decisions over facts; whoever reads it needs to know nothing else"},
	"internal/account": {nil, "the domain is decisions over facts; whoever reads it needs to know nothing else"},
	"internal/audit": {[]string{"internal/phone", "internal/account"},
		"a part of the domain that is about both others: what is written down of a call, and where, is others' business"},
	"internal/config":    {[]string{"internal/adb"}, "configuration is text that becomes values; what they are for is the business of cmd/lethe"},
	"internal/intake":    {[]string{"internal/phone"}, "it stands before every edge, so it may know none of them"},
	"internal/seal":      {nil, "a text format and a file format; whose secrets they hold is the store's business"},
	"internal/signature": {nil, "client and server must sign in exactly the same way, so both take it from a package that knows neither"},
	"internal/apps":      {nil, "what phones have that run no Android; the test phone and the simulated driver share it"},
	"internal/adb":       {nil, "a wire format and a key format that the drivers, the test phone and the configuration share"},
	"internal/emptydir":  {nil, "it becomes a program of its own inside a container"},
	"internal/sharedir":  {nil, "it runs in the program inside a container too"},
	"internal/imagetar":  {nil, "a file format that the docker driver and the tests share"},
	"internal/strictjson": {nil,
		"reading a body strictly is the same task at every edge, so it may know none of them"},
	"api":    {nil, "the native API's words are what others compile against: nothing of the inside may leak into them"},
	"client": {[]string{"api", "internal/signature"}, "a client that pulls in the server is of no use to others"},

	"internal/driver": {[]string{"internal/phone"}, "the contract speaks the domain's words and knows no host"},
	"internal/driver/docker": {[]string{"internal/phone", "internal/driver", "internal/adb", "internal/imagetar", "internal/emptydir", "internal/sharedir"},
		"a driver is stateless: the truth is the database and the host, and it must not reach for the first"},
	"internal/driver/simulated": {[]string{"internal/phone", "internal/driver", "internal/adb", "internal/apps", "internal/sharedir"},
		"a driver is stateless: the truth is the database and the host, and it must not reach for the first"},
	"internal/driver/drivertest": {[]string{"internal/phone", "internal/driver"},
		"the suite judges every driver by the contract alone, so it may know none of them"},

	"internal/objects": {[]string{"internal/phone"}, "what lies behind a bucket is nobody else's business, and whose it is stands in what it was made of"},

	"internal/store": {[]string{"internal/phone", "internal/account", "internal/audit", "internal/fleet", "internal/seal", "internal/store/..."},
		"a store keeps what the domain decides. It imports fleet for the structs of the Store interface declared there, and nothing that decides or acts"},
	"internal/store/storetest": {[]string{"internal/phone", "internal/account", "internal/audit", "internal/fleet", "internal/seal", "internal/work", "internal/driver", "internal/store/..."},
		"the suite judges both databases by the interfaces that the use cases and the engine declare"},

	"internal/fleet": {[]string{"internal/phone", "internal/account", "internal/audit", "internal/driver"},
		"use cases know no wire format and no database: they declare the Store that they need"},
	"internal/fleet/fleettest": {[]string{"internal/phone", "internal/account", "internal/fleet"},
		"a store in memory that decides by the domain alone"},
	"internal/work": {[]string{"internal/phone", "internal/account", "internal/driver"},
		"the engine knows no wire format and no database: it declares the Store and the Queue that it needs"},

	"internal/iam": {[]string{"internal/phone", "internal/account", "internal/audit", "internal/fleet", "internal/signature", "internal/strictjson"},
		"an edge translates a wire to use cases; what is behind those is not its business, and edges do not know each other"},
	"internal/cph": {[]string{"internal/phone", "internal/account", "internal/audit", "internal/fleet", "internal/iam", "internal/strictjson"},
		"an edge translates a wire to use cases; what is behind those is not its business, and edges do not know each other"},
	"internal/httpapi": {[]string{"internal/phone", "internal/account", "internal/audit", "internal/fleet", "internal/iam", "internal/strictjson", "api"},
		"an edge translates a wire to use cases; what is behind those is not its business, and edges do not know each other"},

	"cmd/lethe": {[]string{"..."}, "the one place that knows everything and puts it together"},

	"internal/simphone": {[]string{"internal/adb", "internal/apps", "internal/imagetar"}, "the phone of tests and of the demo stands in for Android: it may know lethe as little as Android does"},
	"internal/testenv": {[]string{"internal/phone", "internal/imagetar", "internal/simphone"},
		"it gives the tests of every package the services they need, so it may know hardly any of them"},
	"test/simphone":     {[]string{"internal/simphone"}, "only the program around the test phone"},
	"test/volumehelper": {[]string{"internal/emptydir", "internal/sharedir"}, "only the program around it"},
	"test/services":     {nil, "it starts services for any program and needs nothing of this one"},
}

// testOnly are packages that exist for tests: the program itself must not carry them.
var testOnly = []string{
	"internal/testenv", "internal/driver/drivertest", "internal/store/storetest", "internal/fleet/fleettest",
}

// library says where a library may be imported; nowhere when may is empty.
type library struct {
	prefix string
	may    []string
	why    string
}

var libraries = []library{
	{"database/sql", []string{"internal/store/...", "internal/testenv"}, "all SQL is in the store, where one suite runs it on both databases"},
	{"modernc.org/sqlite", []string{"internal/store/..."}, "a database driver stays behind the store, so that no other package depends on which database it is"},
	{"github.com/jackc/pgx", []string{"internal/store/...", "internal/testenv"}, "a database driver stays behind the store, so that no other package depends on which database it is"},
	{"github.com/pressly/goose", []string{"internal/store/..."}, "migrations are the store's"},
	{"github.com/riverqueue/river", []string{"internal/store/..."}, "River only delivers; our jobs row is the truth, and only the store writes both in one transaction"},
	{"github.com/moby/moby", []string{"internal/driver/docker"}, "what Docker is called and how it fails is translated in one place"},
	{"github.com/docker/docker", nil, "Docker is spoken to by the moby client, in internal/driver/docker"},
	{"gocloud.dev", []string{"internal/objects"}, "what an object store is called and how it fails is translated in one place"},
	{"mvdan.cc/sh", []string{"internal/simphone"}, "a shell is the test phone's; lethe itself runs none"},
	{"github.com/spf13", []string{"cmd/lethe"}, "the command line belongs to the command"},
	{"github.com/huaweicloud", nil, "the vendor's SDK is our judge, in a module of its own (test/compat); nobody who builds lethe downloads it"},
}
