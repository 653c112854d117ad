module github.com/cofferstore/coffer/test/suites

go 1.26.0
