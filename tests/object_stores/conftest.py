"""The table of the matrix, printed at the end."""

from tests.object_stores.matrix.counts import KEY, lines


def pytest_terminal_summary(terminalreporter):
    reports = [
        r for kind in ("passed", "failed", "error") for r in terminalreporter.getreports(kind)
    ]
    found = {}
    for report in reports:
        if one := dict(getattr(report, "user_properties", ())).get(KEY):
            found.setdefault(report.nodeid, dict(one))
            if report.failed:
                found[report.nodeid]["came"] = "failed" if report.when == "call" else "left"
    if found:
        terminalreporter.section("matrix of faults")
        for line in lines(found.values()):
            terminalreporter.write_line(line)
