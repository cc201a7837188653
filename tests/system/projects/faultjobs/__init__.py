"""An app whose tasks go wrong, for the tests of faults."""
