"""Jobs on two fields of a gigabyte each, beside peers, a loop written by hand, and the limit of the machine."""
