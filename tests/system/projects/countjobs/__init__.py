"""An app whose jobs can be counted, for the tests of delivery, store and claim."""
