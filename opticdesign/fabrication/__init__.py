"""What a process can make: levels and heights, roundings that training sees, rules of masks."""
