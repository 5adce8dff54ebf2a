"""The exit codes of the command line."""

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # As shells number an end by SIGINT.
