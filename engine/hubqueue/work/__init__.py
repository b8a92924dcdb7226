"""Workers: the loop that runs jobs anywhere, and Python handlers in a process of their own."""
