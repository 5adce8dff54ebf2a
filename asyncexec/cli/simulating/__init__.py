"""What ``asyncexec simulate`` takes, shows and prints."""
