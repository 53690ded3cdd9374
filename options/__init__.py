"""What each step can be told. One module a step, each with one function that parses its command line."""
