"""What is predicted and how it is scored, one file for each kind."""
