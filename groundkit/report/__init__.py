"""Pictures and pages from plain results: nothing here knows a program, a model or a tensor."""
