"""What pages, rankings and proposers may read: final records, histories, where repeats stand, the summary, tables."""
