package storetest

import "testing"

// Run runs the whole suite; open gives each test its own fresh database.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"open":                   testReopen,
		"open at once":           testOpenAtOnce,
		"constraints":            testConstraints,
		"bootstrap once":         testBootstrapOnce,
		"accounts":               testAccounts,
		"tokens":                 testTokens,
		"accept reset":           testAcceptReset,
		"accept decides":         testAcceptDecides,
		"accept image":           testAcceptImage,
		"accept overlapping":     testAcceptOverlapping,
		"accept once":            testAcceptOnce,
		"accept once at once":    testAcceptOnceConcurrently,
		"sweep idempotency keys": testSweepKeys,
		"cancel":                 testCancel,
		"cancel preparing":       testCancelPreparing,
		"cancel missing":         testCancelMissing,
		"cancel at once":         testCancelAtOnce,
		"retry":                  testRetry,
		"retry refuses":          testRetryRefuses,
		"add server":             testAddServer,
		"names and ports taken":  testTaken,
		"create to success":      testCreateToSuccess,
		"claim":                  testClaim,
		"advance":                testAdvance,
		"finish":                 testFinish,
		"fail":                   testFail,
		"fenced writes":          testFenced,
		"prepare image":          testPrepareImage,
		"image gone from host":   testImageGone,
		"fairness":               testFairness,
		"abnormal server":        testAbnormalServer,
		"sweep admits":           testSweepAdmits,
		"sweep lost deliveries":  testSweepLostDeliveries,
		"restart of a replica":   testRestart,
		"takeover":               testTakeover,
		"release":                testRelease,
		"replicas":               testReplicas,
		"dead process":           testDeadProcess,
		"deliver":                testDeliver,
		"deliver bounded":        testDeliverBounded,
		"deliver to two":         testDeliverToTwo,
		"flow":                   testFlow,
		"watch servers":          testWatchServers,
		"watch at once":          testWatchAtOnce,
		"died":                   testDied,
		"start":                  testStart,
		"hosting":                testHosting,
		"sightings":              testSightings,
		"prune":                  testPrune,
		"prune while accepting":  testPruneWhileAccepting,
		"counts of phones":       testCounts,
		"list phones":            testListPhones,
		"list servers":           testListServers,
		"list images":            testListImages,
		"list jobs and progress": testListJobs,
		"missing rows":           testMissing,
		"sealed access keys":     testSealed,
		"sealed without traces":  testSealedWithoutTraces,
		"without keys":           testWithoutKeys,
		"cancelled context":      testCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}
