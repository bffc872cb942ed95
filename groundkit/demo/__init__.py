"""A page on this machine on which one draws, and sees a run read the drawing and answer."""
