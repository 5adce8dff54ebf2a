"""Named like a package of Flowdapt's."""
