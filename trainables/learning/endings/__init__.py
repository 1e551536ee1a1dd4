"""When a repeat has been trained for long enough, one file each."""
