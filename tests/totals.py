#!/usr/bin/python3
"""totals.py STATUS FILE... - adds up JUnit files; STATUS is 1 when a runner has failed.

Prints one line, and ends with 1 when a test or a runner failed.
"""
import sys
import xml.etree.ElementTree as tree

passed = failed = skipped = 0
for case in (case for file in sys.argv[2:] for case in tree.parse(file).iter("testcase")):
    verdicts = {child.tag for child in case}
    if verdicts & {"failure", "error"}:
        failed += 1
    elif "skipped" in verdicts:
        skipped += 1
    else:
        passed += 1

# A runner that fails without a failed test (nothing collected, a crash) counts as one.
failed = max(failed, int(sys.argv[1]))
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed else 0)
