"""The public Python surface: `open` and `Client`, and the queues, jobs and workers they give."""
