// SPDX-License-Identifier: Apache-2.0

package main

// goSuites are the suites that are Go packages of this module.
var goSuites []suite
