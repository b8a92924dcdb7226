"""The verbs: plain functions verb(tx, ...) that run inside one transaction group. They never await."""
