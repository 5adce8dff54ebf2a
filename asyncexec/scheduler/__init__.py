"""What runs next: readiness, admission, attempts; one file (driver) does the awaiting."""
