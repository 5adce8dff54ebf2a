"""Places of arrays: paths, URLs and stores, and finding, creating and removing arrays there."""
