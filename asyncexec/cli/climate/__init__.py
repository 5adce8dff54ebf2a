"""The demo's job: what two emission scenarios do to air temperature, from netCDF to pictures."""
