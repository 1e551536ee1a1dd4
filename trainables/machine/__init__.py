"""What this machine has: devices, processors, memory, folders; and processes that hang or lose their parent."""
