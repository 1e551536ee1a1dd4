"""Training on Ray: the queue of work, the adapter to Tune, the feature stage, nodes, GPUs, interruption, progress."""
