"""The ground floor: errors, storage with its one atomic write, names of files, leases, records."""
