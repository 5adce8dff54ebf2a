"""What two emission scenarios do to air temperature, from netCDF to pictures: ``asyncexec demo``."""
