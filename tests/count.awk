# Counts single tests in ctest's LastTest.log (arguments: one or more such logs) and
# prints "passed failed skipped". A program's own summary is what counts; one that ends
# badly without naming a failed test (a crash, a time-out) counts as one failure. What was
# skipped is named on stderr: a program of which one case is skipped passes all the same.
function name_skipped(what)
{
    if (!((program, what) in named))
        print "skipped: " program (what ? ", " what : "") >"/dev/stderr"
    named[program, what] = 1
}
function end_program()
{
    if (!inside)
        return
    if (verdict == "skipped" && p + f + s == 0) {
        s = 1
        name_skipped("")
    }
    else if (verdict == "passed" && p + f + s == 0) # a command that is no test program
        p = 1
    else if (verdict != "passed" && verdict != "skipped" && f == 0) {
        if (p + s == 0) # it never came to its summary: what ran before it died did pass
            p = ok
        f = 1
    }
    passed += p
    failed += f
    skipped += s
    inside = 0
}
/^[0-9]+\/[0-9]+ Testing: / { end_program(); inside = 1; program = $3; p = f = s = ok = 0; verdict = "" }
/^\[  SKIPPED \] [A-Za-z_]/ && !/ test\(s\)/ { name_skipped($4) }
/^\[       OK \]/ { ok++ }
/^\[  (PASSED|FAILED|SKIPPED) *\] (.*: )?[0-9]+ test\(s\)/ {
    match($0, /[0-9]+ test\(s\)/)
    n = substr($0, RSTART) + 0
    if ($2 == "PASSED") p += n
    if ($2 == "FAILED") f += n
    if ($2 == "SKIPPED") s += n
}
/^Test (Passed\.|Pass Reason:)$/ { verdict = "passed" }
/^Test Failed\.$/ { verdict = "failed" }
/Test Skipped|^Skipped/ { verdict = "skipped" }
END { end_program(); print passed + 0, failed + 0, skipped + 0 }
