"""Air temperature under two emission scenarios, from netCDF to pictures: ``asyncexec demo``."""
