"""Images, labels, groups, partitions, views, balance."""
