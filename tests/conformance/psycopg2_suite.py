"""Runs tests of psycopg2's own suite; started by tests/src/conformance/psycopg2.rs.

    python3 psycopg2_suite.py FOLDER list           prints the names of all tests
    python3 psycopg2_suite.py FOLDER run < names    runs those, each with a line when it begins and one when it ends

FOLDER has the package `tests` of psycopg2's source package; where to connect is in PSYCOPG2_TESTDB and so on.
The lines go to standard output, which no test writes to; what went wrong goes to standard error.
"""

import os
import sys
import unittest

# The tests print, and so do programs that they start: standard output is for our lines alone.
lines = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


class Result(unittest.TextTestResult):
    """Tells how each test ended; what goes wrong around a test (its class's set-up) counts for that name."""

    def startTest(self, test):
        super().startTest(test)
        self.word = "passed"
        print("begin", test.id(), file=lines)

    def stopTest(self, test):
        super().stopTest(test)
        print(self.word, test.id(), file=lines)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.word = "failed"

    def addError(self, test, error):
        super().addError(test, error)
        self.word = "failed"

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.word = "failed"

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.word = "failed"

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.word = "skipped"


def each(suite):
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from each(part)
        else:
            yield part


def main():
    folder, task = sys.argv[1:]
    sys.path.insert(0, folder)
    import tests

    suite = tests.test_suite()
    if task == "list":
        for test in each(suite):
            print(test.id(), file=lines)
        return
    wanted = set(sys.stdin.read().split())
    chosen = unittest.TestSuite(test for test in each(suite) if test.id() in wanted)
    unittest.TextTestRunner(stream=sys.stderr, resultclass=Result, verbosity=2).run(chosen)


main()
