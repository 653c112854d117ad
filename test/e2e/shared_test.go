// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/test/coffertest"
)

// TestOnOneServer runs the tests that mind their own buckets and keys on one
// server, beside each other, as customers share one.
func TestOnOneServer(t *testing.T) {
	t.Parallel()
	together(t, start(t),
		testBuckets,
		testABucketsNameBeginsAnew,
		testBucketEncryptionDocument,
		testConfigurationsThatAreRefused,
		testBucketLogging,
		testConfigurations,
		testABAC,
		testAnnotations,
		testReplicationConfiguration,
		testWhoMayReplicate,
		testTerraformReads,
		testArchivedObjects,

		testWhatIsKeptWithAnObject,
		testHeadSaysWhatGetDoes,
		testRanges,
		testConditionalWrites,
		testResponseOverrides,
		testVirtualHosts,
		testChecksums,
		testUploadsAreWholeOrNot,
		testObjectsThatAreRefused,
		testEncryptionThatIsRefused,
		testFramingThatIsRefused,
		testBodiesWithoutLength,
		testHeadsThatAreTooLong,
		testPresignedURLs,
		testPresignedURLsThatAreRefused,
		testRefusedOperations,

		testCopyDirectives,
		testCopyConditions,
		testCopyInPlace,
		testVersions,
		testDeleteObjects,
		testTagsThatAreRefused,
		testListObjects,
		testListsOfStrangeKeys,
		testListVersionsInPages,
		testListParametersThatAreRefused,
		testUploadsThatAreRefused,

		testKeyStates,
		testKeyPoliciesAndTags,
		testEncryptAndDecrypt,
		testEncryptionContexts,
		testDataKeys,
		testSignatures,
		testMACs,
		testEncryptWithRSA,
		testKeyPairsAndAgreement,
		testOtherKeysAreNotS3s,
		testMultiRegionKeys,
		testImportedKeys,
		testImportedSigningKey,
		testDryRun,
		testRotationSchedule,
		testKMSRequestsThatAreRefused,

		testTrails,
		testEventSelectors,
		testTrailsThatAreRefused,
		testTrailQuota,
		testTrailPermissions,
		testLookupEvents,
	)
}

// TestWithSmallParts is the same for tests of uploads whose parts would cost much
// at S3's own least size.
func TestWithSmallParts(t *testing.T) {
	t.Parallel()
	together(t, start(t, coffertest.Tune(server.Tuning{Objects: object.Config{MinPart: 1}})),
		testUploads,
		testListPartsAndUploads,
		testChecksumsOfUploads,
		testCopyOfVersions,
		testEncryptionHeadersOfEveryOperation,
	)
}

// together runs tests on a server, at the same time, by their names.
func together(t *testing.T, s *coffertest.Server, tests ...func(*testing.T, *coffertest.Server)) {
	for _, test := range tests {
		name := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
		t.Run(name[strings.LastIndex(name, ".test")+len(".test"):], func(t *testing.T) {
			t.Parallel()
			own := *s
			own.T = t
			test(t, &own)
		})
	}
}
