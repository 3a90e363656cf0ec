"""The ledger: what is remembered between runs, and the locks that go with it."""
