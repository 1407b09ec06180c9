"""What melodai costs, beside other ways to the same thing, measured in one run on one machine."""
