"""The exit codes of the command line; 0 is success."""

EXIT_FAILURE = 1
"""A run failed; ``config check`` has found a problem."""

EXIT_USAGE = 2
"""A request cannot be met: an unknown option, a file that cannot be read, settings that are wrong."""

EXIT_INTERRUPTED = 130  # As shells number an end by SIGINT.
EXIT_TERMINATED = 143  # And by SIGTERM.
