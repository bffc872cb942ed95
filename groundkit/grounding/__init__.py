"""Where logic and perception meet: which groundings are possible, and how to reach one."""
