"""Places of arrays: paths, URLs and stores, what is at one, and making and removing an array there."""
