"""The ledger: the memory between runs, and the locks that go with it."""
