"""What a step makes smaller, one file each."""
