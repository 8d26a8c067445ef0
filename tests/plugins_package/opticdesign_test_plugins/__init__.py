"""One of each thing that another package can add, each in a module of its own."""
